from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import get_args

import pytest

from functions.edge.limits.algorithms import SECOND, Limit, Name, Verdict
from functions.edge.limits.buckets import (
    LOWERED_S,
    SPARE_S,
    TRUSTED,
    Buckets,
    Busy,
    Group,
    Once,
    Taking,
)
from functions.kernel.backoff import Backoff
from functions.kernel.errors import CommandReused, Conflict
from tests.support.interleave import seeded
from tests.unit.edge.limits.table import Table
from tests.unit.edge.limits.test_buckets import GONE_AT, MINUTE, START, attempt, minute, taken

COUNTING = [name for name in get_args(Name) if name != "concurrency"]
BACKOFF = Backoff(sleep=lambda _: None, jitter=lambda: 0.5)
MINE, OTHERS = b"12345678", b"87654321"


@cache
def shared() -> Table:
    return Table()


@pytest.fixture
def table() -> Table:
    shared().clear()
    return shared()


def once(key: str, digest: str = "d") -> Once:
    return Once(f"once#{key}", digest, GONE_AT)


def adjust(buckets: Buckets, limit: Limit, cost: int, key: str = "k", now: int = START) -> Verdict:
    group = Group("ada", [Taking(limit, cost)], GONE_AT)
    [verdict] = buckets.adjust([group], once(key), now, BACKOFF)
    return verdict


@pytest.mark.parametrize("name", COUNTING)
def test_what_is_given_back_is_seen_at_once_here_and_in_a_second_elsewhere(
    table: Table, name: str
) -> None:
    limit, here, elsewhere = minute(name, 1), table.container(), table.container()
    assert taken(here, limit, START)
    assert not taken(here, limit, START)
    assert not taken(elsewhere, limit, START)
    assert adjust(here, limit, -1).remaining == 1
    assert not taken(elsewhere, limit, START + TRUSTED)
    assert taken(here, limit, START + TRUSTED)
    assert adjust(here, limit, -1, "again", START + TRUSTED).remaining == 1
    assert taken(elsewhere, limit, START + TRUSTED + 1)
    assert not taken(elsewhere, limit, START + TRUSTED + 1)


@pytest.mark.parametrize("name", ["token_bucket", "leaky_bucket", "fixed_window", "sliding_window"])
def test_what_was_given_back_elsewhere_is_seen_though_a_transaction_came_through(
    table: Table, name: str
) -> None:
    """A transaction does not tell what it led to: what is assumed then is as old as its base."""
    limit, here, elsewhere = minute(name, 5), table.container(), table.container()

    def both(now: int) -> bool:
        groups = [Group(key, [Taking(limit, 1)], GONE_AT) for key in ("ada", "acme")]
        return all(verdict.allowed for verdict in here.take(groups, now))

    start = START // limit.window * limit.window
    assert [both(start + place) for place in range(4)] == [True] * 4
    for key in ("ada", "acme"):
        group = Group(key, [Taking(limit, -3)], GONE_AT)
        elsewhere.adjust([group], once(key), start + 4, BACKOFF)
    later = start + 2 * TRUSTED
    assert [both(later + place) for place in range(4)] == [True] * 4


@pytest.mark.parametrize("name", COUNTING)
def test_an_adjustment_is_a_read_and_a_transaction_and_happens_once(
    table: Table, name: str
) -> None:
    limit, buckets = minute(name, 9), table.container()
    assert taken(buckets, limit, START, 5)
    before = table.calls
    first = adjust(buckets, limit, -2)
    assert first.allowed
    assert table.calls == before + 2
    assert adjust(buckets, limit, -2) == adjust(table.container(), limit, -2) == first
    assert taken(buckets, limit, START, 6)
    assert not taken(buckets, limit, START)


def test_a_key_of_another_adjustment_changes_nothing(table: Table) -> None:
    limit, buckets = minute("fixed_window", 9), table.container()
    adjust(buckets, limit, 5)
    group = Group("ada", [Taking(limit, -5)], GONE_AT)
    with pytest.raises(CommandReused):
        buckets.adjust([group], once("k", "other"), START, BACKOFF)
    assert table.item("ada")["n_a"] == {"N": "5"}


def test_what_changes_nothing_leaves_its_mark_all_the_same(table: Table) -> None:
    limit, buckets = minute("fixed_window", 9), table.container()
    assert adjust(buckets, limit, -5).allowed
    assert taken(buckets, limit, START, 9)
    assert not adjust(buckets, limit, -5).allowed
    assert table.item("once#k")["gone_at"] == {"N": str(GONE_AT)}
    assert buckets.adjust([], once("nobody"), START, BACKOFF) == []
    assert table.item("once#nobody")["digest"] == {"S": "d"}


