from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.kernel.errors import CommandReused
from functions.kernel.ring import LONG, SHORT, Signature, capacity, find, remember

KEYS = st.lists(st.text(), unique=True, min_size=1, max_size=30)


def signed(key: str, *, actor: str = "alice", payload: str = "") -> Signature:
    return Signature.of(actor=actor, key=key, payload=payload)


def ring_of(keys: list[str], entries: int = LONG) -> bytes:
    ring = b""
    for version, key in enumerate(keys, 1):
        ring = remember(ring, signed(key), version, entries)
    return ring


@given(KEYS)
def test_every_remembered_command_is_found_with_its_version(keys: list[str]) -> None:
    ring = ring_of(keys)
    assert [find(ring, signed(key)) for key in keys] == list(range(1, len(keys) + 1))


@given(KEYS)
def test_a_command_that_was_not_carried_out_is_not_found(keys: list[str]) -> None:
    assert find(ring_of(keys[1:]), signed(keys[0])) is None


def test_the_same_id_with_another_payload_is_refused() -> None:
    ring = remember(b"", signed("k", payload="one"), 1, LONG)
    with pytest.raises(CommandReused):
        find(ring, signed("k", payload="two"))


def test_two_actors_equal_keys_are_two_commands() -> None:
    ring = remember(b"", signed("k", actor="alice"), 1, LONG)
    assert find(ring, signed("k", actor="bob", payload="other")) is None


@pytest.mark.parametrize("entries", [SHORT, LONG])
@pytest.mark.parametrize("beyond", [0, 1, 5])
def test_the_oldest_are_dropped_beyond_the_capacity(entries: int, beyond: int) -> None:
    keys = [f"key-{number}" for number in range(entries + beyond)]
    ring = ring_of(keys, entries)
    assert len(ring) == 20 * entries
    assert [key for key in keys if find(ring, signed(key)) is not None] == keys[beyond:]


@pytest.mark.parametrize(
    ("snapshot_every", "entries"), [(1, 8), (2, 64), (16, 64)], ids=["each", "two", "sixteen"]
)
def test_the_ring_is_short_where_every_commit_carries_it(snapshot_every: int, entries: int) -> None:
    assert capacity(snapshot_every) == entries


def test_a_command_without_a_key_leaves_the_ring_as_it_was() -> None:
    ring = ring_of(["a", "b"])
    assert remember(ring, None, 3, LONG) == ring


def test_a_version_above_two_billion_is_kept() -> None:
    version = 2**32 - 1
    assert find(remember(b"", signed("k"), version, LONG), signed("k")) == version
