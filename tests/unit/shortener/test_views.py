from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from functions.kernel.codec import to_json
from functions.kernel.store import Stream
from functions.kernel.views import Row
from functions.shortener.decider import DECIDER, Link
from functions.shortener.events import LinkDeleted, LinkDisabled
from functions.shortener.views import LINKS, owner_list, read
from tests.support.clock import START as NOW
from tests.unit.shortener.links import CREATED, STREAM

MADE = DECIDER.fold(None, [CREATED])
assert MADE is not None
LINK: Link = MADE
MOMENTS = st.integers(0, 253_402_300_799_999)


def row(link: Link | None, version: int = 1, tenant: str = "default") -> Row:
    return LINKS.render(Stream(STREAM, link, version, tenant=tenant))


def test_a_link_is_in_its_owners_list() -> None:
    assert row(LINK, tenant="acme").list == owner_list("acme", "alice")


def test_a_disabled_link_stays_in_the_list() -> None:
    assert row(DECIDER.fold(LINK, [LinkDisabled()])).list == owner_list("default", "alice")


def test_a_deleted_link_leaves_the_list() -> None:
    gone = row(DECIDER.fold(LINK, [LinkDeleted()]))
    assert (gone.list, gone.position) == (None, None)


def test_a_link_that_does_not_exist_is_in_no_list() -> None:
    assert row(None).list is None


@given(MOMENTS, MOMENTS)
def test_positions_are_ordered_by_creation(one: int, other: int) -> None:
    first, second = (row(replace(LINK, created_at=at)).position for at in (one, other))
    assert first is not None
    assert second is not None
    assert (first < second, first > second) == (one < other, one > other)


def test_links_of_the_same_moment_have_positions_of_their_own() -> None:
    assert row(LINK).position != row(replace(LINK, code="other")).position


def test_an_edit_does_not_move_a_link() -> None:
    moved = replace(LINK, long_url="https://example.com/b", expires_at=NOW + 1)
    assert row(moved, version=2).position == row(LINK).position


@given(st.from_type(Link).filter(lambda link: not link.deleted), st.integers(1))
def test_a_row_reads_back_as_the_link_and_its_version(link: Link, version: int) -> None:
    stored = json.loads(to_json(row(link, version).data))
    assert read(stored) == (link, version)


NAMES = st.text("ab#\n", max_size=4)


@given(st.tuples(NAMES, NAMES), st.tuples(NAMES, NAMES))
def test_no_two_owners_share_a_list(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (owner_list(*one) == owner_list(*other)) == (one == other)
