"""A limit in several regions: what is this region's part of it, or where all regions count it.

See docs/decisions/0028-regions.md.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from functions.edge.limits.buckets import Buckets
from functions.edge.limits.rules import Rule
from functions.edge.runtime import Runtime

WHOLE = 100
FAR_MS = 500
"""Milliseconds that a table in another region has to answer at least. To the other side of the
earth and back, light in glass takes 200."""


def part(rule: Rule, percent: int) -> Rule:
    """A rule with so many percent of its limit, rounded down, so that all regions together come to
    the limit at most; but what is there at once is never less than one request costs, in each of
    its shards, or it would allow none."""
    if percent == WHOLE:
        return rule
    shards = max(1, rule.shards)
    least = rule.cost * shards
    limit = max(shards if rule.burst else least, rule.limit * percent // WHOLE)
    burst = max(least, rule.burst * percent // WHOLE) if rule.burst else 0
    return rule._replace(limit=limit, burst=burst, lease=min(rule.lease, (burst or limit) // 2))


def buckets(runtime: Runtime, table: str) -> Buckets:
    """The buckets of a table, by its name, or by its ARN if it may be another region's."""
    if not table.startswith("arn:"):
        return Buckets(partial(runtime.client, "dynamodb"), table)
    _, _, _, region, _, resource = table.split(":", 5)

    def far(deadline_ms: int) -> Any:
        # Who has all the time has it for a far table, too.
        patience = max(deadline_ms, FAR_MS) if deadline_ms else 0
        return runtime.client("dynamodb", patience, region)

    return Buckets(far, resource.removeprefix("table/"))
