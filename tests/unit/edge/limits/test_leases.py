from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from itertools import count

import pytest
from botocore.exceptions import ReadTimeoutError
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from functions.edge.limits import leases as module
from functions.edge.limits.algorithms import SECOND, Limit, TokenBucket, Verdict
from functions.edge.limits.buckets import Busy, Group, Once, Taking
from functions.edge.limits.leases import LEASE_LIFE, Leases
from functions.kernel.backoff import Backoff
from tests.support.interleave import seeded
from tests.unit.edge.limits.table import Table

START = 1_795_000_000 * SECOND
GONE_AT = 1_795_999_999
MILLI = 1_000_000
HUNDRED = Limit("a", "token_bucket", 100, 100 * SECOND, 100)
"""A token a second: what is not spent of a lease can be given back."""


@cache
def shared() -> Table:
    return Table()


@pytest.fixture
def table() -> Table:
    shared().clear()
    return shared()


def check(
    container: Leases, now: int, cost: int = 1, limit: Limit = HUNDRED, size: int = 10,
    key: str = "ada",
) -> Verdict:  # fmt: skip
    [verdict] = container.take([Group(key, [Taking(limit, cost, lease=size)], GONE_AT)], now)
    return verdict


def leasing(table: Table, key: str = "ada") -> Leases:
    """A container that was asked eleven times at once: it has five left of the six tokens that it
    took last, and sixteen are taken."""
    container, before = Leases(table.container()), table.calls
    for _ in range(11):
        assert check(container, START, key=key).allowed
    assert table.calls == before + 6
    assert taken(table, key) == 16
    table.calls = 0
    return container


def taken(table: Table, key: str = "ada") -> int:
    """How many tokens the table says are taken."""
    return (int(table.item(key)["t_a"]["N"]) - START) // HUNDRED.interval


def test_what_was_taken_ahead_is_served_without_a_call(table: Table) -> None:
    container = leasing(table)
    left = [check(container, START + place).remaining for place in range(5)]
    assert (left, table.calls) == ([88, 87, 86, 85, 84], 0)
    assert check(container, START).allowed
    assert table.calls == 1


def test_nothing_is_taken_ahead_of_who_asks_seldom(table: Table) -> None:
    container = Leases(table.container())
    for place in range(20):
        assert check(container, START + place * SECOND).allowed
        assert table.calls == place + 1
    assert taken(table) == 20


