"""Which cells of the coverage there must be in the world of the rate limiter."""

from __future__ import annotations

from collections.abc import Iterator

from functions.ratelimiter.events import CODEC
from tests.simulation.chaos import HTTP_KINDS, QUEUE_KINDS, call_kinds
from tests.simulation.coverage import Cell
from tests.simulation.ratelimiter.counting import BRANCHES
from tests.simulation.ratelimiter.run import deployed
from tests.simulation.world import calls

EXEMPT: dict[Cell, str] = {}
"""Cells that would be expected, and why they are not."""
FREE = {
    *((algorithm, branch) for algorithm in BRANCHES for branch in ("full", "new")),
    ("fixed_window", "next window"),
}
"""Branches in which nothing counts, so that nothing is denied."""
REACHED = {
    "checks": (
        "of 1 identities",
        "of 2 identities",
        "of several limits of one",
        "shadow taken",
        "shadow denied",
        "impossible",
        "crowded out",
        "waited, and let through",
        "without rules",
    ),
    "denials": ("known", "looked up", "refused", "by some of several"),
    "fail": ("open", "closed", "closed, and taken", "shadow", "spared"),
    "lists": ("denied", "allowed"),
    "rules": ("edited, and goes on", "kept for want of others"),
    "buckets": ("expired",),
    "samples": ("sent", "sent again", "the first", "one more"),
    "queues messages": ("redriven",),
    "kernel ratelimiter": ("snapshot", "no snapshot"),
    "adjustments": (
        "of several identities",
        "of somebody who is always allowed",
        "nothing to give back",
        "used up",
        "repeated",
        "another by the same key",
        "tried again",
        "given up",
    ),
    "leases": (
        "taken ahead",
        "served",
        "given back with a check",
        "given back later",
        "adjusted while out",
        "denied by the table",
        "known to be denied",
    ),
    "shards": (
        "first",
        "second, or again",
        "beside another limit",
        "adjusted",
        "impossible",
        "denied by the table",
        "known to be denied",
    ),
    "slots": ("freed", "nothing to free", "nobody's", "ran out", "told, though not counted"),
}
ANSWERS = {
    "POST /v1/check": (200, 400, 403, 422, 429, 500, 503),
    "POST /v1/adjust": (200, 400, 409, 422, 428, 500, 503),
    "PUT /v1/rules": (200, 409, 422, 500, 503),
    "GET /v1/rules": (200, 404, 500, 503),
    "POST /v1/rules/{version}/activate": (200, 403, 404, 409, 500, 503),
}


def expected() -> list[Cell]:
    """Every cell that a long run must have reached."""
    return sorted(set(_cells()) - EXEMPT.keys())


def _cells() -> Iterator[Cell]:
    stack = deployed()
    for name, service, operation in calls(stack):
        yield "calls", name, operation
        for kind in call_kinds(name, service, operation):
            yield "faults", name, operation, kind
    for function in stack.functions.values():
        yield "faults", function.name, "invoke", "cold"
        yield "faults", function.name, "invoke", "timeout"
        for kind in QUEUE_KINDS if function.queues else ():
            yield "faults", function.name, "queue", kind
    yield "faults", "RatelimiterCheck", "read", "stale"
    for route, statuses in ANSWERS.items():
        for kind in HTTP_KINDS:
            yield "faults", "http", route, kind
        for status in statuses:
            yield "answers", route, str(status)
    for kind in CODEC.types:
        yield "events", "ratelimiter", kind
    for algorithm, branches in BRANCHES.items():
        for branch in branches:
            yield "algorithms", algorithm, branch, "taken"
            if (algorithm, branch) not in FREE:
                yield "algorithms", algorithm, branch, "denied"
        if algorithm != "concurrency":
            yield "adjustments", algorithm, "charged"
            yield "adjustments", algorithm, "given back"
    for group, whats in REACHED.items():
        for what in whats:
            yield *group.split(), what
