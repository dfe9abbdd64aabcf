"""Which cells of the coverage there must be: derived from templates, policies, codecs and READMEs,
so that a new function, call, event or answer that nothing exercises is noticed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from functions.shortener.events import CODEC
from tests.simulation.chaos import (
    HTTP_KINDS,
    QUEUE_KINDS,
    STREAM_KINDS,
    call_kinds,
)
from tests.simulation.coverage import Cell
from tests.simulation.tally.decider import DECIDER, SNAPSHOT_EVERY
from tests.simulation.world import Deployment, calls
from tests.support.handlers import ROOT

ENOUGH_SEEDS = 1000
"""Seeds from which on a cell that was never reached fails the run: the 150 faults at the rarest
calls take turns, and each needs a few. From 300 seeds on a handful of those are missing."""

EXEMPT: dict[Cell, str] = {}
"""Cells that would be expected, and why they are not."""

STALE_READERS = ("ShortenerRead", "ShortenerRedirect", "ShortenerSweep", "TallySweep")
"""Functions that read with eventual consistency."""
KERNEL = {
    "shortener": [
        "snapshot",
        "no snapshot",
        "conflict depth 0",
        "conflict depth 1",
        "conflict depth 2",
        "conflict given up",
        "late repeat remembered",
        "late repeat forgotten",
        "history goes on",
        "list goes on",
    ],
    "tally": [
        "snapshot",
        "no snapshot",
        *[f"loaded {commits} past a snapshot" for commits in range(SNAPSHOT_EVERY)],
    ],
}
TALLY_ANSWERS = {"PUT": (200, 409), "POST": (200, 404, 409, 412), "GET": (200,)}


def expected(deployed: Deployment) -> list[Cell]:
    """Every cell that a long run must have reached."""
    return sorted(set(_cells(deployed)) - EXEMPT.keys())


def _cells(deployed: Deployment) -> Iterator[Cell]:
    for name, service, operation in calls(deployed):
        yield "calls", name, operation
        for kind in call_kinds(service, operation):
            yield "faults", name, operation, kind
    for function in deployed.functions.values():
        yield "faults", function.name, "invoke", "cold"
        yield "faults", function.name, "invoke", "timeout"
        for kind in STREAM_KINDS if function.streams else ():
            yield "faults", function.name, "stream", kind
        for kind in QUEUE_KINDS if function.queues else ():
            yield "faults", function.name, "queue", kind
        if function.streams:
            yield "faults", function.name, "PutItem", "poison"
    for function_name in STALE_READERS:
        yield "faults", function_name, "read", "stale"
    for route in deployed.routes:
        for kind in HTTP_KINDS:
            yield "faults", "http", route.key, kind
        if route.path.startswith("/tallies"):
            for status in TALLY_ANSWERS[route.method]:
                yield "answers", route.key, str(status)
    yield from _documented()
    for capability, types in (("shortener", CODEC.types), ("tally", DECIDER.events.types)):
        for kind in types:
            yield "events", capability, kind
        for what in KERNEL[capability]:
            yield "kernel", capability, what
        for step in ("begun", "flipped", "dropped"):
            yield "replay", capability, step
    for what in ("given up", "redriven", "released"):
        yield "queues", "messages", what


def _documented() -> Iterator[Cell]:
    """The answers that the shortener's README lists, route by route."""
    text = (ROOT / "functions" / "shortener" / "README.md").read_text()
    table = text[text.index("| Route |") :].partition("\n\n")[0]
    for line in table.splitlines()[2:]:
        columns = [column.strip() for column in line.strip("|").split(" | ")]
        routes, protected, answers = columns[0], "public" not in columns[1], columns[-1]
        statuses = re.findall(r"(?<![\w-])([2-4]\d\d)(?![\w-])", answers)
        for route in re.findall(r"`(.+?)`", routes):
            for status in [*statuses, "503", *(["401", "403"] if protected else [])]:
                yield "answers", route, status
