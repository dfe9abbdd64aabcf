"""What leases and shards spare: calls and write units of a check, denials that one bucket alone
would not make, and the processor time of a check that a lease serves.

Checks come at random (a Poisson process, seeded) to containers at random, on a table in memory.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from statistics import quantiles
from typing import NamedTuple

from functions.edge.limits.algorithms import TokenBucket
from functions.edge.limits.limiter import MILLI, Limiter
from functions.edge.limits.rules import Asked, Rule
from tests.support.item_size import item_size, write_units
from tests.unit.edge.limits.table import Table

START = 1_795_000_000_000
CHECKS = 4000
ADA = Asked("/", "GET", {"user": "ada"})
PLAIN = Rule("hot", "/**", 1000, 1, burst=200)
WAYS = {
    "plain": PLAIN,
    "lease of 10": PLAIN._replace(lease=10),
    "lease of 100": PLAIN._replace(lease=100),
    "5 shards": PLAIN._replace(shards=5),
    "20 shards": PLAIN._replace(shards=20),
}


class Spared(NamedTuple):
    """Of one way to count a rule under some traffic: means of a check, and shares of all checks
    that are denied, and that one bucket alone would deny."""

    way: str
    containers: int
    load: float
    calls: float
    units: float
    denied: float
    due: float


def spared() -> Iterator[Spared]:
    """Every way, by one container and by fifty, below the limit and above it."""
    table = Table()
    for containers in (1, 50):
        for load in (0.9, 1.2):
            for way, rule in WAYS.items():
                yield _spared(table, way, rule, containers, load)


def _spared(table: Table, way: str, rule: Rule, containers: int, load: float) -> Spared:
    table.clear()
    chance, bucket, state = random.Random(1), TokenBucket(rule.counted), None
    choices = random.Random(2)
    running = [Limiter(table.container(), choices.randbytes) for _ in range(containers)]
    now, denied, due = float(START), 0, 0
    for _ in range(CHECKS):
        now += chance.expovariate(load * rule.limit / rule.window / 1000)
        verdict, state = bucket.decide(state, int(now) * MILLI, 1)
        due += not verdict.allowed
        [decision] = chance.choice(running).check("default", [rule], ADA, int(now))
        denied += not decision.allows
    units = table.writes * max(write_units(item_size(item)) for item in table.items())
    per_check = (each / CHECKS for each in (table.calls, units, denied, due))
    return Spared(way, containers, load, *per_check)


def warm(checks: int = 20_000) -> tuple[float, float]:
    """Microseconds of processor time, p50 and p99, of a check that a lease serves: rules, bucket,
    decision, and no call."""
    table, rule = Table(), PLAIN._replace(limit=1_000_000, burst=1_000_000, lease=1000)
    limiter, costs = Limiter(table.container()), list[float]()
    while len(costs) < checks:
        before, start = table.calls, time.process_time_ns()
        limiter.check("default", [rule], ADA, START)
        spent = time.process_time_ns() - start
        if table.calls == before:
            costs.append(spent / 1000)
    cuts = quantiles(costs, n=100)
    return cuts[49], cuts[98]