@pytest.mark.parametrize("size", [2, 3, 10, 50])
def test_a_lease_is_no_larger_than_its_rule_says_and_half_of_what_remains(
    table: Table, size: int
) -> None:
    container, asked = Leases(table.container()), 0
    while True:
        before = table.calls
        if not check(container, START, size=size).allowed:
            break
        asked += 1
        if table.calls > before:
            # Of what this check left, half was taken at most.
            assert taken(table) - asked <= min(size, (100 - asked) // 2)
    assert asked == 100


def test_a_lease_ends(table: Table) -> None:
    container = leasing(table)
    assert check(container, START + LEASE_LIFE - 1).allowed
    assert table.calls == 0
    assert check(container, START + LEASE_LIFE).allowed
    assert table.calls == 1


def test_what_is_left_of_a_lease_is_returned_in_the_update_that_takes_anew(table: Table) -> None:
    container = leasing(table)
    assert check(container, START + LEASE_LIFE).remaining == 100 - 12 + 1
    assert table.calls == 1
    # Eleven of it was asked for about a second ago: so two are taken ahead.
    assert taken(table) == 16 - 5 + 1 + 2


def test_only_what_has_not_refilled_is_returned(table: Table) -> None:
    container = leasing(table)
    assert check(container, START + 3 * SECOND + 1).allowed
    assert taken(table) == 16 - 2 + 1


@pytest.mark.parametrize("passed", [1, 2, 3, 5, 6, 10, 16, 30])
def test_what_has_refilled_and_was_taken_by_others_is_not_there_again(
    table: Table, passed: int
) -> None:
    container, others, now = leasing(table), Leases(table.container()), START + passed * SECOND
    admitted = 0
    while check(others, now, size=2).allowed:
        admitted += 1
    while check(container, now).allowed:
        admitted += 1
    # Eleven were admitted before, and one a second has come since.
    assert admitted <= min(100, 100 - 11 + passed) + 1


def test_a_lease_that_nobody_asks_for_is_returned_by_an_update_of_its_own(table: Table) -> None:
    container = leasing(table)
    check(container, START + LEASE_LIFE - 1, key="bob")
    assert (table.calls, taken(table)) == (1, 16)
    check(container, START + LEASE_LIFE, key="bob")
    assert (table.calls, taken(table)) == (3, 11)
    check(container, START + LEASE_LIFE, key="bob")
    assert (table.calls, taken(table)) == (4, 11)


def test_one_check_returns_one_lease_at_most(table: Table) -> None:
    container, keys = Leases(table.container()), ("ada", "bob", "eve")
    for key in keys:
        for _ in range(11):
            check(container, START, key=key)
    table.calls = 0
    for expected in (2, 4, 6, 7):
        check(container, START + LEASE_LIFE, key="zoe")
        assert table.calls == expected
    assert [taken(table, key) for key in keys] == [11, 11, 11]


def test_a_lease_that_has_refilled_costs_no_call(table: Table) -> None:
    container = leasing(table)
    check(container, START + 6 * SECOND, key="bob")
    assert (table.calls, taken(table)) == (1, 16)


def test_an_item_stays_as_long_after_a_return(table: Table) -> None:
    container = leasing(table)
    check(container, START + 3 * SECOND, key="bob")
    assert table.item("ada")["gone_at"] == {"N": str(GONE_AT + 3)}


def test_a_return_that_is_not_answered_is_not_made_again(table: Table) -> None:
    container, now = leasing(table), START + 3 * SECOND
    table.losses = 1
    with pytest.raises(ReadTimeoutError):
        check(container, now)
    assert (table.calls, taken(table)) == (1, 16 - 3 + 1)
    # Another restores what the bucket knows, as if nothing had been returned.
    assert check(Leases(table.container()), now, cost=2).allowed
    assert taken(table) == 16
    assert check(container, now).allowed
    assert taken(table) == 17


def test_a_return_of_its_own_that_is_not_answered_is_not_made_again(table: Table) -> None:
    container, turns = leasing(table), count()

    def rival() -> None:
        # Bob's own update comes first.
        table.losses = next(turns)

    table.rival = rival
    assert check(container, START + 3 * SECOND, key="bob").allowed
    table.rival = None
    assert (table.calls, taken(table)) == (2, 16 - 3)
    assert check(container, START + 3 * SECOND, key="bob").allowed
    assert (table.calls, taken(table)) == (3, 16 - 3)


def test_others_that_return_meanwhile_do_not_matter(table: Table) -> None:
    first, second = leasing(table), Leases(table.container())
    for _ in range(11):
        check(second, START)
    both, table.calls = taken(table), 0
    for container in (first, second):
        assert check(container, START + 3 * SECOND).allowed
    # Each had five left of six, of which three have refilled, and took one.
    assert (table.calls, taken(table)) == (2, both - 2 * 3 + 2)


def test_a_lease_that_may_have_been_returned_is_not_spent(table: Table) -> None:
    container = leasing(table)
    table.losses = 1
    with pytest.raises(ReadTimeoutError):
        check(container, START, cost=6)
    table.calls = 0
    assert check(container, START).allowed
    assert table.calls == 1


def test_a_denial_is_the_stores(table: Table) -> None:
    first, second = leasing(table), Leases(table.container())
    assert check(second, START, cost=84).allowed
    table.calls = 0
    # It has five, and the bucket none.
    assert not check(first, START, cost=6).allowed
    assert table.calls == 1
    assert [check(first, START).allowed for _ in range(6)] == [True] * 5 + [False]
    assert table.calls == 1


@pytest.mark.parametrize("elsewhere", [True, False])
def test_who_waits_as_long_as_told_is_allowed_whatever_is_left_of_a_lease(
    table: Table, elsewhere: bool
) -> None:
    container = leasing(table)
    # Eleven were spent, and five are left.
    refused = check(container, START, cost=91)
    assert (refused.allowed, refused.remaining) == (False, 89)
    other = Leases(table.container()) if elsewhere else container
    assert not check(other, START + refused.wait - 1, cost=91).allowed
    assert check(other, START + refused.wait, cost=91).allowed


def test_what_is_left_pays_with_what_the_bucket_has(table: Table) -> None:
    first, second = leasing(table), Leases(table.container())
    assert check(second, START, cost=80).allowed
    assert check(first, START, cost=9).allowed
    assert taken(table) == 100


def test_clocks_step_back(table: Table) -> None:
    container = leasing(table)
    assert check(container, START - 1).allowed
    # A lease from the future neither pays nor is returned.
    assert (table.calls, taken(table)) == (1, 17)
    check(container, START - SECOND, key="bob")
    assert (table.calls, taken(table)) == (2, 17)


@pytest.mark.parametrize(
    ("limit", "size"),
    [(HUNDRED, 9), (HUNDRED._replace(amount=50), 10), (HUNDRED._replace(id="b"), 10)],
)
def test_an_edited_rule_begins_anew(table: Table, limit: Limit, size: int) -> None:
    container = leasing(table)
    assert check(container, START, limit=limit, size=size).allowed
    assert table.calls == 1


def both(*sizes: int, cost: int = 1) -> list[Group]:
    limits = HUNDRED, Limit("m", "token_bucket", 1000, 60 * SECOND, 60)
    takings = [Taking(each, cost, lease=size) for each, size in zip(limits, sizes, strict=True)]
    return [Group("ada", takings, GONE_AT)]


def test_limits_of_one_bucket_lease_together(table: Table) -> None:
    container = Leases(table.container())
    found = [container.take(both(10, 5), START) for _ in range(20)]
    assert table.calls < 12
    assert [[verdict.remaining for verdict in each] for each in found] == [
        [99 - place, 59 - place] for place in range(20)
    ]


@pytest.mark.parametrize("sizes", [(10, 0), (0, 5), (0, 0)])
def test_where_one_limit_does_not_lease_none_does(table: Table, sizes: tuple[int, int]) -> None:
    container = Leases(table.container())
    for place in range(20):
        container.take(both(*sizes), START)
        assert table.calls == place + 1


def test_limits_of_two_buckets_do_not_lease(table: Table) -> None:
    container = Leases(table.container())
    groups = [Group(key, [Taking(HUNDRED, 1, lease=10)], GONE_AT) for key in ("ada", "acme")]
    for place in range(20):
        container.take(groups, START)
        assert table.calls == place + 1


def test_a_container_has_so_many_leases_at_once(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HELD", 2)
    container = Leases(table.container())
    for key in ("ada", "bob", "eve"):
        for _ in range(11):
            check(container, START, key=key)
    for key, calls in (("eve", 0), ("bob", 0), ("ada", 1)):
        table.calls = 0
        check(container, START, key=key)
        assert table.calls == calls


@settings(max_examples=60)
@for_all(steps=st.lists(st.tuples(st.integers(0, 900), st.integers(1, 4)), max_size=60))
def test_one_container_is_told_what_one_alone_may_take(steps: list[tuple[int, int]]) -> None:
    """What remains is what the next check may cost at most, and never less than nothing."""
    table, now = shared(), START
    table.clear()
    container = Leases(table.container())
    for passed, cost in steps:
        now += passed * MILLI
        verdict = check(container, now, cost)
        assert 0 <= verdict.remaining <= 100
        assert verdict.reset >= 0
        if verdict.allowed and verdict.remaining < 100:
            assert not check(container, now, verdict.remaining + 1).allowed
    left = check(container, now, 1).remaining
    assert left == 0 or check(container, now, left).allowed


class Traffic:
    """Rushes on one bucket and pauses between them, by many containers, each with a clock of its
    own, which crash now and then; and what was admitted when, what was given back as less."""

    def __init__(self, table: Table, seed: int, containers: int, skew: int) -> None:
        self._table, self._chance, self._skew = table, random.Random(seed), skew
        chance = self._chance
        interval, burst = chance.choice([1, 50, 400, 400]) * MILLI, chance.randrange(4, 80)
        amount = chance.randrange(1, 100)
        self.limit = Limit("a", "token_bucket", amount, amount * interval, burst)
        self.size = chance.randint(2, max(2, burst // 2))
        self.admitted: list[tuple[int, int]] = []
        self.now, self.slowest = START, 0
        self._containers = [self._container() for _ in range(containers)]
        self._adjusted = count()

    def _container(self) -> tuple[Leases, int]:
        return Leases(self._table.container()), self._chance.randint(-self._skew, self._skew)

    def step(self) -> None:
        """Some time passes, often none, and a container is asked; sometimes it is a new one."""
        chance, interval = self._chance, self.limit.interval
        if chance.random() < 0.2:
            self.now += chance.choice([interval // 3, LEASE_LIFE // 3, LEASE_LIFE])
        # A few have most to do.
        place = int(len(self._containers) * chance.random() ** 2)
        if chance.random() < 0.02:
            self._containers[place] = self._container()
        self._ask(self._containers[place], chance.choice([1] * 8 + [2, 5]))

    def rush(self) -> None:
        """All take leases, some time passes, one takes what there is, and all ask again."""
        chance, full = self._chance, self.limit.burst * self.limit.interval
        for container in self._containers:
            for _ in range(chance.choice([0, 7, 11])):
                self._ask(container)
        self.now += chance.choice([chance.randrange(full), chance.randrange(2 * LEASE_LIFE)])
        while self._ask(self._containers[0]):
            pass
        for container in self._containers:
            for _ in range(3):
                self._ask(container)

    def give_back(self) -> None:
        """Some of what was admitted, whenever that was, turns out to have cost nothing."""
        _, cost = self._chance.choice(self.admitted)
        group = Group("ada", [Taking(self.limit, -abs(cost))], GONE_AT)
        once = Once(f"once#{next(self._adjusted)}", "digest", GONE_AT)
        skewed = self.now + self._chance.randint(-self._skew, self._skew)
        self._table.container().adjust([group], once, skewed, Backoff())
        self.admitted.append((self.now, -abs(cost)))

    def _ask(self, container: tuple[Leases, int], cost: int = 1) -> bool:
        (leases, offset), began, allowed = container, self.now, False
        cost = min(cost, self.limit.burst)
        with suppress(Busy):
            allowed = check(leases, began + offset, cost, self.limit, self.size).allowed
        if allowed:
            self.admitted.append((began, cost))
        self.slowest = max(self.slowest, self.now - began)
        return allowed

    def stays_within(self, slack: int) -> None:
        """No stretch of time has seen more than the bound of one that is so much longer."""
        limit, admitted = self.limit, sorted(self.admitted, key=lambda each: each[0])
        for first, (since, _) in enumerate(admitted):
            total = 0
            for at, cost in admitted[first:]:
                total += cost
                assert total * limit.interval <= limit.burst * limit.interval + at - since + slack


SEEDS = st.integers(0, 10**9)


@settings(max_examples=80, deadline=None)
@for_all(seed=SEEDS, containers=st.integers(1, 5), skew=st.sampled_from([0, 0, 50, 2000]))
def test_no_stretch_of_time_sees_more_than_the_bound(seed: int, containers: int, skew: int) -> None:
    shared().clear()
    traffic = Traffic(shared(), seed, containers, skew * MILLI)
    for _ in range(3):
        traffic.rush()
        for _ in range(20):
            traffic.step()
    traffic.stays_within(LEASE_LIFE + 2 * skew * MILLI)


@settings(max_examples=80, deadline=None)
@for_all(seed=SEEDS, containers=st.integers(1, 5), skew=st.sampled_from([0, 0, 50, 2000]))
def test_what_is_given_back_while_leases_are_out_is_there_once(
    seed: int, containers: int, skew: int
) -> None:
    """A lease does not know how much of it a refund has refilled already."""
    shared().clear()
    traffic = Traffic(shared(), seed, containers, skew * MILLI)
    for _ in range(3):
        traffic.rush()
        for _ in range(10):
            traffic.step()
            traffic.give_back()
    traffic.stays_within(LEASE_LIFE + 2 * skew * MILLI)


@settings(max_examples=40, deadline=None)
@for_all(seed=SEEDS, containers=st.integers(2, 10))
def test_however_containers_come_between_each_other_the_bound_holds(
    seed: int, containers: int
) -> None:
    shared().clear()
    traffic = Traffic(shared(), seed, containers, skew=0)

    def actor() -> None:
        for _ in range(12):
            traffic.step()

    seeded(lambda: {f"actor-{number}": actor for number in range(containers)}, seed).results()
    # Who waits for an answer goes by a clock that is late by so much.
    traffic.stays_within(LEASE_LIFE + 2 * traffic.slowest)


@pytest.mark.parametrize("seed", range(3))
def test_of_two_thousand_checks_at_once_no_more_get_through_than_there_are(
    table: Table, seed: int
) -> None:
    limit = Limit("a", "token_bucket", 500, 3600 * SECOND, 500)
    won: list[bool] = []

    def container() -> Callable[[], None]:
        leases = Leases(table.container())

        def checks() -> None:
            for _ in range(40):
                with suppress(Busy):
                    won.append(check(leases, START, 1, limit, 20).allowed)

        return checks

    actors = {f"container-{number}": container() for number in range(50)}
    seeded(lambda: actors, seed).results()
    assert 450 < sum(won) <= 500


def poisson(rate: float, number: int, seed: int) -> Iterator[tuple[int, int]]:
    """When, and to which of fifty containers, so many checks come that are `rate` a second."""
    chance, now = random.Random(seed), START
    for _ in range(number):
        now += int(chance.expovariate(rate) * SECOND)
        yield now // MILLI * MILLI, chance.randrange(50)


def denied(takes: Sequence[Callable[[int], bool]], traffic: Iterator[tuple[int, int]]) -> int:
    """How many of the checks are refused."""
    return sum(not takes[place % len(takes)](now) for now, place in traffic)


@pytest.mark.parametrize("size", [2, 5, 20, 50])
@pytest.mark.parametrize(("load", "share"), [(0.9, 0), (1.2, 0.02)])
def test_few_are_refused_while_tokens_lie_in_the_leases_of_others(
    table: Table, size: int, load: float, share: float
) -> None:
    """Beside one bucket that all go to, on the same traffic."""
    limit, number = Limit("a", "token_bucket", 500, SECOND, 100), 2000
    bucket = TokenBucket(limit)
    state: list[int | None] = [None]

    def alone(now: int) -> bool:
        verdict, state[0] = bucket.decide(state[0], now, 1)
        return verdict.allowed

    def leasing(leases: Leases) -> Callable[[int], bool]:
        return lambda now: check(leases, now, 1, limit, size).allowed

    fifty = [leasing(Leases(table.container())) for _ in range(50)]
    least = denied([alone], poisson(load * 500, number, 1))
    found = denied(fifty, poisson(load * 500, number, 1))
    assert found - least <= share * number
