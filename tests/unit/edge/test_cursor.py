from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from functions.edge.cursor import Cursors
from functions.edge.problem import Problem
from tests.unit.edge.vault import Vault

POSITIONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)
)
SCOPE = ("links", "default", "alice")


def cursors(**material: str) -> Cursors:
    return Cursors(Vault(material or {"root": "one"}).secrets())


def refused(reader: Cursors, cursor: str, *scope: str) -> bool:
    """Whether it is a 400; anything else but an answer is an error of the test."""
    try:
        reader.read(cursor, *scope)
    except Problem as problem:
        return (problem.status, problem.kind) == (400, "bad_cursor")
    return False


@given(POSITIONS, st.lists(st.text(), max_size=3))
def test_a_cursor_gives_its_position_back(position: Any, scope: list[str]) -> None:
    assert cursors().read(cursors().make(position, *scope), *scope) == position


@pytest.mark.parametrize(
    "scope",
    [
        pytest.param(("links", "default", "bob"), id="another-user"),
        pytest.param(("links", "acme", "alice"), id="another-tenant"),
        pytest.param(("history", "default", "alice"), id="another-list"),
        pytest.param(("links", "default"), id="part-of-the-scope"),
        pytest.param((), id="no-scope"),
        pytest.param(("links", "defaultalice", ""), id="parts-run-together"),
        pytest.param(("links", "default\nalice"), id="parts-joined-by-a-line-end"),
        pytest.param(("links", "default,alice"), id="parts-joined-by-a-comma"),
    ],
)
def test_a_cursor_is_good_for_its_own_list_and_reader_alone(scope: tuple[str, ...]) -> None:
    assert refused(cursors(), cursors().make("p", *SCOPE), *scope)


@given(st.data())
def test_a_cursor_changed_anywhere_is_refused(data: st.DataObject) -> None:
    cursor = cursors().make(["2026", 7], *SCOPE)
    place = data.draw(st.integers(0, len(cursor) - 1))
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126))
    # The last character of a base64 text has bits that stand for nothing.
    assume(place < len(cursor) - 1 and other != cursor[place])
    assert refused(cursors(), cursor[:place] + other + cursor[place + 1 :], *SCOPE)


@given(st.integers(0, 200))
def test_a_truncated_cursor_is_refused(length: int) -> None:
    cursor = cursors().make(["2026", 7], *SCOPE)
    assert refused(cursors(), cursor[: length % len(cursor)], *SCOPE)


@given(st.text())
def test_no_text_whatever_passes_for_a_cursor(text: str) -> None:
    assert refused(cursors(), text, *SCOPE)
    assert refused(cursors(), f"root.{text}", *SCOPE)


def test_a_cursor_signed_with_another_secret_is_refused() -> None:
    assert refused(cursors(), cursors(root="another").make("p", *SCOPE), *SCOPE)


def test_a_cursor_outlives_the_rotation_of_its_key() -> None:
    before = cursors(root="one").make("p", *SCOPE)
    after = cursors(root="one", k2="two", current="k2")
    assert after.read(before, *SCOPE) == "p"
    assert after.make("p", *SCOPE).startswith("k2.")


def test_a_cursor_of_a_key_that_is_gone_is_refused() -> None:
    cursor = cursors(root="one", k2="two", current="k2").make("p", *SCOPE)
    assert refused(cursors(root="one"), cursor, *SCOPE)


def test_nobody_can_sign_with_what_a_cursor_shows() -> None:
    rotated = cursors(root="one", k2="two", current="k2")
    key_id, _, _ = rotated.make("p", *SCOPE).partition(".")
    _, _, signed = cursors(root=key_id).make("forged", *SCOPE).partition(".")
    assert refused(rotated, f"current.{signed}", *SCOPE)
