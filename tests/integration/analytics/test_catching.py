"""A fact whose record the stream lost is found by the sweep over the ledger."""

from __future__ import annotations

import random

import pytest

from functions.analytics.catching import Catcher
from functions.analytics.definitions import Definitions
from functions.analytics.facts import Fact
from functions.analytics.folding import Folder, Work
from functions.analytics.hours import Hours
from functions.analytics.ledger import ExactLedger
from functions.analytics.rows import Rows
from functions.kernel.dynamo import DynamoStore
from functions.kernel.sweep import Swept
from functions.kernel.views import ViewTable
from tests.integration.analytics.counting import (
    expected_rows,
    expected_tops,
    keep,
    records,
    rows,
    site,
    tops,
    traffic,
)
from tests.support.pump import Stack

HOUR = 3_600_000


class Sweeper:
    """The sweep, as a function would run it."""

    def __init__(self, stack: Stack, page: int) -> None:
        fold, views = (stack.functions[name].env for name in ("AnalyticsFold", "AnalyticsStats"))
        client, now = stack.client("dynamodb"), stack.clock.now
        define = Definitions(DynamoStore(client, fold["EVENTS_TABLE"]), now).of
        sqs, url = stack.client("sqs"), fold["HOURS_QUEUE_URL"]
        hours = Hours(client, fold["ROLLUPS_TABLE"], sqs, url)
        ledger = ExactLedger(client, fold["FACTS_TABLE"])
        self.folder = Folder(ledger.read, define, hours, now)
        rows = Rows(client, fold["ROLLUPS_TABLE"])
        self.catcher = Catcher(
            client, fold["FACTS_TABLE"], define, hours, rows, self.folder, now, page
        )
        self.marks = ViewTable(client, views["VIEWS_TABLE"])
        self.rung: list[Work] = []

    def run(self, *, once: bool = False) -> Swept:
        def ring(work: Work) -> None:
            self.rung.append(work)
            self.folder.fold(work)

        return self.catcher.sweep(self.marks, ring, lambda: not once)


def lost(chance: random.Random, facts: list[Fact]) -> list[Fact]:
    """Most of the facts: those whose records arrive."""
    return [fact for fact in facts if chance.random() < 0.6]


@pytest.mark.parametrize("page", [7, 1000])
def test_what_the_stream_lost_is_found_in_slices_of_any_size(stack: Stack, page: int) -> None:
    chance, defined = random.Random(page), site(stack)
    facts = keep(stack, traffic(chance, 40, stack.clock.now() - HOUR, 12 * 60_000), defined)
    stack.stream_records()
    stack.invoke("AnalyticsFold", records(lost(chance, facts)[:5], defined))
    stack.drain()
    assert rows(stack) != expected_rows(facts, defined)
    sweeper = Sweeper(stack, page)
    assert sweeper.run().complete
    stack.drain()
    assert rows(stack) == expected_rows(facts, defined)
    assert tops(stack) == expected_tops(facts, defined)
    sweeper.rung.clear()
    assert sweeper.run().rung == 0
    assert sweeper.rung == []


@pytest.mark.parametrize("once", [False, True], ids=["one run", "many"])
def test_one_fact_is_missed_in_a_bucket_of_many_pages(stack: Stack, once: bool) -> None:
    chance, defined = random.Random(2), site(stack)
    start = stack.clock.now() - HOUR
    around = [each._replace(id=f"a{each.id}") for each in traffic(chance, 9, start, 8 * 60_000)]
    facts = keep(stack, around + traffic(chance, 20, start, 1), defined)
    stack.drain()
    facts += keep(stack, [facts[-1]._replace(id="missed")], defined)
    stack.stream_records()
    sweeper, runs = Sweeper(stack, 3), 1
    while not sweeper.run(once=once).complete:
        runs += 1
    assert runs < 20
    stack.drain()
    assert rows(stack) == expected_rows(facts, defined)


def test_a_run_goes_on_where_the_last_one_stopped(stack: Stack) -> None:
    chance, defined = random.Random(1), site(stack)
    facts = keep(stack, traffic(chance, 30, stack.clock.now() - HOUR, 30 * 60_000), defined)
    stack.stream_records()
    runs = 0
    while not Sweeper(stack, 9).run(once=True).complete:
        runs += 1
    stack.drain()
    assert 2 <= runs <= 30
    assert rows(stack) == expected_rows(facts, defined)


def test_hours_whose_segments_may_be_gone_are_left_alone(stack: Stack) -> None:
    chance, defined = random.Random(1), site(stack)
    keep(stack, traffic(chance, 5, stack.clock.now() - 3 * 24 * HOUR, HOUR), defined)
    stack.stream_records()
    assert Sweeper(stack, 1000).run().rung == 0


@pytest.mark.parametrize("machine", [None, "bot"], ids=["people", "machines"])
def test_an_hour_that_nobody_marked_is_rolled_up(stack: Stack, machine: str | None) -> None:
    chance, defined = random.Random(3), site(stack)
    sent = traffic(chance, 30, stack.clock.now() - HOUR, 12 * 60_000)
    people, late = sent[:20], [fact._replace(machine=machine) for fact in sent[20:]]
    facts = keep(stack, people, defined)
    stack.drain()
    facts += keep(stack, late, defined)
    # Segments are updates; what is put is the mark.
    stack.faults.fail(
        "dynamodb", "PutItem", "InternalServerError", status=500, times=-1, function="AnalyticsFold"
    )
    stack.drain()
    assert stack.messages("AnalyticsFoldRetryDlq")
    stack.faults.clear()
    assert rows(stack) != expected_rows(facts, defined)
    sweeper = Sweeper(stack, 1000)
    sweeper.run()
    stack.drain()
    assert rows(stack) == expected_rows(facts, defined)
    sweeper.rung.clear()
    assert sweeper.run().rung == 0
