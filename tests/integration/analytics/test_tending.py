"""What was lost on the way is found, what is over is deleted, what is crowded is spread."""

from __future__ import annotations

import json
import random

from functions.analytics.facts import Fact, bucket_of, lanes_at, minute_of
from functions.analytics.lanes import AHEAD
from functions.analytics.salts import GRACE_MS
from tests.integration.analytics.counting import (
    define,
    expected_rows,
    items,
    keep,
    rows,
    site,
    traffic,
)
from tests.integration.analytics.sites import ask, make
from tests.integration.analytics.tending import (
    crowded,
    lose_message,
    lose_records,
    tend,
)
from tests.integration.analytics.tracking import send
from tests.support.pump import Stack

DAY = 86_400_000


def salts(stack: Stack) -> list[str]:
    """The periods that have a salt."""
    table = stack.functions["AnalyticsTend"].env["SALTS_TABLE"]
    return [item["pk"]["S"] for item in stack.client("dynamodb").scan(TableName=table)["Items"]]


def test_an_hour_whose_message_was_lost_is_sent_again_after_five_minutes(stack: Stack) -> None:
    made = site(stack)
    facts = lose_message(stack, made)
    assert rows(stack) == {}
    assert "resent_hours" not in tend(stack, "marks")
    stack.advance(306)
    assert tend(stack, "marks")["resent_hours"] == 1
    stack.drain()
    assert rows(stack) == expected_rows(facts, made)
    assert items(stack, "dirty#") == []
    assert "resent_hours" not in tend(stack, "marks")


def test_salts_are_deleted_when_their_time_has_come_and_not_before(stack: Stack) -> None:
    stack.advance(DAY // 2000)
    send(stack, make(stack), {"page": "/"})
    send(stack, make(stack, identity="month"), {"page": "/"})
    before = salts(stack)
    assert len(before) == 2
    ends = (stack.clock.now() // DAY + 1) * DAY + GRACE_MS
    stack.advance((ends - stack.clock.now()) / 1000 - 1)
    assert "deleted_salts" not in tend(stack, "marks")
    assert salts(stack) == before
    stack.advance(1)
    assert tend(stack, "marks")["deleted_salts"] == 1
    [left] = salts(stack)
    assert left.startswith("month")


def test_buckets_that_the_stream_lost_go_to_the_queue_of_folds(stack: Stack) -> None:
    made = site(stack)
    facts = lose_records(stack, made)
    line = tend(stack, "facts")
    behind = {bucket_of(fact, made.lanes) for fact in facts}
    assert {json.loads(body)["bucket"] for body in stack.messages("AnalyticsFoldRetry")} == behind
    assert (line["swept_buckets"], line["complete"]) == (len(behind), True)
    stack.drain()
    assert rows(stack) == expected_rows(facts, made)
    assert "swept_buckets" not in tend(stack, "facts")


def test_a_crowded_site_gets_more_lanes_once_for_later_minutes(stack: Stack) -> None:
    made, chance = site(stack), random.Random(1)

    def come(name: str) -> list[Fact]:
        start = stack.clock.now() // 60_000 * 60_000
        facts = traffic(chance, 12, start, 60_000)
        now = define(stack, made.id)
        return keep(stack, [fact._replace(id=f"{name}{fact.id}") for fact in facts], now)

    stack.advance(600)
    facts, began = [], minute_of(stack.clock.now())
    with crowded():
        for minute in range(3):
            facts += come(f"a{minute}-")
            stack.drain(wait=False)
            stack.advance(60)
            stack.drain(wait=False)
    assert define(stack, made.id).lanes[0] == (0, 1)
    [(since, number)] = define(stack, made.id).lanes[1:]
    assert number == 2
    assert began + AHEAD <= since <= began + AHEAD + 2
    stack.advance((since * 60_000 - stack.clock.now()) / 1000)
    late = come("b-")
    stack.drain()
    now = define(stack, made.id)
    assert len({bucket_of(fact, now.lanes) for fact in late}) == 2
    assert rows(stack) == expected_rows([*facts, *late], now)
    history = ask(stack, "GET", f"/{made.id}/history").json()["items"]
    [grown] = [event for event in history if event["type"] == "LanesGrown"]
    assert grown["actor"] == "analytics"
    assert lanes_at(now.lanes, since - 1) == 1
