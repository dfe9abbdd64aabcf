from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from functions.kernel.history import version_at
from functions.kernel.store import load
from tests.unit.kernel.pile import PILE, STREAM, Watched, by, commands, put

# Commits as (milliseconds since the one before, number of events); equal times are common.
HISTORIES = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), min_size=1, max_size=30)
START = 1000


def grown(history: list[tuple[int, int]]) -> Watched:
    store = Watched()
    run = commands(store)
    for number, (gap, events) in enumerate(history):
        now = START + sum(earlier for earlier, _ in history[:number]) + gap
        change = run.execute if number else run.create
        change(STREAM, put(*range(events)), by(now=now))
    return store


@given(HISTORIES, st.integers(-2, 100))
def test_the_version_at_a_moment_is_that_of_the_last_commit_not_after_it(
    history: list[tuple[int, int]], moment: int
) -> None:
    store = grown(history)
    moments = list(accumulate(gap for gap, _ in history))
    versions = list(accumulate(events for _, events in history))
    expected = max((v for m, v in zip(moments, versions, strict=True) if m <= moment), default=0)
    assert version_at(store, load(store, PILE, STREAM), START + moment) == expected


@given(HISTORIES, st.integers(0, 100))
def test_it_reads_one_commit_per_halving(history: list[tuple[int, int]], moment: int) -> None:
    store = grown(history)
    current = load(store, PILE, STREAM)
    store.fetched = 0
    version_at(store, current, START + moment)
    assert store.fetched <= current.version.bit_length()


def test_nothing_is_read_if_nothing_has_changed_since() -> None:
    store = grown([(0, 1), (5, 2)])
    current = load(store, PILE, STREAM)
    store.fetched = 0
    assert version_at(store, current, current.at) == 3
    assert store.fetched == 0