def test_of_several_identities_all_are_charged_and_none_twice(table: Table) -> None:
    buckets, limit = table.container(), minute("fixed_window", 9)
    groups = [Group(key, [Taking(limit, cost)], GONE_AT) for key, cost in (("a", 3), ("b", -1))]
    for _ in range(2):
        found = buckets.adjust(groups, once("k"), START, BACKOFF)
        assert [each.remaining for each in found] == [6, 9]
    assert table.item("a")["n_a"] == {"N": "3"}


@pytest.mark.parametrize("name", COUNTING)
@pytest.mark.parametrize("seed", range(6))
def test_however_adjustments_race_with_checks_every_one_counts_once(
    table: Table, name: str, seed: int
) -> None:
    limit, chance, net = minute(name, 40), random.Random(seed), [30]
    assert taken(table.container(), limit, START, 30)

    def container(number: int) -> Callable[[], None]:
        buckets, costs = table.container(), [chance.choice([-2, -1, 1, 3]) for _ in range(2)]

        def run() -> None:
            for place, cost in enumerate(costs):
                with suppress(Conflict):
                    for _ in range(2):
                        adjust(buckets, limit, cost, f"{number}-{place}")
                    net.append(cost)
                net.append(int(attempt(buckets, limit)))

        return run

    actors = {f"container-{number}": container(number) for number in range(5)}
    seeded(lambda: actors, seed).results()
    assert len(net) > 1
    assert counted(table, name) == sum(net)


def counted(table: Table, name: str) -> int:
    """What an item of forty a minute says was taken."""
    item = table.item("ada")
    match name:
        case "token_bucket" | "leaky_bucket":
            return (int(item["t_a"]["N"]) - START) * 40 // MINUTE
        case "sliding_log":
            content = item["l_a"]["B"]
            return sum(
                int.from_bytes(content[at + 8 : at + 10]) for at in range(0, len(content), 10)
            )
    return int(item["n_a"]["N"])


def test_who_always_loses_is_told_so_and_nothing_is_charged(table: Table) -> None:
    limit, loser, others = minute("fixed_window", 100), table.container(), table.container()
    table.rival = lambda: taken(others, limit, START)
    with pytest.raises(Conflict):
        adjust(loser, limit, 50)
    table.rival = None
    assert table.item("ada")["n_a"] == {"N": str(BACKOFF.attempts)}
    assert adjust(loser, limit, 50).remaining == 100 - BACKOFF.attempts - 50


def test_a_charge_beyond_the_limit_outlives_what_others_take_of_the_same_item(
    table: Table,
) -> None:
    charged, other = minute("token_bucket", 1, "a"), minute("token_bucket", 100, "b")
    buckets, lasts = table.container(), START // SECOND + 60 * 60
    soon = START // SECOND + 2 * 60
    buckets.adjust([Group("ada", [Taking(charged, 60)], soon)], once("k"), START, BACKOFF)
    for container in (buckets, table.container(), buckets):
        assert container.take([Group("ada", [Taking(other, 1)], soon)], START)[0].allowed
        assert lasts <= int(table.item("ada")["gone_at"]["N"]) <= lasts + SPARE_S + 1


def test_clocks_that_differ_a_little_cost_no_write(table: Table) -> None:
    limit, one, other = minute("token_bucket", 9), table.container(), table.container()
    for container, earlier in ((one, 0), (other, 0), (other, LOWERED_S), (one, LOWERED_S)):
        before = table.calls
        group = Group("ada", [Taking(limit, 1)], GONE_AT - earlier)
        assert container.take([group], START)[0].allowed
        assert table.calls - before == (2 if (container, earlier) == (other, 0) else 1)


