from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.edge.clients import client
from functions.edge.limits.rules import Rule
from functions.ratelimiter.regions import FAR_MS, buckets, part
from tests.unit.edge.conftest import World

RULE = Rule("all", "/**", 10, 60, burst=25)


@pytest.mark.parametrize(
    ("percent", "limit", "burst"), [(100, 10, 25), (60, 6, 15), (33, 3, 8), (1, 1, 1)]
)
def test_a_part_is_rounded_down_and_never_nothing(percent: int, limit: int, burst: int) -> None:
    found = part(RULE, percent)
    assert (found.limit, found.burst) == (limit, burst)
    assert found._replace(limit=10, burst=25) == RULE


def test_what_one_request_costs_is_never_beyond_a_part() -> None:
    assert part(RULE._replace(cost=5), 10).counted.at_once == 5
    assert part(RULE._replace(cost=5, burst=0), 10).counted.at_once == 5


@pytest.mark.parametrize(("shards", "limit"), [(0, 1), (5, 5)])
def test_what_one_request_costs_raises_no_limit_that_has_a_burst(shards: int, limit: int) -> None:
    rule = RULE._replace(limit=limit, burst=100, cost=10, shards=shards)
    found = part(rule, 50)
    assert (found.limit, found.at_once) == (limit, 10 if shards else 50)


def test_a_part_has_something_for_each_shard_and_leases_no_more_than_half_of_itself() -> None:
    sharded = part(RULE._replace(cost=2, limit=100, burst=0, shards=20), 10)
    assert all(sharded.share(shard).at_once >= 2 for shard in range(20))
    leased = part(RULE._replace(limit=100, burst=0, lease=50), 10)
    assert 2 * leased.lease <= leased.counted.at_once


@given(
    limit=st.integers(1, 10**6),
    cuts=st.lists(st.integers(1, 99), max_size=9, unique=True).map(sorted),
)
def test_parts_together_are_the_limit_at_most_and_lack_one_a_region_at_most(
    limit: int, cuts: list[int]
) -> None:
    shares = [after - before for before, after in zip([0, *cuts], [*cuts, 100], strict=True)]
    parts = [part(RULE._replace(limit=limit, burst=0), share).limit for share in shares]
    assert sum(parts) > limit - len(parts)
    # Where a part would be nothing, it is one.
    assert sum(parts) <= limit + sum(limit * share < 100 for share in shares)


@pytest.mark.parametrize(
    ("table", "asked"),
    [
        ("here", ("dynamodb", 100)),
        (
            "arn:aws:dynamodb:eu-west-1:123456789012:table/there",
            ("dynamodb", FAR_MS, "eu-west-1"),
        ),
    ],
)
def test_a_table_by_its_arn_is_asked_where_it_is(table: str, asked: tuple[Any, ...]) -> None:
    made: list[Any] = []
    runtime = World().runtime._replace(client=lambda *args: made.append(args))
    found = buckets(runtime, table)
    found._client(100)
    assert (found._table, made) == (table.rpartition("/")[2], [asked])


@pytest.mark.parametrize("deadline", [0, 900])
def test_a_longer_deadline_counts_and_so_does_none(deadline: int) -> None:
    made: list[Any] = []
    runtime = World().runtime._replace(client=lambda *args: made.append(args[1]))
    buckets(runtime, "arn:aws:dynamodb:eu-west-1:123456789012:table/there")._client(deadline)
    assert made == [deadline]


def test_a_client_of_a_region_is_of_that_region() -> None:
    assert client("dynamodb", 100, "eu-west-1").meta.region_name == "eu-west-1"
