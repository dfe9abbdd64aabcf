from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import assume, settings
from hypothesis import given as for_all
from hypothesis import strategies as st

from functions.edge.limits.algorithms import (
    MAX_LOG,
    MOST,
    SECOND,
    Algorithm,
    Limit,
    Name,
    Update,
    algorithm,
    replacing,
)
from tests.unit.edge.limits.reference import allows
from tests.unit.edge.limits.test_algorithms import START, limits

COUNTING = [name for name in get_args(Name) if name != "concurrency"]
STEPS = st.lists(
    st.tuples(st.integers(0, 120), st.sampled_from([1, 2, 3, 6, -1, -2, -6, 7]), st.booleans()),
    max_size=50,
)
"""How long after the last step the next one comes, what it costs, and whether it is an adjustment:
what is given back always is."""


def followed(
    counter: Algorithm, limit: Limit, steps: list[tuple[int, int, bool]]
) -> tuple[Any, int, list[tuple[int, int]]]:
    """The state after steps, when that is, and what was taken, charged and given back."""
    state, now, taken = None, START, []
    for passed, cost, adjusts in steps:
        now += passed
        if adjusts or cost < 0:
            state = counter.adjusted(state, now, cost)
            taken.append((now, cost))
            continue
        cost = min(cost, limit.at_once)
        verdict, state = counter.decide(state, now, cost)
        assert verdict.allowed == allows(limit, taken, now, cost)
        if verdict.allowed:
            taken.append((now, cost))
    return state, now, taken


@settings(max_examples=250)
@for_all(limit=limits(*COUNTING), steps=STEPS)
def test_what_is_allowed_between_adjustments_is_what_the_reference_allows(
    limit: Limit, steps: list[tuple[int, int, bool]]
) -> None:
    followed(algorithm(limit), limit, steps)


@settings(max_examples=150)
@for_all(limit=limits(*COUNTING), steps=STEPS, cost=st.integers(1, 6))
def test_who_waits_as_long_as_told_is_allowed_though_more_was_charged_than_there_was(
    limit: Limit, steps: list[tuple[int, int, bool]], cost: int
) -> None:
    counter = algorithm(limit)
    state, now, _ = followed(counter, limit, steps)
    cost = min(cost, limit.at_once)
    verdict, _ = counter.decide(state, now, cost)
    assume(not verdict.allowed)
    assert verdict.wait > 0
    assert not counter.decide(state, now + verdict.wait - 1, cost)[0].allowed
    assert counter.decide(state, now + verdict.wait, cost)[0].allowed
    assert counter.decide(state, now + verdict.reset, limit.at_once)[0].allowed


@settings(max_examples=150)
@for_all(limit=limits(*COUNTING), steps=STEPS, back=st.integers(1, 10**6))
def test_giving_back_makes_no_more_available_than_there_ever_is(
    limit: Limit, steps: list[tuple[int, int, bool]], back: int
) -> None:
    counter = algorithm(limit)
    state, now, _ = followed(counter, limit, steps)
    before, _ = counter.decide(state, now, 1)
    after, _ = counter.decide(counter.adjusted(state, now, -back), now, 1)
    assert after.remaining <= limit.at_once - after.allowed
    if limit.algorithm != "sliding_window" and back > 10_000:
        assert after.remaining == limit.at_once - 1
    assert after.remaining >= before.remaining


