from __future__ import annotations

import pytest

from functions.ratelimiter.credentials import Credential, accepted, digest_of
from functions.ratelimiter.keys import (
    DAY_MS,
    KEYS,
    MAX_GRACE_MS,
    MAX_OLDER,
    CreateKey,
    Key,
    KeyCreated,
    KeyRevoked,
    KeyRotated,
    RevokeKey,
    RotateKey,
)
from tests.support.given import given
from tests.unit.corpus_contract import Corpus, CorpusContract

NOW = 1_000_000
CREATED = KeyCreated("id", "a key", ("gw:*",), "free", "d1", NOW)


class TestCorpus(CorpusContract):
    decider = KEYS
    corpus = Corpus(__file__, "corpus_keys.json")


def rotation(grace_ms: int, now: int = NOW) -> RotateKey:
    return RotateKey(lambda number: f"d{number}", grace_ms, now)


def key_of(*events: object) -> Key:
    state = given(KEYS, *events).state
    assert isinstance(state, Key)
    return state


def test_a_key_is_made_as_it_was_asked_for() -> None:
    command = CreateKey("id", "a key", ("gw:*",), "free", "d1", NOW, NOW + 1)
    made = KeyCreated("id", "a key", ("gw:*",), "free", "d1", NOW, NOW + 1)
    given(KEYS).when(command).then(made)


@pytest.mark.parametrize("ends", [NOW, NOW - 1, 0])
def test_a_key_that_has_ended_is_not_made(ends: int) -> None:
    command = CreateKey("id", "a key", (), "free", "d1", NOW, ends)
    given(KEYS).when(command).rejected("expires_at")


def test_a_rotation_is_the_next_number_and_ends_the_older() -> None:
    first = KeyRotated(2, "d2", NOW, NOW + 5)
    given(KEYS, CREATED).when(rotation(5)).then(first)
    given(KEYS, CREATED, first).when(rotation(0)).then(KeyRotated(3, "d3", NOW, NOW))
    assert key_of(CREATED, first).older == (("d1", NOW + 5),)
    assert key_of(CREATED, first, KeyRotated(3, "d3", NOW, NOW)).older == ()


def test_a_key_that_has_ended_gets_no_secret_that_is_good_for_nothing() -> None:
    ending = KeyCreated("id", "a key", ("gw:*",), "free", "d1", NOW, NOW + 9)
    given(KEYS, ending).when(rotation(0, NOW + 8)).then(KeyRotated(2, "d2", NOW + 8, NOW + 8))
    given(KEYS, ending).when(rotation(0, NOW + 9)).rejected()
    given(KEYS, ending).when(RevokeKey(NOW + 9)).then(KeyRevoked(NOW + 9))


def test_a_later_rotation_shortens_what_is_left_and_never_prolongs_it() -> None:
    longer = key_of(CREATED, KeyRotated(2, "d2", NOW, NOW + 5), KeyRotated(3, "d3", NOW, NOW + 9))
    assert longer.older == (("d1", NOW + 5), ("d2", NOW + 9))
    shorter = key_of(CREATED, KeyRotated(2, "d2", NOW, NOW + 9), KeyRotated(3, "d3", NOW, NOW + 5))
    assert shorter.older == (("d1", NOW + 5), ("d2", NOW + 5))


def test_what_has_ended_is_forgotten_at_the_next_rotation() -> None:
    later = KeyRotated(3, "d3", NOW + 5, NOW + 9)
    found = key_of(CREATED, KeyRotated(2, "d2", NOW, NOW + 5), later)
    assert found.older == (("d2", NOW + 9),)


def test_a_rotation_kills_no_secret_for_want_of_room() -> None:
    many = [KeyRotated(n, f"d{n}", NOW, NOW + DAY_MS) for n in range(2, MAX_OLDER + 2)]
    given(KEYS, CREATED, *many).when(rotation(DAY_MS)).rejected("grace_seconds")
    last = KeyRotated(MAX_OLDER + 2, f"d{MAX_OLDER + 2}", NOW, NOW)
    given(KEYS, CREATED, *many).when(rotation(0)).then(last)


@pytest.mark.parametrize("grace", [-1, MAX_GRACE_MS + 1])
def test_a_grace_has_its_bounds(grace: int) -> None:
    given(KEYS, CREATED).when(rotation(grace)).rejected("grace_seconds")


def test_a_revoked_key_stays_so() -> None:
    given(KEYS, CREATED).when(RevokeKey(NOW)).then(KeyRevoked(NOW))
    revoked = given(KEYS, CREATED, KeyRotated(2, "d2", NOW, NOW + 9), KeyRevoked(NOW))
    revoked.when(RevokeKey(NOW)).gone()
    revoked.when(rotation(0)).gone()
    assert revoked.state.older == ()


@pytest.mark.parametrize(
    ("secret", "at", "good"),
    [
        ("new", NOW, True),
        ("old", NOW, True),
        ("old", NOW + 8, True),
        ("old", NOW + 9, False),
        ("new", NOW + 19, True),
        ("new", NOW + 20, False),
        ("other", NOW, False),
        ("", NOW, False),
    ],
)
def test_a_secret_is_good_as_long_as_the_key_says(secret: str, at: int, good: bool) -> None:
    made = KeyCreated("id", "k", (), "free", digest_of("old"), NOW, NOW + 20)
    key = key_of(made, KeyRotated(2, digest_of("new"), NOW, NOW + 9))
    assert accepted(Credential("t", "id", digest_of(secret)), key, at) is good


def test_no_secret_of_a_revoked_key_is_good() -> None:
    made = KeyCreated("id", "k", (), "free", digest_of("s"), NOW)
    key = key_of(made, KeyRevoked(NOW))
    assert not accepted(Credential("t", "id", digest_of("s")), key, NOW)
