"""A million events, some twice, some late, shuffled, with crashes between any two calls: every row
and every top list is what one pass over the events says."""

from __future__ import annotations

import gc
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import pytest

from functions.analytics.cells import decode_cells
from functions.analytics.decider import CreateSite, GrowLanes, SetGoal, Site
from functions.analytics.events import BULK, EXACT, Ledger, Terms
from functions.analytics.rows import _read_top
from functions.analytics.sketches import estimate, is_exact, sketch
from functions.analytics.stats import MAX_LIMIT
from tests.integration.analytics.flood import MOST_MESSAGES, Flood
from tests.support.clock import START

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
LATEST_MS = 20 * HOUR_MS
PAGES = 10_000
BATCH = 20
"""Events of a message."""
ROLLED_EVERY_MS = 12 * HOUR_MS
"""How seldom dirty hours are rolled up here, so that the time goes into events, not into rolling
the same hours up each minute."""
PAIRS = (("page", "country"), ("country", "device"))
MAX_LISTED, MAX_VALUES = 1000, 5000

AGENTS = {
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0": (
        "desktop",
        "Firefox",
        "Linux",
    ),
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Version/18.5 Mobile/15E148 Safari/604.1": ("mobile", "Mobile Safari", "iOS"),
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/138.0.0.0 Safari/537.36": ("desktop", "Chrome", "Windows"),
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": None,
}
"""What each tells: device, browser, system; None for a machine."""
COUNTRIES = ["DE", "US", "FR", "GB", "IN", "BR", "JP", "KE"]
REFERRERS = [None, None, "search.example", "news.example", "social.example", "forum.example"]
CAMPAIGNS = ["", "", "", "", "?utm_source=letter&utm_campaign=spring", "?utm_source=ads"]


class Event(NamedTuple):
    """An event as its sender means it; `off` is how wrong the sender's clock is, in ms."""

    id: str
    site: str
    at: int
    off: int
    name: str
    page: str
    campaign: str
    link: str | None
    referrer: str | None
    country: str
    agent: str
    visitor: str | None
    plan: str | None


def zipf(number: int) -> list[float]:
    """Cumulative weights of ranks."""
    return list(accumulate(1 / rank for rank in range(1, number + 1)))


