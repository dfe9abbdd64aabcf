from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any, get_args

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from functions.edge.limits.algorithms import SECOND, Limit, Name, algorithm
from functions.edge.limits.buckets import TRIES, Buckets, Busy, Group, Taking
from tests.support.interleave import seeded
from tests.unit.edge.limits.table import Table

NAMES = get_args(Name)
START = 1_795_000_000 * SECOND
GONE_AT = 1_795_999_999
MINUTE = 60 * SECOND


@cache
def shared() -> Table:
    return Table()


@pytest.fixture
def table() -> Table:
    shared().clear()
    return shared()


def minute(name: Any, amount: int, id: str = "a") -> Limit:
    return Limit(id, name, amount, MINUTE, amount)


def taken(buckets: Buckets, limit: Limit, now: int, cost: int = 1, key: str = "ada") -> bool:
    [verdict] = buckets.take([Group(key, [Taking(limit, cost)], GONE_AT)], now)
    return verdict.allowed


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60)
@for_all(data=st.data(), containers=st.integers(1, 4))
def test_containers_that_take_turns_decide_as_one(
    name: str, data: st.DataObject, containers: int
) -> None:
    limit, table = minute(name, data.draw(st.integers(1, 9))), shared()
    table.clear()
    container = [table.container() for _ in range(containers)]
    counter, state, now = algorithm(limit), None, START
    for _ in range(data.draw(st.integers(0, 40))):
        now += data.draw(st.sampled_from([0, 1, SECOND, 7 * SECOND, MINUTE]))
        cost = data.draw(st.integers(1, limit.at_once))
        verdict, state = counter.decide(state, now, cost)
        asked = container[data.draw(st.integers(0, containers - 1))]
        [found] = asked.take([Group("ada", [Taking(limit, cost)], GONE_AT)], now)
        # A denial may be told from what was known a moment ago.
        assert found.allowed == verdict.allowed
        assert found == verdict or not verdict.allowed


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(8))
def test_however_containers_race_exactly_so_many_get_through(
    table: Table, name: str, seed: int
) -> None:
    limit, chance = minute(name, 10), random.Random(seed)

    won: list[bool] = []

    def container() -> Callable[[], None]:
        buckets, attempts = table.container(), chance.randrange(1, 5)
        return lambda: won.extend(attempt(buckets, limit) for _ in range(attempts))

    actors = {f"container-{number}": container() for number in range(12)}
    seeded(lambda: actors, seed).results()
    allowed = sum(won)
    if name in ("sliding_log", "concurrency"):
        # Who loses five times in a row is told so, and by then took nothing.
        assert allowed <= 10
    else:
        assert allowed == 10


def attempt(buckets: Buckets, limit: Limit) -> bool:
    try:
        return taken(buckets, limit, START)
    except Busy:
        return False


@pytest.mark.parametrize("name", NAMES)
def test_a_container_alone_writes_once_and_is_refused_for_nothing(table: Table, name: str) -> None:
    limit = minute(name, 5)
    buckets = table.container()
    for place in range(5):
        assert taken(buckets, limit, START + place)
        assert table.calls == place + 1
    for place in range(20):
        assert not taken(buckets, limit, START + 5 + place)
    assert table.calls == 5


@pytest.mark.parametrize("name", NAMES)
def test_a_container_that_comes_to_a_bucket_in_use_learns_of_it_by_one_refusal(
    table: Table, name: str
) -> None:
    limit = minute(name, 3)
    assert taken(table.container(), limit, START)
    before = table.calls
    assert taken(table.container(), limit, START)
    assert table.calls == before + 2
    assert taken(table.container(), limit, START)
    assert not taken(table.container(), limit, START)
    assert table.calls == before + 5


def test_a_denial_that_was_not_read_just_now_is_read_again(table: Table) -> None:
    limit = minute("token_bucket", 1)
    buckets = table.container()
    assert taken(buckets, limit, START)
    assert not taken(buckets, limit, START + SECOND)
    assert table.calls == 1
    for passed in range(1, 4):
        assert not taken(buckets, limit, START + SECOND + passed)
        assert table.calls == 2


def test_a_denial_from_the_future_is_read_again(table: Table) -> None:
    limit, buckets = minute("token_bucket", 1), table.container()
    assert taken(buckets, limit, START)
    table.forget("ada")
    assert taken(buckets, limit, START - MINUTE)


