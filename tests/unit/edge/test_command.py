from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.edge.command import context, etag, expected_versions, idempotency_key
from functions.edge.http import Request
from functions.edge.identity import Identity
from functions.edge.problem import Problem
from functions.kernel.ring import Signature
from tests.unit.edge.conftest import World, event


def request(world: World | None = None, **headers: str) -> Request:
    """Alice's request with some headers, `if_match` for if-match."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    log = (world or World()).log()
    identity = Identity("alice", "acme")
    return Request(event(headers=named), {}, {}, named, identity, "request-1", log)


@pytest.mark.parametrize(
    ("tags", "versions"),
    [
        pytest.param("*", None, id="any"),
        pytest.param(" * ", None, id="any-with-spaces"),
        pytest.param('"3"', {3}, id="one"),
        pytest.param(' "3" ', {3}, id="spaces"),
        pytest.param('"3","4"', {3, 4}, id="list"),
        pytest.param('"3" ,\t"4", ,"5"', {3, 4, 5}, id="loose-list"),
        pytest.param('W/"3"', set(), id="weak-never-matches"),
        pytest.param('W/"3", "4"', {4}, id="weak-among-strong"),
        pytest.param('"abc", "4"', {4}, id="foreign-among-ours"),
        pytest.param('"3,4"', set(), id="comma-inside-a-tag"),
        pytest.param('""', set(), id="empty-tag"),
        pytest.param("", set(), id="empty"),
        pytest.param("3", set(), id="unquoted"),
        pytest.param("'3'", set(), id="single-quotes"),
        pytest.param('"3', set(), id="not-closed"),
        pytest.param('"3"x', set(), id="trailing-garbage"),
        pytest.param('x"3"', set(), id="leading-garbage"),
        pytest.param('"-3"', set(), id="negative"),
        pytest.param('" 3"', set(), id="space-inside-a-tag"),
        pytest.param('"03"', set(), id="leading-zero-is-another-tag"),
        pytest.param('"٣"', set(), id="foreign-digit"),
        pytest.param(f'"{"9" * 5000}"', set(), id="endless-number"),
        pytest.param('"*"', set(), id="quoted-star"),
    ],
)
def test_if_match_allows_the_versions_that_it_names(tags: str, versions: set[int] | None) -> None:
    assert expected_versions(request(if_match=tags)) == versions


@given(st.integers(1, 10**12))
def test_an_etag_sent_back_allows_its_version(version: int) -> None:
    assert expected_versions(request(if_match=etag(version)["ETag"])) == frozenset({version})


@given(st.text())
def test_no_header_whatever_makes_if_match_fail(tags: str) -> None:
    expected_versions(request(if_match=tags))


def test_a_missing_if_match_is_428() -> None:
    with pytest.raises(Problem) as refusal:
        expected_versions(request())
    assert refusal.value.status == 428


@pytest.mark.parametrize("key", ["k", "!~", "x" * 255], ids=["short", "bounds", "longest"])
def test_an_idempotency_key_is_taken_as_it_is(key: str) -> None:
    assert idempotency_key(request(idempotency_key=key)) == key


@pytest.mark.parametrize(
    "key",
    ["", " ", "a b", "a\n", "\x7f", "ä", "x" * 256],
    ids=["empty", "blank", "space", "line-end", "control", "letter", "long"],
)
def test_a_malformed_idempotency_key_is_400(key: str) -> None:
    with pytest.raises(Problem) as refusal:
        idempotency_key(request(idempotency_key=key))
    assert refusal.value.status == 400


@pytest.mark.parametrize("headers", [{}, {"idempotency_key": "k"}], ids=["without", "with-key"])
def test_a_commands_surroundings_are_the_requests(world: World, headers: dict[str, Any]) -> None:
    made = context(request(world, **headers), world.runtime, "payload")
    assert (made.actor, made.tenant) == ("alice", "acme")
    assert (made.now, made.correlation) == (world.clock.now(), "request-1")
    assert made.commit_id == world.runtime.entropy(12).hex()
    expected = Signature.of(actor="alice", key="k", payload="payload") if headers else None
    assert made.signature == expected
