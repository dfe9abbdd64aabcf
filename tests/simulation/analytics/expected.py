"""Which cells of the coverage there must be in the world of analytics."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.analytics.run import deployed
from tests.simulation.chaos import HTTP_KINDS, QUEUE_KINDS, STREAM_KINDS, call_kinds
from tests.simulation.coverage import Cell
from tests.simulation.world import calls

EXEMPT: dict[Cell, str] = {
    ("calls", "AnalyticsTrack", "GetSecretValue"): "browsers here name no users",
    ("calls", "AnalyticsSubmit", "GetItem"): "servers here tell of no addresses: no salt is read",
    ("calls", "AnalyticsSubmit", "PutItem"): "as above",
}
"""Cells that would be expected, and why they are not."""
STALE_READERS = ("AnalyticsTrack", "AnalyticsSubmit", "AnalyticsFold", "AnalyticsRoll")
"""Functions that read with eventual consistency."""
REACHED = {
    "ledger": ("fact", "pointer", "lanes grown"),
    "salts": ("made", "used", "deleted"),
    "rows": ("in time", "late", "expired segments"),
    "sweep": ("sent again", "salts deleted", "found behind"),
    "queues messages": ("given up", "redriven"),
}
ANSWERS = {
    "POST /v1/track": (202, 403, 404, 500, 503),
    "POST /v1/sites/{site}/events": (202, 404, 500, 503),
}


def expected() -> list[Cell]:
    """Every cell that a long run must have reached."""
    return sorted(set(_cells()) - EXEMPT.keys())


def _cells() -> Iterator[Cell]:
    stack = deployed()
    for name, service, operation in calls(stack):
        if ("calls", name, operation) in EXEMPT:
            continue
        yield "calls", name, operation
        for kind in call_kinds(name, service, operation):
            yield "faults", name, operation, kind
    for function in stack.functions.values():
        yield "faults", function.name, "invoke", "cold"
        yield "faults", function.name, "invoke", "timeout"
        for kind in STREAM_KINDS if function.streams else ():
            yield "faults", function.name, "stream", kind
        for kind in QUEUE_KINDS if function.queues else ():
            yield "faults", function.name, "queue", kind
    for name in STALE_READERS:
        yield "faults", name, "read", "stale"
    yield "faults", "AnalyticsRoll", "PutItem", "poison"
    for route, statuses in ANSWERS.items():
        for kind in HTTP_KINDS:
            yield "faults", "http", route, kind
        for status in statuses:
            yield "answers", route, str(status)
    for group, whats in REACHED.items():
        for what in whats:
            yield *group.split(), what
