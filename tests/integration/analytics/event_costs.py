"""What an event costs from a request to the rows, and what a question costs, under the meter."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from functions.analytics.axis import local_date
from functions.analytics.decider import Definition
from functions.analytics.facts import Fact, hour_of, minute_of
from functions.analytics.rollups import TOTAL, Tally
from functions.analytics.rows import Rows
from tests.integration.analytics.bulk import AFTER_AN_HOUR, gather, make_bulk, pages
from tests.integration.analytics.counting import (
    hours,
    keep,
    message,
    queued,
    records,
    site,
    traffic,
)
from tests.integration.analytics.sites import OWNER, ask, make
from tests.integration.analytics.tracking import DAY, HOUR, ingest, send
from tests.integration.analytics.tracking import queued as tracked
from tests.integration.costs import Priced, line
from tests.support.pump import Stack

PAGE = "/pricing"
PAGES, LIVE = 500, 300
Pricer = Callable[[str, Callable[[], Any]], Priced]


def events(stack: Stack) -> list[Priced]:
    """The bills of both ledgers and of questions, on warm containers."""

    def priced(operation: str, work: Callable[[], Any]) -> Priced:
        with stack.meter.operation(operation) as bill:
            work()
        return line(bill)

    return [
        # It delivers all that is under way, so it goes before there is much.
        *_gathered(stack, priced),
        *_taken(stack, priced),
        *_counted(stack, priced),
        *_asked(stack, priced),
    ]


def _taken(stack: Stack, priced: Pricer) -> list[Priced]:
    shop = make(stack)
    own: dict[str, Any] = {"json": {"events": pages(10)}}
    ask(stack, "POST", f"/{shop}/events", 202, **own)
    # As the snippet does, it says when.
    send(stack, shop, {**pages(1)[0], "timestamp": stack.clock.now()})
    bills = [
        priced("track 1 event", lambda: send(stack, shop, *pages(1, 1))),
        priced("track 500 events", lambda: send(stack, shop, *pages(500, 10))),
        priced(
            "10 events from a server", lambda: ask(stack, "POST", f"/{shop}/events", 202, **own)
        ),
    ]
    single, *_ = (body for body in tracked(stack) if len(body["events"]) == 1)
    ingest(stack, json.dumps(single))
    fresh = {**single, "events": [{**single["events"][0], "id": "another"}]}
    bills += [
        priced("keep 1 event", lambda: ingest(stack, json.dumps(fresh))),
        priced("keep 1 event, again", lambda: ingest(stack, json.dumps(fresh))),
    ]
    return bills


def _counted(stack: Stack, priced: Pricer) -> list[Priced]:
    defined = site(stack)
    facts = traffic(random.Random(1), 101, stack.clock.now() - HOUR, 60_000)
    [hour] = hours(facts, defined)

    def fold(some: list[Fact]) -> Callable[[], Any]:
        told = records(some, defined)
        return lambda: stack.invoke("AnalyticsFold", told)

    def roll() -> Any:
        return stack.invoke("AnalyticsRoll", message(defined, hour))

    # The containers read the site's definition, once a minute.
    fold(keep(stack, facts[:1], defined))()
    roll()
    first, last = keep(stack, facts[1:], defined), facts[0]._replace(id="last")
    bills = [
        priced("fold 100 events of a minute", fold(first)),
        priced("roll an hour up, 100 events more", roll),
    ]
    fold(keep(stack, [last], defined))()
    return [
        *bills,
        priced("roll an hour up, 1 event more", roll),
        priced("roll an hour up, nothing new", roll),
    ]


def _gathered(stack: Stack, priced: Pricer) -> list[Priced]:
    bulk = make_bulk(stack)
    gather(stack, bulk, requests=1, events=1)
    for request in range(10):
        send(stack, bulk, *pages(100, 100 * request))
    told = messages(*map(json.loads, stack.messages("AnalyticsTrackedBulk")))
    bills = [
        priced("gather 1,000 events in 10 requests", lambda: stack.invoke("AnalyticsGather", told))
    ]
    stack.drain()
    stack.advance(AFTER_AN_HOUR)
    hour = hour_of(minute_of(stack.clock.now() - AFTER_AN_HOUR * 1000), 0)
    due = messages({"site": bulk, "hour": hour})
    return [*bills, priced("compact an hour", lambda: stack.invoke("AnalyticsCompact", due))]


def messages(*bodies: Any) -> dict[str, Any]:
    """A queue's event of messages."""
    return {"Records": [record for body in bodies for record in queued(body)["Records"]]}


def _asked(stack: Stack, priced: Pricer) -> list[Priced]:
    defined = site(stack)
    _month(stack, defined)
    recent = traffic(random.Random(3), LIVE, stack.clock.now() - HOUR // 2, HOUR // 2)
    stack.invoke("AnalyticsFold", records(keep(stack, recent, defined), defined))

    def query(name: str, path: str, **query: str) -> Priced:
        given = {"from" if key == "since" else key: value for key, value in query.items()}

        def answer() -> None:
            found = stack.request("GET", path, user=OWNER, query=given)
            assert found.status == 200, found.text

        answer()
        return priced(name, answer)

    path = f"/v1/stats/{defined.id}"
    day = local_date(stack.clock.now() - DAY, "UTC")
    first = local_date(stack.clock.now() - 30 * DAY, "UTC")
    month = {"since": first, "to": day}
    return [
        query("30 days by hour of one page", path, **month, interval="hour", filter=f"page:{PAGE}"),
        query("30 days by day, compared", path, **month, compare="previous"),
        query(f"top 20 of {PAGES} pages of a day", path, since=day, to=day, by="page", limit="20"),
        query(f"live, {LIVE} events in half an hour", f"{path}/live"),
        query("2 goals over 30 days", f"/v1/sites/{defined.id}/goals", **month),
    ]


def _month(stack: Stack, defined: Definition) -> None:
    """A page's rows of a full month, and the list of a day, written as the roll writes them."""
    chance, table = random.Random(2), stack.functions["AnalyticsRoll"].env["ROLLUPS_TABLE"]
    rows = Rows(stack.client("dynamodb"), table)
    people = [chance.randbytes(8).hex() for _ in range(60)]
    now = hour_of(minute_of(stack.clock.now()), 0)
    for hour in range(now - 31 * 24, now):
        tally = Tally(chance.randrange(20, 60), 40, set(chance.sample(people, 20)))
        values = dict.fromkeys((TOTAL, ("page", PAGE)), tally)
        rows.count(defined, hour, 100, values, late=False)
    many = {("page", f"/{number}"): Tally(1, 1) for number in range(PAGES)}
    rows.count(defined, now - 24, 200, many, late=False)
