from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from hypothesis import given as for_all
from hypothesis import strategies as st

from functions.kernel.memory import MemoryStore
from functions.kernel.store import Commit
from functions.shortener import hotlinks
from functions.shortener.decider import stream_id
from functions.shortener.hotlinks import (
    FRESH_MS,
    JITTER_MS,
    MAX_PAUSE_MS,
    PAUSE_MS,
    STALE_MS,
    HotLinks,
)
from tests.support.clock import FakeClock
from tests.unit.shortener.links import STREAM, by, commands, create, edit

HANG_MS = 1_000


@dataclass
class Store(MemoryStore):
    """A store whose eventually consistent reads are counted, can be told to fail, to show only
    what had fewer than `behind` events before it, or to answer late."""

    clock: FakeClock = field(default_factory=FakeClock)
    failing: bool = False
    behind: int | None = None
    reads: int = 0
    late_ms: int = 0

    def backward(
        self, stream: str, *, before: int | None = None, limit: int, consistent: bool = True
    ) -> Iterator[Commit]:
        if consistent:
            return super().backward(stream, before=before, limit=limit)
        self.reads += 1
        if self.failing:
            self.clock.advance(HANG_MS / 1000)
            raise ConnectTimeoutError(endpoint_url="https://dynamodb")
        read = list(super().backward(stream, before=self.behind, limit=limit))
        self.clock.advance(self.late_ms / 1000)
        return iter(read)


class Place(NamedTuple):
    """A container's links, the store that they come from, and how the dice fall."""

    links: HotLinks
    store: Store
    clock: FakeClock
    dice: list[float]

    def advance(self, milliseconds: int) -> None:
        self.clock.milliseconds += milliseconds

    def version(self, stream: str = STREAM) -> int | None:
        found = self.links.find(stream)
        return found and found.stream.version

    def stale(self) -> bool:
        found = self.links.find(STREAM)
        assert found is not None
        return found.stale

    def change(self) -> None:
        """One more version of the link."""
        number = len(self.store.commits[STREAM])
        # A commit is named by its time here, so no two may have the same.
        now = self.clock.now() + number
        commands(self.store).execute(STREAM, edit(title=f"title {number}"), by(now=now))


def place(jitter: float = 0.0) -> Place:
    clock, dice = FakeClock(), [jitter]
    store = Store(clock=clock)
    commands(store).create(STREAM, create(), by())
    return Place(HotLinks(store, clock.now, lambda: dice[0]), store, clock, dice)


# ---- While the store answers --------------------------------------------------------------------


@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999_999])
def test_a_link_is_read_again_when_it_is_no_longer_fresh(jitter: float) -> None:
    here = place(jitter)
    fresh = FRESH_MS - round(jitter * JITTER_MS)
    assert here.version() == 1
    here.advance(fresh - 1)
    assert (here.version(), here.store.reads) == (1, 1)
    here.advance(1)
    assert (here.version(), here.store.reads) == (1, 2)


def test_a_change_binds_within_the_bound() -> None:
    here = place()
    here.version()
    here.change()
    here.advance(FRESH_MS - 1)
    assert here.version() == 1
    here.advance(1)
    assert here.version() == 2


def test_an_answer_that_comes_late_is_as_old_as_its_question() -> None:
    here = place()
    here.store.late_ms = FRESH_MS
    assert here.version() == 1
    here.change()
    assert here.version() == 2


def test_a_link_never_goes_back_in_version() -> None:
    here = place()
    here.change()
    assert here.version() == 2
    # A replica that is behind shows the first version.
    here.store.behind = 1
    here.advance(FRESH_MS)
    assert here.version() == 2


def test_a_code_that_is_given_out_anew_begins_at_its_first_version() -> None:
    here = place()
    here.change()
    assert here.version() == 2
    here.store.commits.clear()
    here.advance(FRESH_MS)
    commands(here.store).create(STREAM, create(), by(now=here.clock.now() + FRESH_MS))
    assert here.version() == 1


def test_an_unknown_code_is_seen_as_soon_as_it_is_given_out() -> None:
    here = place()
    commits = here.store.commits.pop(STREAM)
    assert [here.version() for _ in range(2)] == [None, None]
    assert here.store.reads == 2
    here.store.commits[STREAM] = commits
    assert here.version() == 1


