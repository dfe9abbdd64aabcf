from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from functions.edge.limits.algorithms import SECOND, TokenBucket
from functions.edge.limits.limiter import MILLI, Limiter
from functions.edge.limits.memory import Memory
from functions.edge.limits.rules import Asked, Rule
from tests.support.interleave import seeded
from tests.unit.edge.limits.table import Table

START = 1_795_000_000_000
RULE = Rule("hot", "/**", 100, 100, shards=4)
OTHER = Rule("cold", "/**", 1000, 100)
ADA = Asked("/", "GET", {"user": "ada"})


@cache
def shared() -> Table:
    return Table()


@pytest.fixture
def table() -> Table:
    shared().clear()
    return shared()


def limiter(buckets: Table | Memory, seed: int = 0) -> Limiter:
    """A container that chooses as its seed says."""
    chance = random.Random(seed)
    container = buckets.container() if isinstance(buckets, Table) else buckets
    return Limiter(container, chance.randbytes)


def allowed(container: Limiter, now: int = START, rule: Rule = RULE, cost: int = 1) -> bool:
    [decision] = container.check("default", [rule], ADA._replace(cost=cost), now)
    return decision.allows


@for_all(limit=st.integers(1, 2000), burst=st.integers(1, 2000), shards=st.integers(1, 20))
def test_shares_are_exactly_the_limit(limit: int, burst: int, shards: int) -> None:
    shards = min(limit, burst, shards)
    rule = Rule("hot", "/**", limit, 60, burst=burst, shards=shards)
    shares = [rule.share(shard) for shard in range(shards)]
    assert sum(share.amount for share in shares) == limit
    assert sum(share.burst for share in shares) == burst
    assert min(share.burst for share in shares) == rule.at_once >= 1
    longest = max(-(-share.burst * share.window // share.amount) for share in shares)
    assert rule.remembers * SECOND >= longest


@settings(max_examples=60, deadline=None)
@for_all(seed=st.integers(0, 10**9), containers=st.integers(1, 5), shards=st.integers(2, 8))
def test_no_stretch_of_time_sees_more_than_the_bound(
    seed: int, containers: int, shards: int
) -> None:
    shared().clear()
    chance, now = random.Random(seed), START
    limit, burst = chance.randrange(shards, 60), chance.randrange(shards, 60)
    rule = Rule("hot", "/**", limit, 10, burst=burst, shards=shards)
    running = [limiter(shared(), seed + number) for number in range(containers)]
    taken: list[tuple[int, int]] = []
    for _ in range(120):
        now += chance.choice([0, 0, 0, 5, 300])
        cost = chance.randint(1, rule.at_once)
        if allowed(chance.choice(running), now, rule, cost):
            taken.append((now, cost))
    for first, (since, _) in enumerate(taken):
        total = 0
        for at, cost in taken[first:]:
            total += cost
            assert total <= burst + (at - since) * limit / 10_000


@pytest.mark.parametrize("seed", range(4))
def test_however_containers_race_no_more_get_through_than_there_are(
    table: Table, seed: int
) -> None:
    won: list[bool] = []

    def container(number: int) -> Callable[[], None]:
        running = limiter(table, seed + number)
        return lambda: won.extend(allowed(running) for _ in range(12))

    actors = {f"container-{number}": container(number) for number in range(12)}
    seeded(lambda: actors, seed).results()
    assert 90 < sum(won) <= 100


def test_a_check_is_one_write_and_a_refused_one_two(table: Table) -> None:
    container = limiter(table)
    for place in range(60):
        assert allowed(container)
        # Now and then it meets a shard that it knows to be empty, and asks another at once.
        assert table.calls == place + 1
    while allowed(container):
        pass
    spent = table.calls
    assert spent == 100
    assert not allowed(container)
    assert table.calls == spent


def test_a_new_container_asks_two_and_no_more(table: Table) -> None:
    first, second = limiter(table), limiter(table, 1)
    while allowed(first):
        pass
    table.calls = 0
    assert not allowed(second)
    assert table.calls == 2
    assert not allowed(second)
    # All four are known by now.
    assert table.calls == 4
    assert not allowed(second)
    assert table.calls == 4


@pytest.mark.parametrize("seed", range(8))
def test_who_waits_as_long_as_told_is_allowed_wherever(table: Table, seed: int) -> None:
    container, now = limiter(table, seed), START
    for _ in range(4):
        # A whole shard: each has room at another time.
        assert allowed(container, now, cost=25)
        now += 300
    [refused] = container.check("default", [RULE], ADA, now - 300)
    assert refused.verdict is not None
    wait = refused.verdict.wait // MILLI
    assert allowed(limiter(table, seed + 1), now - 300 + wait)


def test_what_costs_more_than_a_shard_ever_has_is_refused_for_good(table: Table) -> None:
    container = limiter(table)
    assert allowed(container, cost=25)
    [decision] = container.check("default", [RULE], ADA._replace(cost=26), START)
    assert decision.verdict is not None
    assert (decision.verdict.allowed, decision.verdict.wait) == (False, 0)


def test_a_rule_with_shards_shares_no_item(table: Table) -> None:
    container = limiter(table)
    for _ in range(20):
        assert all(each.allows for each in container.check("default", [RULE, OTHER], ADA, START))
    for shard in range(4):
        assert allowed(container, rule=RULE._replace(name=f"hot-{shard}"), cost=25)


def test_what_another_limit_refuses_is_not_asked_twice(table: Table) -> None:
    container = limiter(table)
    rules = [RULE, OTHER._replace(limit=1)]
    assert all(each.allows for each in container.check("default", rules, ADA, START))
    table.calls = 0
    assert not all(each.allows for each in container.check("default", rules, ADA, START))
    assert table.calls <= 1


def test_a_shadow_has_shards_as_well(table: Table) -> None:
    container, shadow = limiter(table), RULE._replace(shadow=True)
    found = [container.check("default", [shadow], ADA, START)[0].verdict for _ in range(101)]
    assert [each.allowed for each in found if each is not None] == [True] * 100 + [False]


def test_in_memory_shards_count_as_in_a_table() -> None:
    container = limiter(Memory())
    assert sum(allowed(container) for _ in range(120)) == 100


@pytest.mark.parametrize("shards", [2, 5, 20])
@pytest.mark.parametrize(("load", "share"), [(0.8, 0), (0.95, 0.01), (1.2, 0.03)])
def test_few_are_refused_while_other_shards_have_tokens(
    table: Table, shards: int, load: float, share: float
) -> None:
    """Beside one bucket that all go to, on the same traffic."""
    rule = Rule("hot", "/**", 500, 1, burst=200, shards=shards)
    bucket, chance, number = TokenBucket(rule.counted), random.Random(shards), 2000
    running = [limiter(table, seed) for seed in range(20)]
    state: int | None = None
    now, least, found = float(START), 0, 0
    for _ in range(number):
        now += chance.expovariate(load * 0.5)
        verdict, state = bucket.decide(state, int(now) * MILLI, 1)
        least += not verdict.allowed
        found += not allowed(chance.choice(running), int(now), rule)
    assert found - least <= share * number
