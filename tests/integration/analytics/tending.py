"""What is tended: hours whose message was lost, old salts, facts that nobody told of; and what the
roll does of itself where much comes."""

from __future__ import annotations

import random
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from functions.analytics import lanes, rollups
from functions.analytics.decider import Definition
from functions.analytics.facts import Fact
from tests.integration.analytics.counting import define, keep, traffic
from tests.integration.analytics.sites import make
from tests.integration.analytics.tracking import send
from tests.support.pump import Stack

DAY_S = 86_400


def tend(stack: Stack, what: str) -> Any:
    """One of its schedules; gives its log line."""
    stack.invoke("AnalyticsTend", {"for": what})
    return stack.logs[-1]


def lose_records(stack: Stack, made: Definition, number: int = 10) -> list[Fact]:
    """Facts are kept, and the stream tells nobody; gives them."""
    start = stack.clock.now() - 120_000
    facts = keep(stack, traffic(random.Random(number), number, start, 120_000), made)
    stack.stream_records()
    return facts


def lose_message(stack: Stack, made: Definition, number: int = 3) -> list[Fact]:
    """Facts are folded, and their hour's message is lost; gives them."""
    start = stack.clock.now() - 60_000
    facts = keep(stack, traffic(random.Random(number), number, start, 1000), made)
    lost = stack.faults.fail("sqs", "SendMessage", "AccessDenied", function="AnalyticsFold")
    stack.drain()
    assert lost.fired
    stack.faults.clear()
    return facts


def crowded() -> AbstractContextManager[object]:
    """While it lasts, three facts of a minute fill a bucket."""
    return patch.object(lanes, "FULL", 2)


def drive_tending(stack: Stack) -> None:
    """Everything that AnalyticsTend may do, and AnalyticsRoll where much comes."""
    site = make(stack)
    with crowded(), patch.multiple(rollups, DENSE=1, FEW=0):
        send(stack, site, *({"page": f"/{place}"} for place in range(5)))
        stack.drain()
    made = define(stack, site)
    assert len(made.lanes) == 2
    lose_message(stack, made)
    lose_records(stack, made)
    stack.advance(600)
    tend(stack, "facts")
    stack.advance(2 * DAY_S)
    tend(stack, "marks")
    stack.drain()
