"""Two thousand checks of one identity over 32 containers, one call at a time in a seed's order."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, get_args

import pytest

from functions.edge.limits.algorithms import SECOND, Limit, Name
from functions.edge.limits.buckets import Buckets, Busy, Group, Taking
from tests.support.cloud.metering import MeteredDynamoDB
from tests.support.interleave import seeded
from tests.unit.edge.limits.table import Table
from tests.unit.edge.limits.test_algorithms import BOUNDS, START

CHECKS, CONTAINERS = 2000, 32
GONE_AT = 1_795_999_999
STEP = SECOND // 1000
"""What a call takes, and a check besides."""
MOST = {
    "token_bucket": 1.0,
    "leaky_bucket": 1.0,
    "fixed_window": 0.1,
    "sliding_window": 0.1,
    "sliding_log": 0.4,
    "concurrency": 0.5,
}
"""Calls, and write units, for each check, those of refused updates with them. Of a bucket that is
always empty every new token is raced for; a log's updates all exclude each other, and a
hundred slots are two kilobytes."""


class Answered(NamedTuple):
    """A check: when it was asked, and whether it was allowed; None where it lost each time."""

    at: int
    allowed: bool | None


def limit(name: Name) -> Limit:
    """A hundred at once, and of buckets as much in each second that follows."""
    window = SECOND if name.endswith("bucket") else 60 * SECOND
    return Limit("a", name, 100, window, 100)


def race(name: Name, seed: int) -> tuple[list[Answered], MeteredDynamoDB]:
    """All answers in their order, and the table with its bill."""
    backend = MeteredDynamoDB()
    table, answered = Table(lambda: backend), list[Answered]()

    def container(checks: int) -> Callable[[], None]:
        buckets = table.container()

        def ask() -> None:
            for _ in range(checks):
                answered.append(check(buckets))

        return ask

    def check(buckets: Buckets) -> Answered:
        now = START + (len(answered) + table.calls) * STEP
        try:
            [verdict] = buckets.take([Group("ada", [Taking(limit(name), 1)], GONE_AT)], now)
        except Busy:
            return Answered(now, None)
        return Answered(now, verdict.allowed)

    shares = [CHECKS // CONTAINERS + (place < CHECKS % CONTAINERS) for place in range(CONTAINERS)]
    actors = {f"container-{place}": container(share) for place, share in enumerate(shares)}
    seeded(lambda: actors, seed).results()
    return answered, backend


@pytest.mark.parametrize("name", get_args(Name))
def test_of_two_thousand_checks_as_many_are_allowed_as_the_limit_says(name: Name) -> None:
    answered, backend = race(name, seed=1)
    allowed = sorted(each.at for each in answered if each.allowed)
    passed = max(each.at for each in answered) - START
    there = 100 + (passed * 100 // SECOND if name.endswith("bucket") else 0)
    assert len(answered) == CHECKS
    assert len(allowed) == pytest.approx(there, abs=1)
    for place, since in enumerate(allowed):
        for number, at in enumerate(allowed[place:], 1):
            assert number <= BOUNDS[name](limit(name), at - since)
    calls = backend.bill["UpdateItem"] + backend.bill["GetItem"]
    assert max(calls, backend.bill["wcu"]) <= MOST[name] * CHECKS
