from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, get_args

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from functions.edge.limits.algorithms import (
    SECOND,
    Limit,
    Name,
    SlidingWindow,
    Window,
    algorithm,
)
from tests.unit.edge.limits.reference import allows

NAMES = get_args(Name)
START = 1_795_000_000 * SECOND


def limits(*names: str) -> st.SearchStrategy[Limit]:
    """Limits whose interval is a whole number, so that nothing is rounded."""

    def made(name: Any, amount: int, interval: int, burst: int) -> Limit:
        return Limit("a", name, amount, amount * interval, burst)

    return st.builds(
        made, st.sampled_from(names), st.integers(1, 12), st.integers(1, 40), st.integers(1, 15)
    )


STEPS = st.lists(st.tuples(st.integers(0, 120), st.integers(1, 6)), max_size=60)
"""How long after the last request the next one comes, and what it costs."""


def requests(limit: Limit, steps: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """When each request comes, and what it costs: never more than the limit ever allows."""
    now = START
    for passed, wanted in steps:
        now += passed
        yield now, min(wanted, limit.at_once)


@settings(max_examples=300)
@for_all(limit=limits(*NAMES), steps=STEPS)
def test_what_is_allowed_is_what_the_reference_allows(
    limit: Limit, steps: list[tuple[int, int]]
) -> None:
    counter, state = algorithm(limit), None
    taken: list[tuple[int, int]] = []
    for now, cost in requests(limit, steps):
        expected = allows(limit, taken, now, cost)
        verdict, state = counter.decide(state, now, cost)
        assert verdict.allowed == expected
        if expected:
            taken.append((now, cost))


@settings(max_examples=300)
@for_all(limit=limits(*NAMES), steps=STEPS, cost=st.integers(1, 6))
def test_who_waits_as_long_as_told_is_allowed(
    limit: Limit, steps: list[tuple[int, int]], cost: int
) -> None:
    counter, state, now = algorithm(limit), None, START
    for now, wanted in requests(limit, steps):
        _, state = counter.decide(state, now, wanted)
    cost = min(cost, limit.at_once)
    verdict, same = counter.decide(state, now, cost)
    if verdict.allowed:
        assert verdict.wait == 0
        return
    assert same == state
    assert verdict.wait > 0
    assert not counter.decide(state, now + verdict.wait - 1, cost)[0].allowed
    assert counter.decide(state, now + verdict.wait, cost)[0].allowed


@settings(max_examples=200)
@for_all(limit=limits(*NAMES), steps=STEPS)
def test_what_remains_is_the_most_that_can_be_taken(
    limit: Limit, steps: list[tuple[int, int]]
) -> None:
    counter, state = algorithm(limit), None
    for now, cost in requests(limit, steps):
        verdict, state = counter.decide(state, now, cost)
        assert 0 <= verdict.remaining <= limit.at_once
        if verdict.remaining:
            assert counter.decide(state, now, verdict.remaining)[0].allowed
        if verdict.remaining < limit.at_once:
            assert not counter.decide(state, now, verdict.remaining + 1)[0].allowed


@settings(max_examples=200)
@for_all(limit=limits(*NAMES), steps=STEPS)
def test_after_the_reset_nothing_counts_any_more(
    limit: Limit, steps: list[tuple[int, int]]
) -> None:
    counter, state = algorithm(limit), None
    for now, cost in requests(limit, steps):
        verdict, state = counter.decide(state, now, cost)
        assert counter.decide(state, now + verdict.reset, limit.at_once)[0].allowed


BOUNDS = {
    "token_bucket": lambda limit, passed: limit.burst + passed * limit.amount / limit.window,
    "leaky_bucket": lambda limit, passed: limit.burst + passed * limit.amount / limit.window,
    "fixed_window": lambda limit, passed: limit.amount * (passed // limit.window + 2),
    "sliding_window": lambda limit, passed: limit.amount * (passed // limit.window + 2),
    "sliding_log": lambda limit, passed: limit.amount * (passed // limit.window + 1),
    # Of what nobody gives back.
    "concurrency": lambda limit, passed: limit.amount * (passed // limit.window + 1),
}
"""What may be taken at most between two requests that are so far apart, both counted."""


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=150)
@for_all(data=st.data(), skew=st.sampled_from([0, 0, 15, 200]))
def test_no_stretch_of_time_sees_more_than_the_bound(
    name: str, data: st.DataObject, skew: int
) -> None:
    limit, steps = data.draw(limits(name)), data.draw(STEPS)
    counter, state = algorithm(limit), None
    taken: list[tuple[int, int]] = []
    for now, cost in requests(limit, steps):
        clock = now + (data.draw(st.integers(-skew, skew)) if skew else 0)
        verdict, state = counter.decide(state, clock, cost)
        if verdict.allowed:
            taken.append((now, cost))
    for first, (since, _) in enumerate(taken):
        total = 0
        for at, cost in taken[first:]:
            total += cost
            assert total <= BOUNDS[name](limit, at - since + 2 * skew)


def test_a_window_counts_the_one_before_by_what_of_it_is_less_than_a_window_ago() -> None:
    minute = 60 * SECOND
    counter = SlidingWindow(Limit("a", "sliding_window", 100, minute, 100))
    noon = START // minute
    state = Window(noon, taken=40, before=60)
    half_past = noon * minute + minute // 2
    allowed, after = counter.decide(state, half_past, 30)
    assert (allowed.allowed, allowed.remaining) == (True, 0)  # 40 + 60 / 2 = 70, and 30 more
    assert not counter.decide(after, half_past, 1)[0].allowed


def test_who_comes_often_is_not_starved_of_what_fills_slowly() -> None:
    limit = Limit("a", "token_bucket", 1, 60 * SECOND, 1)
    counter, state, allowed = algorithm(limit), None, 0
    for tick in range(0, 601, 1):
        verdict, state = counter.decide(state, START + tick * SECOND, 1)
        allowed += verdict.allowed
    assert allowed == 11


def test_a_queue_says_how_long_to_hold_back() -> None:
    counter = algorithm(Limit("a", "leaky_bucket", 2, SECOND, 3))
    state, delays = None, []
    for _ in range(4):
        verdict, state = counter.decide(state, START, 1)
        delays.append(verdict.delay if verdict.allowed else None)
    assert delays == [0, SECOND // 2, SECOND, None]


def test_an_interval_that_is_no_whole_number_never_fills_a_bucket_sooner() -> None:
    counter = algorithm(Limit("a", "token_bucket", 7, SECOND, 1))
    state, passed = None, 0
    for taken in range(1, 50):
        verdict, state = counter.decide(state, START + passed, 1)
        assert verdict.allowed
        assert taken <= 1 + Fraction(7 * passed, SECOND)
        passed += counter.decide(state, START + passed, 1)[0].wait