def traffic(chance: random.Random, number: int, sites: list[Site]) -> list[Event]:
    """Events of a day on some sites."""
    pages, ranks = zipf(PAGES), range(PAGES)
    agents, countries = list(AGENTS), zipf(len(COUNTRIES))
    people = max(100, number // 25)
    columns = zip(
        chance.choices(ranks, cum_weights=pages, k=number),
        chance.choices(ranks, cum_weights=pages, k=number),
        chance.choices(COUNTRIES, cum_weights=countries, k=number),
        chance.choices(agents, weights=(40, 35, 20, 3), k=number),
        chance.choices(("pageview", "outbound", "signup"), weights=(80, 17, 3), k=number),
        chance.choices(REFERRERS, k=number),
        chance.choices(CAMPAIGNS, k=number),
        chance.choices((None, None, None, "free", "pro"), k=number),
        chance.choices(sites, k=number),
        strict=True,
    )
    return [
        Event(
            id=f"e{place}",
            site=site.id,
            at=START + DAY_MS + chance.randrange(DAY_MS),
            off=0,
            name=name,
            page=f"/p/{page}",
            campaign=campaign,
            link=f"out.example/{link}" if name == "outbound" else None,
            referrer=referrer,
            country=country,
            agent=agent,
            visitor=None if place % 20 == 0 else f"{chance.randrange(people):016x}",
            plan=plan,
        )
        for place, (page, link, country, agent, name, referrer, campaign, plan, site) in enumerate(
            columns
        )
    ]


def skewed(chance: random.Random, event: Event) -> Event:
    """The same event from a clock that is off by hours."""
    # In the middle of half an hour, so that what is measured of the skew moves none to another.
    at = event.at - event.at % (HOUR_MS // 2) + HOUR_MS // 4
    return event._replace(at=at, off=chance.choice((-1, 1)) * chance.randrange(HOUR_MS, DAY_MS))


class Arrival(NamedTuple):
    """A message that comes at a time."""

    at: int
    message: Mapping[str, Any]


def arrivals(chance: random.Random, events: list[Event]) -> list[Arrival]:
    """Messages with all events, 5 % of them twice, 10 % late by up to 20 hours; shuffled
    among those that come at the same time."""
    coming = [*events, *chance.sample(events, len(events) // 20)]
    order = sorted(
        (
            event.at + chance.randrange(LATEST_MS if chance.random() < 0.1 else 60_000),
            event,
        )
        for event in coming
    )
    batches: defaultdict[tuple[str, str], list[Event]] = defaultdict(list)
    found = []
    for at, event in order:
        batch = batches[event.site, event.agent]
        batch.append(event)
        if len(batch) == BATCH:
            found.append(Arrival(at, message(chance, at, batch)))
            batch.clear()
    last = order[-1][0]
    found += [Arrival(last, message(chance, last, batch)) for batch in batches.values() if batch]
    return found


def message(chance: random.Random, received: int, batch: list[Event]) -> Mapping[str, Any]:
    """As the functions that take events in send it."""
    return {
        "site": batch[0].site,
        "received": received,
        "agent": batch[0].agent,
        "country": None,
        "machine": None,
        "events": [_told(chance, event) for event in chance.sample(batch, len(batch))],
    }


def _told(chance: random.Random, event: Event) -> dict[str, Any]:
    told = {
        "id": event.id,
        # A skew is never measured twice the same.
        "at": event.at + chance.randrange(-300_000, 300_000) if event.off else event.at,
        "sent_as": event.at + event.off,
        "name": event.name,
        "page": event.page + event.campaign,
        "link": event.link,
        "referrer": event.referrer,
        "country": event.country,
        "visitor": event.visitor,
        "props": [["plan", event.plan]] if event.plan else None,
    }
    return {name: value for name, value in told.items() if value is not None}


# ---- The reference ----------------------------------------------------------------------------


@dataclass
class Counts:
    """A value's day: by hour of the day events and page views, and who visited."""

    events: Counter[int]
    views: Counter[int]
    visitors: defaultdict[int, set[str]]


Reference = dict[tuple[str, str, str, str], Counts]
"""By site, rollup, value and day."""


def one_pass(events: list[Event], sites: list[Site]) -> Reference:
    """What rows must say, by one look at each event."""
    phases = {site.id: site.phase for site in sites}
    found: Reference = {}
    for event in events:
        moved = event.at // 60_000 + phases[event.site]
        day, hour = time.strftime("%F", time.gmtime(moved * 60)), moved // 60 % 24
        for rollup, value in meanings(event):
            key = event.site, rollup, value, day
            counts = found.get(key)
            if counts is None:
                counts = found[key] = Counts(Counter(), Counter(), defaultdict(set))
            counts.events[hour] += 1
            counts.views[hour] += event.name == "pageview"
            if event.visitor:
                counts.visitors[hour].add(event.visitor)
    return found


def meanings(event: Event) -> Iterator[tuple[str, str]]:
    """Rollups and values in which an event counts."""
    agent = AGENTS[event.agent]
    if agent is None:
        yield "machine", "bot"
        return
    device, browser, system = agent
    yield "all", ""
    yield "name", event.name
    yield "page", event.page
    yield "country", event.country
    yield "device", device
    yield "browser", browser
    yield "os", system
    yield "page*country", f"{event.page}\t{event.country}"
    yield "country*device", f"{event.country}\t{device}"
    if event.referrer:
        yield "referrer", event.referrer
    if event.link:
        yield "link", event.link
    if event.campaign:
        yield "utm_source", "letter" if "letter" in event.campaign else "ads"
    if "spring" in event.campaign:
        yield "utm_campaign", "spring"
    if event.plan:
        yield "prop:plan", event.plan
    if event.name == "signup":
        yield "goal", "signup"
    if event.name == "pageview" and event.page.startswith("/p/1"):
        yield "goal", "ones"


def check_bounds(reference: Reference) -> None:
    """No hour has more values than it keeps: beyond that numbers are not exact."""
    values: Counter[tuple[str, str, str, int]] = Counter()
    for (site, rollup, _, day), counts in reference.items():
        values.update((site, rollup, day, hour) for hour in counts.events)
    assert max(values.values()) <= MAX_VALUES


def check_rows(flood: Flood, reference: Reference) -> int:
    """Every row is there and says what it must; gives how many."""
    missing = set(reference)
    for item in flood.items("row#"):
        _, site, rollup, value = item["pk"]["S"].split("#", 3)
        key = site, rollup, value, item["sk"]["S"]
        wanted = reference[key]
        missing.remove(key)
        cells = {hour: cell[1:4] for hour, cell in decode_cells(item["c"]["B"]).items()}
        assert cells == {
            hour: (number, wanted.views[hour], len(wanted.visitors[hour]))
            for hour, number in wanted.events.items()
        }, key
        people = set().union(*wanted.visitors.values())
        assert item["u"]["B"] == sketch(people), key
        check_uniques(item["u"]["B"], len(people))
    assert not missing
    return len(reference)


def check_uniques(content: bytes, people: int) -> None:
    """Exact to a hundred, beyond that within 3 %."""
    error = abs(estimate(content) - people)
    assert is_exact(content) == (people <= 100)
    assert error <= (0 if people <= 100 else people * 0.03)


def check_tops(flood: Flood, reference: Reference, ledger: Ledger) -> None:
    """Every list has the values of the most events, by name where those are the same. In the bulk
    ledger, where a value may have left the end of a list while others were counted twice, as many
    of them as anybody is told at once."""
    wanted: defaultdict[tuple[str, str, str], dict[str, tuple[int, int, int]]] = defaultdict(dict)
    for (site, rollup, value, day), counts in reference.items():
        if rollup != "all":
            people = estimate(sketch(set().union(*counts.visitors.values())))
            numbers = counts.events.total(), counts.views.total(), people
            wanted[site, rollup, day][value] = numbers
    for item in flood.items("top#"):
        _, site, rollup = item["pk"]["S"].split("#", 2)
        told = wanted.pop((site, rollup, item["sk"]["S"]))
        entries = _read_top(item).entries
        assert {value: entry[:3] for value, entry in entries.items()} == {
            value: told[value] for value in entries
        }, (site, rollup)
        ranked = sorted(told, key=lambda value: (-told[value][0], value))[:MAX_LISTED]
        assert len(entries) == len(ranked), (site, rollup)
        certain = len(ranked) if ledger == EXACT else MAX_LIMIT
        assert set(ranked[:certain]) <= entries.keys(), (site, rollup)
    assert not wanted


# ---- The test ---------------------------------------------------------------------------------


def sites(flood: Flood, number: int, ledger: Ledger) -> list[Site]:
    """Sites of different time zones and numbers of lanes."""
    made = []
    for place in range(number):
        timezone, phase = (("UTC", 0), ("Asia/Kolkata", 30))[place % 2]
        terms = Terms(
            timezone=timezone, phase=phase, ledger=ledger, properties=("plan",), pairs=PAIRS
        )
        create = CreateSite(f"site{place:08}", "owner", "Site", (), terms, flood.now)
        minute = (START + DAY_MS + 7 * HOUR_MS) // 60_000
        goals = SetGoal("signup", "event", "signup"), SetGoal("ones", "page", "/p/1*")
        grown = [GrowLanes(3, minute, flood.now)] if place == 0 else []
        made.append(flood.site(create, *goals, *grown))
    return made


TAKES = {"exact": "AnalyticsIngest", "bulk": "AnalyticsGather"}
"""Which function makes facts, by ledger."""


def pour(flood: Flood, coming: list[Arrival], ledger: Ledger) -> None:
    """All messages through a ledger, in their time, until nothing is left to do."""
    rolled = 0
    for place, arrival in enumerate(coming):
        flood.now = arrival.at
        flood.send(TAKES[ledger], arrival.message)
        if place % (10 if ledger == EXACT else MOST_MESSAGES) == 9:
            flood.drain(TAKES[ledger])
            flood.fold(least=1000)
        if flood.now - rolled > ROLLED_EVERY_MS:
            rolled = flood.now
            flood.drain("AnalyticsRoll")
    flood.settle()


@pytest.mark.parametrize("ledger", [EXACT, BULK])
@pytest.mark.parametrize(
    "number", [5_000, pytest.param(1_000_000, marks=pytest.mark.slow)], ids="{:,}".format
)
def test_a_flood_is_counted_each_event_once(
    number: int, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    flood = Flood(seed=number, crashes=3)
    defined = sites(flood, 2 if number < 500_000 else 8, ledger)
    chance = random.Random(number)
    events = [
        skewed(chance, each) if place % 33 == 0 else each
        for place, each in enumerate(traffic(chance, number, defined))
    ]
    coming = arrivals(chance, events)
    flood.dynamodb.bill.clear()
    gc.freeze()
    started = time.perf_counter()
    pour(flood, coming, ledger)
    seconds = time.perf_counter() - started
    reference = one_pass(events, defined)
    check_bounds(reference)
    rows = check_rows(flood, reference)
    check_tops(flood, reference, ledger)
    assert {TAKES[ledger], "AnalyticsRoll"} <= flood.died.keys()
    with capsys.disabled():
        report(flood, number, seconds, rows)


def report(flood: Flood, number: int, seconds: float, rows: int) -> None:
    """What it took."""
    bill = flood.dynamodb.bill
    calls = sum(bill[each] for each in bill if each not in ("rcu", "wcu")) + flood.sent
    calls += flood.stored
    print(
        f"\n{number:,} events in {seconds:.0f} s, {number / seconds:,.0f} a second; {rows:,} rows; "
        f"per event {bill['wcu'] / number:.2f} WCU, {bill['rcu'] / number:.2f} RCU, "
        f"{calls / number:.2f} calls, {flood.stored / number:.4f} of them to S3; "
        f"died: {dict(flood.died)}; {dict(bill)}"
    )