@settings(max_examples=250)
@for_all(
    limit=limits(*COUNTING),
    steps=STEPS,
    cost=st.integers(1, 6),
    later=st.integers(0, 60),
    probes=st.lists(st.tuples(st.integers(0, 90), st.integers(1, 6)), min_size=1, max_size=6),
)
def test_what_is_given_back_in_its_window_is_as_if_it_was_never_taken(
    limit: Limit,
    steps: list[tuple[int, int, bool]],
    cost: int,
    later: int,
    probes: list[tuple[int, int]],
) -> None:
    counter = algorithm(limit)
    state, now, _ = followed(counter, limit, steps)
    cost = min(cost, limit.at_once)
    verdict, taken = counter.decide(state, now, cost)
    assume(verdict.allowed)
    assume("window" not in limit.algorithm or (now + later) // limit.window == now // limit.window)
    assume(limit.algorithm != "sliding_log" or later < limit.window)
    given_back = counter.adjusted(taken, now + later, -cost)
    same_as(limit, state, given_back, now + later, probes)


@settings(max_examples=150)
@for_all(
    limit=limits(*COUNTING),
    steps=STEPS,
    cost=st.sampled_from([1, 5, 100, 65_534, 65_536, 10**6]),
    probes=st.lists(st.tuples(st.integers(0, 90), st.integers(1, 6)), min_size=1, max_size=6),
)
def test_what_is_charged_and_given_back_is_as_if_it_never_was(
    limit: Limit, steps: list[tuple[int, int, bool]], cost: int, probes: list[tuple[int, int]]
) -> None:
    counter = algorithm(limit)
    state, now, _ = followed(counter, limit, steps)
    charged = counter.adjusted(state, now, cost)
    same_as(limit, state, counter.adjusted(charged, now, -cost), now, probes)


def same_as(limit: Limit, one: Any, other: Any, now: int, probes: list[tuple[int, int]]) -> None:
    """Asserts that two states decide the same from now on."""
    counter = algorithm(limit)
    for passed, wanted in probes:
        now, cost = now + passed, min(wanted, limit.at_once)
        [(expected, one), (found, other)] = [counter.decide(x, now, cost) for x in (one, other)]
        assert found == expected


@settings(max_examples=150)
@for_all(limit=limits(*COUNTING), steps=STEPS, cost=st.integers(1, 20))
def test_what_is_charged_is_less_that_remains_and_never_less_than_none(
    limit: Limit, steps: list[tuple[int, int, bool]], cost: int
) -> None:
    counter = algorithm(limit)
    state, now, _ = followed(counter, limit, steps)

    def left(state: Any) -> int:
        verdict, _ = counter.decide(state, now, 1)
        return verdict.remaining + verdict.allowed

    assert left(counter.adjusted(state, now, cost)) == max(0, left(state) - cost)


@pytest.mark.parametrize("name", ["fixed_window", "sliding_window", "sliding_log"])
@settings(max_examples=100)
@for_all(data=st.data(), steps=STEPS, back=st.integers(1, 9))
def test_in_a_window_that_is_over_there_is_nothing_to_give_back(
    name: str, data: st.DataObject, steps: list[tuple[int, int, bool]], back: int
) -> None:
    limit = data.draw(limits(name))
    counter = algorithm(limit)
    state, now, _ = followed(counter, limit, steps)
    assert counter.adjusted(state, now + limit.window, -back) == state


@pytest.mark.parametrize("name", ["token_bucket", "leaky_bucket"])
def test_a_bucket_that_is_charged_beyond_its_depth_refuses_until_it_is_filled(name: Any) -> None:
    counter = algorithm(Limit("a", name, 10, 10 * SECOND, 10))
    state = counter.adjusted(None, START, 35)
    verdict, _ = counter.decide(state, START, 1)
    assert (verdict.allowed, verdict.remaining, verdict.wait) == (False, 0, 26 * SECOND)
    assert not counter.decide(state, START + 26 * SECOND - 1, 1)[0].allowed
    assert counter.decide(state, START + 26 * SECOND, 1)[0].allowed
    assert counter.decide(state, START + 35 * SECOND, 10)[0].allowed


def test_a_log_grows_no_longer_however_often_it_is_charged() -> None:
    limit = Limit("a", "sliding_log", MAX_LOG, 60 * SECOND, MAX_LOG)
    counter, state = algorithm(limit), None
    for tick in range(3 * MAX_LOG):
        state = counter.adjusted(state, START + tick, 10**6)
    item = counter.kept(state)
    assert len(item["l_a"]["B"]) == 10 * MAX_LOG
    assert counter.state(item) == state
    newest = START + 3 * MAX_LOG - 1
    assert not counter.decide(state, newest + 60 * SECOND - 1, 1)[0].allowed
    assert counter.decide(state, newest + 60 * SECOND, MAX_LOG)[0].allowed
    assert {taken for _, taken in state.entries} == {MOST}


@pytest.mark.parametrize("name", get_args(Name))
def test_a_state_is_read_as_it_is_kept(name: Any) -> None:
    counter = algorithm(Limit("a", name, 5, 60 * SECOND, 5))
    state = None
    for tick in range(3):
        _, state = counter.decide(state, START + tick * 40 * SECOND, 2)
    kept = counter.kept(state)
    assert tuple(kept) == counter.names
    assert counter.state(kept) == state


def test_an_item_is_replaced_as_it_was_read() -> None:
    kept = {"w_a": {"N": "2"}, "n_a": {"N": "7"}}
    assert replacing({"w_a": {"N": "1"}, "x": {"N": "9"}}, kept) == Update(
        "w_a = :w_awas AND attribute_not_exists(n_a)",
        sets=("w_a = :w_a", "n_a = :n_a"),
        values={":w_a": {"N": "2"}, ":w_awas": {"N": "1"}, ":n_a": {"N": "7"}},
    )
