"""What counting and asking cost, in calls and units."""

from __future__ import annotations

import random

from functions.analytics.decider import Definition
from functions.analytics.facts import Fact, hour_of, minute_of
from functions.analytics.rollups import Tally
from functions.analytics.rows import Rows
from tests.integration.analytics.counting import (
    hours,
    items,
    keep,
    message,
    records,
    site,
    traffic,
)
from tests.integration.analytics.sites import OWNER
from tests.support.meter import Bill
from tests.support.pump import Stack

HOUR, DAY = 3_600_000, 86_400_000


def fold(stack: Stack, facts: list[Fact], defined: Definition) -> Bill:
    with stack.meter.operation("fold") as bill:
        stack.invoke("AnalyticsFold", records(facts, defined))
    return bill


def roll(stack: Stack, facts: list[Fact], defined: Definition) -> Bill:
    [hour] = hours(facts, defined)
    with stack.meter.operation("roll") as bill:
        stack.invoke("AnalyticsRoll", message(defined, hour))
    return bill


def ask(stack: Stack, path: str, **query: str) -> Bill:
    query = {"from" if name == "since" else name: value for name, value in query.items()}
    with stack.meter.operation(path) as bill:
        assert stack.request("GET", path, user=OWNER, query=query).status == 200
    return bill


def test_a_fold_is_a_query_and_two_writes_and_a_message_where_the_hour_was_clean(
    stack: Stack,
) -> None:
    defined = site(stack)
    facts = traffic(random.Random(1), 20, stack.clock.now() - HOUR, 60_000)
    first, second = keep(stack, facts[:10], defined), keep(stack, facts[10:], defined)
    # The container reads the site's definition, once a minute.
    stack.invoke("AnalyticsFold", records(first[:1], defined))
    assert fold(stack, first, defined).by_operation == {
        "dynamodb:Query": 1,
        "dynamodb:UpdateItem": 1,
        "dynamodb:PutItem": 1,
    }
    roll(stack, first, defined)
    bill = fold(stack, second, defined)
    assert bill.by_operation == {
        "dynamodb:Query": 1,
        "dynamodb:UpdateItem": 1,
        "dynamodb:PutItem": 1,
        "sqs:SendMessage": 1,
    }
    assert bill.wcu <= 3


def test_a_roll_reads_in_batches_and_writes_what_changed(stack: Stack) -> None:
    defined = site(stack)
    facts = keep(stack, traffic(random.Random(1), 40, stack.clock.now() - HOUR, 60_000), defined)
    fold(stack, facts[:1], defined)
    first = roll(stack, facts, defined).by_operation
    values, lists = len(items(stack, "row#")), len(items(stack, "top#"))
    reads = -(-(values + lists) // 100)
    assert first["dynamodb:PutItem"] == values + lists
    assert first["dynamodb:BatchGetItem"] == reads
    # The container knows what stands there.
    nothing_new = {"dynamodb:DeleteItem": 1, "dynamodb:Query": 1}
    assert roll(stack, facts, defined).by_operation == nothing_new
    [seen] = keep(stack, [facts[0]._replace(id="more")], defined)
    fold(stack, [seen], defined)
    after = roll(stack, facts, defined)
    assert after.by_operation["dynamodb:PutItem"] < 40
    assert after.rcu < 40
    stack.cold_start()
    again = roll(stack, facts, defined).by_operation
    # A cold one reads the site's definition and all that stands there, and writes nothing.
    assert again == {"dynamodb:DeleteItem": 1, "dynamodb:Query": 2, "dynamodb:BatchGetItem": reads}


def test_a_month_by_hour_of_one_page_is_one_query_of_three_units(stack: Stack) -> None:
    defined, chance = site(stack), random.Random(2)
    # Rows of thirty full days are written as the roll writes them, but without its other values.
    table = stack.functions["AnalyticsRoll"].env["ROLLUPS_TABLE"]
    rows = Rows(stack.client("dynamodb"), table)
    people = [chance.randbytes(8).hex() for _ in range(60)]
    now = hour_of(minute_of(stack.clock.now()), 0)
    for hour in range(now - 30 * 24, now):
        tally = Tally(chance.randrange(20, 60), 40, set(chance.sample(people, 20)))
        rows.count(defined, hour, 100, {("page", "/pricing"): tally}, late=False)
    path = f"/v1/stats/{defined.id}"
    ask(stack, path, filter="page:/pricing")
    month = {"since": "2026-10-02", "to": "2026-10-31", "interval": "hour"}
    bill = ask(stack, path, **month, filter="page:/pricing")
    assert bill.by_operation == {"dynamodb:Query": 1}
    assert bill.rcu <= 4
    top = ask(stack, path, since="2026-10-31", to="2026-10-31", by="page", limit="20")
    assert top.by_operation == {"dynamodb:Query": 2}
    assert top.rcu <= 1
    live = ask(stack, f"{path}/live")
    assert live.by_operation == {"dynamodb:Query": 2}
    assert live.rcu <= 1