def test_of_several_limits_all_are_taken_or_none(table: Table) -> None:
    second = Limit("s", "fixed_window", 2, SECOND, 2)
    limits = [Taking(second, 1), Taking(minute("token_bucket", 3, "m"), 1)]
    buckets = table.container()

    def take(now: int) -> list[bool]:
        return [verdict.allowed for verdict in buckets.take([Group("ada", limits, GONE_AT)], now)]

    assert take(START) == take(START + 1) == [True, True]
    assert take(START + 2) == [False, True]
    assert take(START + SECOND) == [True, True]
    assert take(START + SECOND + 1) == [True, False]
    assert table.calls == 3
    # Refused by the other, it took nothing of this one.
    assert table.item("ada")["n_s"] == {"N": "1"}


def test_identities_do_not_know_of_each_other(table: Table) -> None:
    limit, buckets = minute("token_bucket", 1), table.container()
    assert taken(buckets, limit, START, key="ada")
    assert taken(buckets, limit, START, key="bob")
    assert not taken(buckets, limit, START, key="ada")


def test_what_is_kept_says_when_it_may_go(table: Table) -> None:
    assert taken(table.container(), minute("token_bucket", 5), START)
    assert table.item("ada")["gone_at"] == {"N": str(GONE_AT)}


def test_what_the_table_has_forgotten_begins_anew(table: Table) -> None:
    limit = minute("fixed_window", 1)
    buckets = table.container()
    assert taken(buckets, limit, START)
    table.forget("ada")
    assert taken(buckets, limit, START + 2 * SECOND)


@pytest.mark.parametrize("name", NAMES)
def test_a_bucket_that_began_anew_is_not_taken_for_the_one_that_was(
    table: Table, name: str
) -> None:
    limit, later = minute(name, 2), START + 10 * MINUTE
    first, second = table.container(), table.container()
    assert taken(first, limit, START)
    table.forget("ada")
    assert taken(second, limit, later)
    assert [taken(first, limit, later + place) for place in (1, 2)] == [True, False]


def test_who_always_loses_is_told_so(table: Table) -> None:
    limit = minute("sliding_log", 100)
    loser, others = table.container(), table.container()
    table.rival = lambda: taken(others, limit, START)
    with pytest.raises(Busy):
        taken(loser, limit, START)
    assert table.calls == 2 * TRIES


def both(*costs: int, most: int = 10) -> list[Group]:
    """A limit of hers and one of theirs together."""
    return [
        Group(key, [Taking(minute("token_bucket", most), cost)], GONE_AT)
        for key, cost in zip(("ada", "acme"), costs, strict=True)
    ]


def test_of_several_identities_all_are_taken_from_or_none(table: Table) -> None:
    buckets = table.container()
    found = [[v.allowed for v in buckets.take(both(1, 2, most=3), START)] for _ in range(3)]
    assert found == [[True, True], [True, False], [True, False]]
    assert table.calls == 1
    left = [verdict.remaining for verdict in buckets.take(both(2, 1, most=3), START)]
    assert left == [0, 0]


def test_a_transaction_that_is_refused_shows_what_stands_there(table: Table) -> None:
    first, second = table.container(), table.container()
    assert all(verdict.allowed for verdict in first.take(both(1, 1), START))
    assert all(verdict.allowed for verdict in second.take(both(1, 1), START))
    assert table.calls == 3


@pytest.mark.parametrize("seed", range(8))
def test_however_containers_race_for_two_identities_neither_is_overdrawn(
    table: Table, seed: int
) -> None:
    chance, taken_of = random.Random(seed), Counter[str]()

    def container() -> Callable[[], None]:
        buckets, wanted = table.container(), [chance.choice(CHOICES) for _ in range(4)]

        def take() -> None:
            for groups in wanted:
                with suppress(Busy):
                    if all(verdict.allowed for verdict in buckets.take(groups, START)):
                        taken_of.update(group.key for group in groups)

        return take

    actors = {f"container-{number}": container() for number in range(8)}
    seeded(lambda: actors, seed).results()
    assert max(taken_of.values()) <= 10
    kept = {key: int(table.item(key)["t_a"]["N"]) - START for key in taken_of}
    assert kept == {key: number * MINUTE // 10 for key, number in taken_of.items()}


CHOICES = [both(1, 1), both(1, 1)[:1], both(1, 1)[1:]]


def test_who_meets_a_transaction_tries_again(table: Table) -> None:
    table.conflicts = 2
    assert taken(table.container(), minute("token_bucket", 3), START)
    assert table.calls == 3
    assert table.item("ada")["t_a"] == {"N": str(START + 20 * SECOND)}