def test_the_links_that_were_wanted_longest_ago_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hotlinks, "CAPACITY", 3)
    here = place()
    [commit] = here.store.commits[STREAM]
    names = [stream_id("default", code) for code in "abcd"]
    for name in names:
        here.store.commits[name] = [replace(commit, stream=name)]
    a, b, c, d = names
    for name in (a, b, c, a, d):
        assert here.version(name) == 1
    here.store.reads = 0
    assert [here.version(name) for name in (a, c, d)] == [1, 1, 1]
    assert here.store.reads == 0
    assert (here.version(b), here.store.reads) == (1, 1)


# ---- While it does not --------------------------------------------------------------------------


def test_a_fresh_link_does_not_notice_a_failing_store() -> None:
    here = place()
    here.version()
    here.store.failing = True
    here.advance(FRESH_MS - 1)
    assert (here.stale(), here.store.reads) == (False, 1)


def test_an_older_one_stands_in_up_to_the_stale_bound() -> None:
    here = place()
    here.version()
    here.store.failing = True
    here.advance(STALE_MS - 1)
    assert here.stale()
    # Its own failing read moved the clock past the bound.
    with pytest.raises(ConnectTimeoutError):
        here.links.find(STREAM)


def test_what_was_never_read_cannot_stand_in() -> None:
    here = place()
    here.store.failing = True
    with pytest.raises(ConnectTimeoutError):
        here.links.find(STREAM)


def test_a_refusal_is_a_failure_too(monkeypatch: pytest.MonkeyPatch) -> None:
    here = place()
    here.version()
    here.advance(FRESH_MS)

    def throttled(*_: object, **__: object) -> Iterator[Commit]:
        raise ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, "Query")

    monkeypatch.setattr(here.store, "backward", throttled)
    assert here.stale()


def test_a_fault_of_our_own_is_not_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    here = place()
    here.version()
    here.advance(FRESH_MS)

    def broken(*_: object, **__: object) -> Iterator[Commit]:
        raise ValueError("a bug")

    monkeypatch.setattr(here.store, "backward", broken)
    with pytest.raises(ValueError, match="a bug"):
        here.links.find(STREAM)


@pytest.mark.parametrize(("jitter", "share"), [(0.0, 1.0), (1.0, 0.5)])
def test_a_failing_store_is_left_alone_for_longer_each_time(jitter: float, share: float) -> None:
    here = place(jitter)
    here.version()
    here.store.failing = True
    here.advance(FRESH_MS)
    for pause in (1, 2, 4, 8, 8, 8):
        bound = round(PAUSE_MS * pause * share)
        reads = here.store.reads
        assert here.stale()
        assert here.store.reads == reads + 1
        here.advance(bound - 1)
        assert (here.stale(), here.store.reads) == (True, reads + 1)
        here.advance(1)


def test_a_store_that_answers_again_is_asked_at_once_and_its_failures_forgotten() -> None:
    here = place()
    other = stream_id("default", "other")
    [commit] = here.store.commits[STREAM]
    here.store.commits[other] = [replace(commit, stream=other)]
    here.version()
    here.store.failing = True
    here.advance(FRESH_MS)
    for _ in range(4):
        assert here.stale()
        here.advance(MAX_PAUSE_MS)
    assert here.stale()
    here.store.failing = False
    # A link that nothing stands in for is always asked for; that ends the pause for all.
    assert here.version(other) == 1
    assert not here.stale()
    here.store.failing = True
    here.advance(FRESH_MS)
    assert here.stale()
    here.advance(PAUSE_MS)
    reads = here.store.reads
    assert (here.stale(), here.store.reads) == (True, reads + 1)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["find", "change", "fail", "heal"]),
        st.integers(0, STALE_MS // 3) | st.integers(0, FRESH_MS),
        st.floats(0, 1, exclude_max=True),
    ),
    max_size=40,
)


@for_all(STEPS)
def test_no_link_is_older_than_its_bound_nor_older_than_one_seen_before(
    steps: list[tuple[str, int, float]],
) -> None:
    here, changed, seen = place(), [0], 0
    for act, milliseconds, jitter in steps:
        here.dice[0] = jitter
        here.advance(milliseconds)
        if act == "change":
            here.change()
            changed.append(here.clock.now())
        here.store.failing = act == "fail" or (here.store.failing and act != "heal")
        began = here.clock.now()
        try:
            found = here.links.find(STREAM)
        except ConnectTimeoutError:
            assert here.store.failing
            continue
        assert found is not None
        assert found.stream.version >= seen
        seen = found.stream.version
        # When the first change was made that this answer does not show, if there is one.
        missed = changed[seen] if seen < len(changed) else began
        assert began - missed < (STALE_MS if found.stale else FRESH_MS)
