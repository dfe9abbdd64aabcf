"""Which cells of the coverage there must be: derived from templates, policies, codecs and READMEs,
so that a new function, call, event or answer that nothing exercises is noticed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from functions.shortener.events import CODEC
from tests.simulation.chaos import (
    HTTP_KINDS,
    NOT_SIMULATED,
    QUEUE_KINDS,
    STREAM_KINDS,
    call_kinds,
)
from tests.simulation.coverage import Cell
from tests.simulation.shortener.accepted import ENDS
from tests.simulation.shortener.redirects import OUTCOMES
from tests.simulation.tally.decider import DECIDER, SNAPSHOT_EVERY
from tests.simulation.world import Deployment, calls
from tests.support.handlers import ROOT

ENOUGH_SEEDS = 1000
"""Seeds from which on a cell that was never reached fails the run: the 150 faults at the rarest
calls take turns, and each needs a few. From 300 seeds on a handful of those are missing."""

EXEMPT: dict[Cell, str] = {
    ("events", "shortener", "LinkExpired"): NOT_SIMULATED["ShortenerTimers"],
    ("events", "shortener", "LinkPurged"): NOT_SIMULATED["ShortenerPurge"],
    ("calls", "ShortenerOps", "GetSecretValue"): "cursors of lists that nobody here reads",
    ("answers", "POST /v1/bans", "422"): "a form's matter; tests/integration/test_moderation.py",
    ("answers", "DELETE /v1/bans", "422"): "as above",
}
"""Cells that would be expected, and why they are not."""
NOT_ASKED = {
    "GET /v1/bans": "lists like GET /v1/links; tests/integration/test_moderation.py has them",
    "GET /v1/reports": "as above",
    "GET /v1/domains": "domains change no link; tests/integration/test_domains.py has them",
    "PUT /v1/domains/{host}": "as above",
    "DELETE /v1/domains/{host}": "as above",
    "GET /v1/links/export": "pages like GET /v1/links; tests/integration/test_lists.py has them",
}
"""Routes that nobody here asks, and where they are tested."""

STALE_READERS = (
    "ShortenerRead",
    "ShortenerRedirect",
    "ShortenerSweep",
    "TallySweep",
    "TallyTimers",
)
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
REACHED = {
    "redirects": OUTCOMES,
    "accepted": ENDS,
    "bulk": ("200", "201", "409", "422", "503"),
    "bans": ("enforced", "lifted"),
}
"""What visits, accepted creates, links of a bulk request and bans come to."""
TIME = {
    "timers": ("sent", "sent again", "fired", "late", "looked all the way back"),
    "purge": ("trim interrupted", "ended", "end refused", "begun anew"),
}
"""What time does to tallies, and how."""
TALLY_ANSWERS = {"PUT": (200, 409), "POST": (200, 404, 409, 410, 412), "GET": (200,)}


def expected(deployed: Deployment) -> list[Cell]:
    """Every cell that a long run must have reached."""
    return sorted(set(_cells(deployed)) - EXEMPT.keys())


def _cells(deployed: Deployment) -> Iterator[Cell]:
    for name, service, operation in calls(deployed):
        if name in NOT_SIMULATED or ("calls", name, operation) in EXEMPT:
            continue
        yield "calls", name, operation
        for kind in call_kinds(name, service, operation):
            yield "faults", name, operation, kind
    for function in deployed.functions.values():
        if function.name in NOT_SIMULATED:
            continue
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
    asked = [
        route
        for route in deployed.routes
        if route.key not in NOT_ASKED and route.function not in NOT_SIMULATED
    ]
    for route in asked:
        for kind in HTTP_KINDS:
            yield "faults", "http", route.key, kind
        if route.path.startswith("/tallies"):
            for status in TALLY_ANSWERS[route.method]:
                yield "answers", route.key, str(status)
    yield from _documented({route.key for route in asked})
    for capability, types in (("shortener", CODEC.types), ("tally", DECIDER.events.types)):
        for kind in types:
            yield "events", capability, kind
        for what in KERNEL[capability]:
            yield "kernel", capability, what
        for step in ("begun", "flipped", "dropped"):
            yield "replay", capability, step
    for group, whats in REACHED.items():
        for what in whats:
            yield group, "shortener", what
    for group, whats in TIME.items():
        for what in whats:
            yield group, "tally", what
    for what in ("given up", "redriven", "released"):
        yield "queues", "messages", what


def _documented(asked: Collection[str]) -> Iterator[Cell]:
    """The answers that the shortener's README lists, route by route, of the routes asked."""
    text = (ROOT / "functions" / "shortener" / "README.md").read_text()
    table = text[text.index("| Route |") :].partition("\n\n")[0]
    for line in table.splitlines()[2:]:
        columns = [column.strip() for column in line.strip("|").split(" | ")]
        routes, protected, answers = columns[0], "public" not in columns[1], columns[-1]
        statuses = re.findall(r"(?<![\w-])([2-4]\d\d)(?![\w-])", answers)
        for route in set(re.findall(r"`(.+?)`", routes)) & set(asked):
            for status in [*statuses, "503", *(["401", "403"] if protected else [])]:
                yield "answers", route, status