def test_what_is_known_of_one_limit_grows_no_younger_by_what_is_taken_of_another(
    table: Table,
) -> None:
    one, other = minute("token_bucket", 1, "a"), minute("fixed_window", 100, "b")
    here, elsewhere = table.container(), table.container()
    assert taken(here, one, START)
    adjust(elsewhere, one, -1)
    for tick in range(1, 4):
        assert taken(here, other, START + tick * TRUSTED // 2)
    assert taken(here, one, START + 3 * TRUSTED // 2 + 1)


def test_what_is_known_of_a_limit_that_is_taken_often_is_not_read(table: Table) -> None:
    limit, buckets = minute("fixed_window", 3), table.container()
    for tick in range(3):
        assert taken(buckets, limit, START + tick * 2 * TRUSTED)
    assert not taken(buckets, limit, START + 5 * TRUSTED)
    assert table.calls == 3


# ---- What is in flight --------------------------------------------------------------------------


FLIGHT = Limit("f", "concurrency", 2, MINUTE, 2)


def start(buckets: Buckets, slot: bytes, now: int = START, cost: int = 1) -> Verdict:
    [verdict] = buckets.take([Group("ada", [Taking(FLIGHT, cost, slot)], GONE_AT)], now)
    return verdict


def end(buckets: Buckets, slot: bytes, now: int = START) -> Verdict:
    [verdict] = buckets.release([Group("ada", [Taking(FLIGHT, 0, slot)], GONE_AT)], now, BACKOFF)
    return verdict


def test_so_many_are_in_flight_and_who_ends_makes_room_for_one(table: Table) -> None:
    buckets = table.container()
    assert start(buckets, MINE).remaining == 1
    assert start(buckets, OTHERS, START + SECOND).remaining == 0
    refused = start(buckets, b"third...", START + 2 * SECOND)
    assert (refused.allowed, refused.wait, refused.reset) == (False, 58 * SECOND, 59 * SECOND)
    assert end(buckets, OTHERS, START + 3 * SECOND).remaining == 1
    assert start(buckets, b"third...", START + 3 * SECOND).allowed
    assert not start(buckets, b"fourth..", START + 3 * SECOND).allowed


def test_a_slot_that_nobody_gives_back_frees_itself(table: Table) -> None:
    buckets = table.container()
    assert start(buckets, MINE).allowed
    assert start(buckets, OTHERS, START + SECOND).allowed
    assert not start(buckets, b"third...", START + MINUTE - 1).allowed
    assert start(buckets, b"third...", START + MINUTE).allowed
    assert not start(buckets, b"fourth..", START + MINUTE).allowed


@pytest.mark.parametrize("now", [START, START + MINUTE, START + 3 * MINUTE])
@pytest.mark.parametrize("slot", [MINE, b"nobody's"])
def test_a_slot_that_is_not_there_frees_nobody_elses(table: Table, now: int, slot: bytes) -> None:
    buckets = table.container()
    assert start(buckets, MINE).allowed
    end(buckets, MINE)
    held = [start(buckets, each, now).allowed for each in (OTHERS, b"third...")]
    before, kept = table.calls, table.item("ada")
    for container in (buckets, table.container()):
        assert not end(container, slot, now).allowed
    assert held == [True, True]
    assert table.item("ada") == kept
    assert table.calls == before + 2


def test_what_ends_is_a_read_and_a_write_and_seen_here_at_once(table: Table) -> None:
    here, elsewhere = table.container(), table.container()
    assert start(here, MINE).allowed
    assert start(here, OTHERS).allowed
    assert not start(elsewhere, b"third...").allowed
    before = table.calls
    assert end(here, MINE).allowed
    assert table.calls == before + 2
    assert start(here, b"third...").allowed
    assert end(elsewhere, OTHERS).allowed
    assert start(elsewhere, b"fourth..").allowed


def test_what_takes_several_slots_gives_all_of_them_back(table: Table) -> None:
    buckets = table.container()
    assert start(buckets, MINE, cost=2).remaining == 0
    assert end(buckets, MINE).allowed
    assert start(buckets, OTHERS, cost=2).allowed


def test_a_slot_is_taken_with_the_other_limits_of_its_identity_or_not_at_all(
    table: Table,
) -> None:
    buckets, rate = table.container(), minute("token_bucket", 1)

    def both(slot: bytes) -> list[bool]:
        takings = [Taking(FLIGHT, 1, slot), Taking(rate, 1, slot)]
        return [v.allowed for v in buckets.take([Group("ada", takings, GONE_AT)], START)]

    assert both(MINE) == [True, True]
    assert both(OTHERS) == [True, False]
    assert table.calls == 1
    assert end(buckets, MINE).remaining == 2


@pytest.mark.parametrize("seed", range(12))
def test_however_they_race_no_more_are_in_flight_than_may_be(table: Table, seed: int) -> None:
    limit, chance = FLIGHT._replace(amount=3), random.Random(seed)
    flying: set[bytes] = set()
    seen: list[int] = []

    def container(number: int) -> Callable[[], None]:
        buckets, ends = table.container(), [chance.random() < 0.6 for _ in range(4)]

        def run() -> None:
            for turn, is_ended in enumerate(ends):
                slot = bytes([number, turn] * 4)
                group = [Group("ada", [Taking(limit, 1, slot)], GONE_AT)]
                with suppress(Busy, Conflict):
                    if buckets.take(group, START)[0].allowed:
                        flying.add(slot)
                        seen.append(len(flying))
                        if is_ended:
                            flying.discard(slot)
                            buckets.release(group, START, BACKOFF)

        return run

    actors = {f"container-{number}": container(number) for number in range(8)}
    seeded(lambda: actors, seed).results()
    assert max(seen) <= 3
    kept = table.item("ada")["h_f"]["B"]
    assert flying <= {kept[at + 8 : at + 16] for at in range(0, len(kept), 16)}


def test_who_always_loses_keeps_the_slot_until_it_frees_itself(table: Table) -> None:
    loser, others = table.container(), table.container()
    assert start(loser, MINE).allowed
    slots = iter(range(100))

    def rival() -> None:
        start(others, slot := bytes([next(slots)] * 8))
        end(others, slot)

    table.rival = rival
    with pytest.raises(Conflict):
        end(loser, MINE)
    table.rival = None
    assert start(loser, OTHERS).remaining == 0
    assert end(loser, MINE).remaining == 1
