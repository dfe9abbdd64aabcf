"""Facts put into the exact ledger, the functions that count them, and what rows then say."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from functions.analytics.decider import DECIDER, Definition, stream_id
from functions.analytics.facts import Fact, Sighting, bucket_of, hour_of, hours_of, minute_of
from functions.analytics.ledger import ExactLedger
from functions.analytics.rows import _read_row, _read_top
from functions.analytics.sketches import sketch
from functions.kernel.dynamo import DynamoStore
from functions.kernel.store import load
from tests.integration.analytics.sites import change, make
from tests.support.pump import Stack
from tests.unit.analytics.reference import SITE, reference, traffic

__all__ = ["traffic"]

PAIRS = [["page", "country"], ["page", "device"], ["country", "device"], ["page", "prop:plan"]]


def site(stack: Stack, **body: Any) -> Definition:
    """A site over HTTP with the terms and goals of the reference's."""
    made = make(stack, properties=["plan"], pairs=PAIRS, **body)
    for name, what, pattern in SITE.goals:
        goal = {"what": what, "pattern": pattern}
        change(stack, made, f"/goals/{name}", "PUT", json=goal)
    return define(stack, made)


def define(stack: Stack, made: str) -> Definition:
    """A site as its stream tells it."""
    table = stack.functions["AnalyticsFold"].env["EVENTS_TABLE"]
    state = load(DynamoStore(stack.client("dynamodb"), table), DECIDER, stream_id(made)).state
    assert state is not None
    return state


def keep(stack: Stack, facts: Iterable[Fact], defined: Definition) -> list[Fact]:
    """Puts facts into the ledger, of that site; gives them as they are there."""
    table = stack.functions["AnalyticsFold"].env["FACTS_TABLE"]
    ledger = ExactLedger(stack.client("dynamodb"), table)
    kept = [fact._replace(site=defined.id) for fact in facts]
    for fact in kept:
        ledger.keep(Sighting(fact, fact.at), defined)
    return kept


def records(facts: Iterable[Fact], defined: Definition) -> dict[str, Any]:
    """The stream's event of these facts."""
    return {
        "Records": [
            {
                "eventSource": "aws:dynamodb",
                "eventName": "INSERT",
                "dynamodb": {
                    "Keys": {"pk": {"S": bucket_of(fact, defined.lanes)}, "sk": {"S": fact.id}}
                },
            }
            for fact in facts
        ]
    }


def message(defined: Definition, hour: int) -> dict[str, Any]:
    """The queue's event of a dirty hour."""
    return queued({"site": defined.id, "hour": hour})


def queued(body: Mapping[str, Any]) -> dict[str, Any]:
    """A queue's event of one message."""
    record = {
        "eventSource": "aws:sqs",
        "messageId": "m",
        "body": json.dumps(body),
        "attributes": {"ApproximateReceiveCount": "1"},
    }
    return {"Records": [record]}


def hours(facts: Iterable[Fact], defined: Definition) -> set[int]:
    """The hours that facts are in."""
    return {hour_of(minute_of(fact.at), defined.phase) for fact in facts}


def items(stack: Stack, prefix: str) -> list[dict[str, Any]]:
    """What stands in the table of rollups under keys that begin so."""
    table = stack.functions["AnalyticsRoll"].env["ROLLUPS_TABLE"]
    pages = stack.client("dynamodb").get_paginator("scan").paginate(TableName=table)
    found = [item for page in pages for item in page["Items"]]
    return [item for item in found if item["pk"]["S"].startswith(prefix)]


Said = dict[tuple[str, str, str], Any]


def rows(stack: Stack) -> Said:
    """Every row by rollup, value and day: hours with their numbers, and the set of visitors."""
    said = {}
    for item in items(stack, "row#"):
        _, _, rollup, value = item["pk"]["S"].split("#", 3)
        row = _read_row(item)
        cells = {place: cell[1:4] for place, cell in row.cells.items() if any(cell[1:4])}
        if cells:
            said[rollup, value, item["sk"]["S"]] = cells, row.visitors
    return said


def tops(stack: Stack) -> Said:
    """Every top list's entries that count, by rollup, value and day."""
    return {
        (item["pk"]["S"].split("#")[2], value, item["sk"]["S"]): entry[:3]
        for item in items(stack, "top#")
        for value, entry in _read_top(item).entries.items()
        if entry.events
    }


def expected_rows(facts: Iterable[Fact], defined: Definition) -> Said:
    """What rows must say of facts."""
    counted, said = reference(facts, defined), {}
    for (rollup, value), days in counted.days.items():
        for day, visitors in days.items():
            first = hours_of(day).start
            cells = {
                hour - first: numbers
                for hour, numbers in counted.hours[rollup, value].items()
                if first <= hour < first + 24
            }
            said[rollup, value, day] = cells, sketch(visitors)
    return said


def expected_tops(facts: Iterable[Fact], defined: Definition) -> Said:
    """What top lists must say of facts; for fewer visitors than are estimated."""
    counted = reference(facts, defined)
    said = {}
    for (rollup, value, day), (cells, _) in expected_rows(facts, defined).items():
        if rollup != "all":
            events, views = (sum(cell[place] for cell in cells.values()) for place in (0, 1))
            visitors = len(counted.days[rollup, value][day])
            said[rollup, value, day] = events, views, visitors
    return said
