"""How long statistics take over HTTP, on the emulator, before a month of events.

Rows and segments are what the functions of analytics make of the events; they are made in memory
and loaded, since the pipeline would take an hour.
"""

from __future__ import annotations

import os
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import httpx

from functions.analytics.decider import DECIDER, Definition, stream_id
from functions.analytics.facts import Fact, hour_of, minute_of
from functions.analytics.hours import Hours, gone_at
from functions.analytics.rollups import tally
from functions.analytics.rows import Rows
from functions.analytics.segments import fold
from functions.kernel.dynamo import DynamoStore
from functions.kernel.store import load
from tests.support.cloud.dynamodb import DynamoDB
from tests.support.cloud.sdk import fast_client
from tests.support.deployed import Stack, deployed

EVENTS = int(os.environ.get("EVENTS", "10000"))
REQUESTS = 200
DAYS, PAGES, VISITORS_PER_EVENT = 30, 500, 0.4
RECENT, LIVE_MINUTES = 0.01, 30
"""Share of the events that came in so many minutes, which alone are loaded as segments."""
BATCH = 25
TABLE = {
    "TableName": "rollups",
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
    ],
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "BillingMode": "PAY_PER_REQUEST",
}


class Timed(NamedTuple):
    """A question with the milliseconds that its answers took."""

    question: str
    p50: float
    p99: float


def traffic(site: str, now: int, number: int) -> Iterator[Fact]:
    """Page views of the last DAYS, pages by Zipf's law."""
    choice = random.Random(0)
    pages = [f"/page/{rank}" for rank in range(1, PAGES + 1)]
    weights = [1 / rank for rank in range(1, PAGES + 1)]
    span = DAYS * 86_400_000
    for count, page in enumerate(choice.choices(pages, weights, k=number)):
        past = choice.randrange(LIVE_MINUTES * 60_000 if choice.random() < RECENT else span)
        yield Fact(
            id=str(count),
            site=site,
            at=now - past,
            name="pageview",
            visitor=f"{choice.randrange(int(number * VISITORS_PER_EVENT)):016x}",
            page=page,
            country=choice.choice(("US", "DE", "GB", "FR", "IN")),
            device=choice.choice(("desktop", "mobile")),
        )


def items(site: Definition, now: int) -> list[dict[str, Any]]:
    """The table of rollups after EVENTS events of a site."""
    memory = DynamoDB()
    client = fast_client(
        "dynamodb", lambda _, operation, params: memory.call(operation, params), time.sleep, _half
    )
    client.create_table(**TABLE)
    rows, hours = Rows(client, "rollups"), Hours(client, "rollups", None, "")
    by_hour: defaultdict[int, defaultdict[int, list[Fact]]] = defaultdict(lambda: defaultdict(list))
    for fact in traffic(site.id, now, EVENTS):
        minute = minute_of(fact.at)
        by_hour[hour_of(minute, site.phase)][minute].append(fact)
    for hour, minutes in by_hour.items():
        facts = [fact for each in minutes.values() for fact in each]
        rows.count(site, hour, len(facts), tally(fold(facts), site), late=False)
        for minute, found in minutes.items():
            if minute < minute_of(now) - LIVE_MINUTES:
                continue
            until = gone_at(hour, site.phase, now)
            hours.put(site.id, hour, (minute, 0), fold(found), until, now=0)
    return list(memory.tables["rollups"].everything())


def _half() -> float:
    return 0.5


def fill(stack: Stack, api: httpx.Client) -> tuple[str, int]:
    """Makes a site with its events; gives it, and the number of items loaded."""
    site = api.post("/v1/sites", json={"name": "Shop", "pairs": []}).json()["id"]
    client = stack.session.client("dynamodb")
    store = DynamoStore(client, stack.physical_id("AnalyticsEvents"))
    defined = load(store, DECIDER, stream_id(site)).state
    assert defined is not None
    table, loaded = stack.physical_id("AnalyticsRollups"), items(defined, int(time.time() * 1000))
    for start in range(0, len(loaded), BATCH):
        puts = [{"PutRequest": {"Item": item}} for item in loaded[start : start + BATCH]]
        client.batch_write_item(RequestItems={table: puts})
    return site, len(loaded)


def questions(site: str) -> dict[str, tuple[str, dict[str, str]]]:
    """What a dashboard asks, by name: path and query."""
    today = datetime.now(UTC).date()
    month = {"from": str(today - timedelta(days=DAYS - 1)), "to": str(today)}
    day = str(today - timedelta(days=1))
    path = f"/v1/stats/{site}"
    return {
        "30 days by hour, one page": (
            path,
            {**month, "interval": "hour", "filter": "page:/page/1"},
        ),
        "top 20 pages of a day": (path, {"from": day, "to": day, "by": "page", "limit": "20"}),
        "live": (f"{path}/live", {}),
    }


def timed(ask: Callable[[], httpx.Response], question: str) -> Timed:
    """Asks one after the other, the first time for nothing."""
    times = []
    for _ in range(REQUESTS + 1):
        began = time.perf_counter()
        answer = ask()
        times.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == 200, answer.text
    percents = quantiles(times[1:], n=100)
    return Timed(question, percents[49], percents[98])


def measure() -> tuple[int, list[Timed]]:
    """How many items EVENTS events are, and how long each question takes."""
    with TemporaryDirectory() as scratch, deployed(Path(scratch)) as stack:
        headers = {"authorization": f"Bearer {stack.token()}"}
        with httpx.Client(base_url=stack.url, headers=headers, timeout=30) as api:
            site, loaded = fill(stack, api)
            return loaded, [
                timed(lambda path=path, query=query: api.get(path, params=query), name)  # type: ignore[misc]
                for name, (path, query) in questions(site).items()
            ]
