"""What an owner asks is answered as one pass over the facts would; and nobody else is."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest

from functions.analytics import links
from functions.analytics.decider import Definition
from functions.analytics.facts import Fact
from tests.integration.analytics.counting import define, keep, site, traffic
from tests.integration.analytics.sites import OWNER, kind, make
from tests.support.cloud.replacing_moto import dynamodb_in_memory
from tests.support.handlers import ROOT
from tests.support.http_api import Response
from tests.support.pump import Stack
from tests.unit.analytics.reference import visitors

ZONE = ZoneInfo("America/New_York")
HOUR, DAY = 3_600_000, 86_400_000


class World(NamedTuple):
    """A site of New York with the facts of some days around the end of summer time, and a link."""

    stack: Stack
    site: Definition
    facts: list[Fact]
    clicks: list[Fact]

    def ask(self, status: int = 200, user: str = OWNER, **query: Any) -> Any:
        query = {"from" if name == "since" else name: value for name, value in query.items()}
        return self.get(f"/v1/stats/{self.site.id}", status, user, query)

    def get(self, path: str, status: int, user: str, query: dict[str, Any]) -> Any:
        answer: Response = self.stack.request("GET", path, user=user, query=query)
        assert answer.status == status, answer.text
        return answer.json() if status == 200 else answer

    def people(self, fits: Callable[[Fact], bool] = lambda fact: True) -> list[Fact]:
        return [fact for fact in self.facts if not fact.machine and fits(fact)]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with dynamodb_in_memory(), Stack([ROOT / "template.yaml"]) as stack:
        chance = random.Random(4)
        # The clock stands at 2026-11-01T00:00Z: six hours before New York's clocks go back.
        stack.clock.milliseconds += 2 * DAY + 10 * HOUR + 17 * 60_000
        defined = site(stack, timezone="America/New_York")
        now = stack.clock.now()
        kept = keep(stack, bursts(chance, now, [95, 71, 70, 60, 53, 47, 26, 9, 1]), defined)
        link = links.definition(links.site_of("default", "spring"))
        clicked = [
            fact._replace(id=f"c{fact.id}", name="click", page=None)
            for fact in bursts(chance, now, [50, 30, 9])
        ]
        clicks = keep(stack, clicked, link)
        tell(stack)
        stack.drain()
        yield World(stack, defined, kept, clicks)


def bursts(chance: random.Random, now: int, hours: list[int]) -> list[Fact]:
    """Facts of some hours only: each hour more is a hundred rows to write."""
    return [
        fact._replace(id=f"{ago}-{fact.id}")
        for ago in hours
        for fact in traffic(chance, 30, now - ago * HOUR, HOUR)
    ]


def tell(stack: Stack) -> None:
    """As if the shortener had told of the link."""
    link = {"domain": "default", "code": "spring", "deleted": False, "tenant": "default"}
    told = {**link, "owner": OWNER, "created_at": stack.clock.now() - 9 * DAY}
    stack.client("dynamodb").put_item(
        TableName=stack.functions["AnalyticsStats"].env["VIEWS_TABLE"],
        Item={
            "pk": {"S": "audience@1#link#default#spring"},
            "v": {"N": "1"},
            "d": {"S": json.dumps(told)},
        },
    )


def local(fact: Fact) -> datetime:
    return datetime.fromtimestamp(fact.at / 1000, UTC).astimezone(ZONE)


def figures(facts: list[Fact]) -> dict[str, int]:
    views = sum(fact.name == "pageview" for fact in facts)
    return {"events": len(facts), "pageviews": views, "visitors": len(visitors(facts))}


def numbers(place: dict[str, Any]) -> dict[str, int]:
    return {name: place[name] for name in ("events", "pageviews", "visitors")}


def moment(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def test_days_are_local_ones_though_one_has_twenty_five_hours(world: World) -> None:
    found = world.ask(since="2026-10-30", to="2026-11-03", interval="day")
    days = Counter(f"{local(fact):%Y-%m-%d}" for fact in world.people())
    shown = {
        f"{datetime.fromisoformat(each['start']).astimezone(ZONE):%Y-%m-%d}": each["events"]
        for each in found["series"]
    }
    assert {day: number for day, number in shown.items() if number} == days
    lengths = [
        moment(later["start"]) - moment(earlier["start"])
        for earlier, later in zip(found["series"], found["series"][1:], strict=False)
    ]
    assert lengths == [DAY, DAY, DAY + HOUR, DAY]
    assert found["totals"]["events"] == len(world.people())
    assert found["timezone"] == "America/New_York"
    assert found["uniques"] == "daily sums"


def test_hours_are_exact_and_sum_to_the_total(world: World) -> None:
    found = world.ask(since="2026-10-30", to="2026-11-02", interval="hour")
    for place in found["series"]:
        start = moment(place["start"])
        mine = world.people(lambda fact, at=start: at <= fact.at < at + HOUR)  # type: ignore[misc]
        assert numbers(place) == figures(mine)
    for name in ("events", "pageviews"):
        assert sum(place[name] for place in found["series"]) == found["totals"][name]


def test_what_is_over_is_final_and_what_is_not_is_not(world: World) -> None:
    found = world.ask(since="2026-11-03", to="2026-11-03", interval="hour")
    for place in found["series"]:
        over = moment(place["start"]) + HOUR + 120_000 <= world.stack.clock.now()
        assert place["final"] is over


@pytest.mark.parametrize("interval", ["minute", "5m"])
def test_minutes_partition_the_hour_and_are_exact(world: World, interval: str) -> None:
    found = world.ask(interval=interval, by="page")
    first, stop = moment(found["from"]), moment(found["to"])
    mine = world.people(lambda fact: first <= fact.at < stop)
    step = (stop - first) // len(found["series"])
    assert step == {"minute": 60_000, "5m": 300_000}[interval]
    assert numbers(found["totals"]) == figures(mine)
    assert found["uniques"] == "exact"
    for place in found["series"]:
        at = moment(place["start"])
        assert numbers(place) == figures([fact for fact in mine if at <= fact.at < at + step])
    pages = Counter(fact.page for fact in mine if fact.page)
    assert {row["value"]: row["events"] for row in found["top"]["rows"]} == dict(
        sorted(pages.items(), key=lambda pair: (-pair[1], pair[0]))[:10]
    )


@pytest.mark.parametrize("by", ["page", "country", "referrer", "prop:plan", "utm_source", "goal"])
def test_a_list_and_the_others_are_the_total(world: World, by: str) -> None:
    found = world.ask(since="2026-11-01", to="2026-11-02", by=by, limit="3")
    top, totals = found["top"], found["totals"]
    mine = world.people(lambda fact: local(fact).strftime("%m-%d") in ("11-01", "11-02"))
    assert totals["events"] == len(mine)
    assert len(top["rows"]) <= 3
    if by != "goal":
        assert sum(row["events"] for row in top["rows"]) + top["other"]["events"] == len(mine)
    if by in ("page", "country", "referrer"):
        values = Counter(getattr(fact, by) for fact in mine if getattr(fact, by))
        ranked = sorted(values.items(), key=lambda pair: (-pair[1], pair[0]))[:3]
        assert [(row["value"], row["events"]) for row in top["rows"]] == ranked


def test_a_local_days_list_is_not_crowded_out_by_the_day_after(world: World) -> None:
    quiet = moment("2026-10-20T15:00+00:00")
    busy = quiet + DAY
    pages = [(busy, f"/p{number:03}") for number in range(100) for _ in range(2)]
    pages += [(quiet, "/landing"), (quiet - 13 * HOUR, "/evening-before")]
    site = define(world.stack, make(world.stack, timezone="America/New_York"))
    facts = [
        Fact(f"{number:03}", site.id, at + number, "pageview", "a" * 16, page)
        for number, (at, page) in enumerate(pages)
    ]
    keep(world.stack, facts, site)
    world.stack.drain()
    query = {"from": "2026-10-20", "to": "2026-10-20", "by": "page"}
    top = world.get(f"/v1/stats/{site.id}", 200, OWNER, query)["top"]
    assert [(row["value"], row["events"]) for row in top["rows"]] == [("/landing", 1)]
    assert top["other"]["events"] == 0


def test_a_filter_counts_what_fits_and_a_pair_what_fits_both(world: World) -> None:
    span: dict[str, Any] = {"since": "2026-10-30", "to": "2026-11-03"}
    page = world.people(lambda fact: fact.page == "/docs/a")
    both = [fact for fact in page if fact.country == "DE"]
    assert world.ask(**span, filter="page:/docs/a")["totals"]["events"] == len(page)
    found = world.ask(**span, filter=["country:DE", "page:/docs/a"])
    assert found["totals"]["events"] == len(both)
    listed = world.ask(**span, filter="page:/docs/a", by="country")["top"]
    countries = Counter(fact.country for fact in page if fact.country)
    assert {row["value"]: row["events"] for row in listed["rows"]} == countries
    assert listed["other"]["events"] == sum(fact.country is None for fact in page)
    with_comma = world.ask(**span, filter="page:/a,b:c")
    assert with_comma["totals"]["events"] == 0


def test_machines_are_a_rollup_of_their_own(world: World) -> None:
    found = world.ask(since="2026-10-30", to="2026-11-03", by="machine")
    bots = [fact for fact in world.facts if fact.machine]
    assert {row["value"]: row["events"] for row in found["top"]["rows"]} == {"bot": len(bots)}
    assert found["top"]["other"] == {"events": 0, "pageviews": 0}
    only = world.ask(since="2026-10-30", to="2026-11-03", filter="machine:bot")
    assert only["totals"]["events"] == len(bots)


def test_machines_that_are_not_listed_are_others(world: World) -> None:
    site = define(world.stack, make(world.stack))
    at = moment("2026-10-20T15:00+00:00")
    kinds = ["bot", "bot", "spam", "head", None]
    facts = [
        Fact(f"{number}", site.id, at, "pageview", machine=kind)
        for number, kind in enumerate(kinds)
    ]
    keep(world.stack, facts, site)
    world.stack.drain()
    query = {"from": "2026-10-20", "to": "2026-10-20", "by": "machine", "limit": "1"}
    top = world.get(f"/v1/stats/{site.id}", 200, OWNER, query)["top"]
    assert [(row["value"], row["events"]) for row in top["rows"]] == [("bot", 2)]
    assert top["other"] == {"events": 2, "pageviews": 2}


def test_a_comparison_is_what_the_earlier_span_would_be_answered(world: World) -> None:
    query: dict[str, Any] = {"since": "2026-11-02", "to": "2026-11-03", "interval": "hour"}
    found = world.ask(**query, compare="previous")["compare"]
    alone = world.ask(since="2026-10-31", to="2026-11-01", interval="hour")
    assert found == {name: alone[name] for name in ("from", "to", "totals", "series")}
    assert len(found["series"]) == 49
    year = world.ask(**query, compare="year")["compare"]
    assert (year["from"], year["totals"]["events"]) == ("2025-11-02T04:00:00.000Z", 0)


def test_a_year_before_a_leap_day_there_is_a_day_too(world: World) -> None:
    for day in ("2024-02-28", "2024-02-29"):
        found = world.ask(since=day, to=day, compare="year")["compare"]
        assert (found["from"], found["to"]) == (
            "2023-02-28T05:00:00.000Z",
            "2023-03-01T05:00:00.000Z",
        )


@pytest.mark.parametrize(
    ("identity", "first", "to", "uniques"),
    [
        ("day", "2026-11-02", "2026-11-02", "exact"),
        ("day", "2026-11-01T23:00:00Z", "2026-11-02T00:00:00Z", "exact"),
        ("day", "2026-11-01T23:00:00Z", "2026-11-02T01:00:00Z", "daily sums"),
        ("week", "2026-10-26", "2026-11-01", "exact"),
        ("week", "2026-10-31", "2026-11-02", "weekly sums"),
        ("month", "2026-10-01", "2026-10-31", "exact"),
        ("month", "2026-10-31", "2026-11-01", "monthly sums"),
    ],
)
def test_who_has_another_id_after_midnight_is_told_to_count_twice(
    world: World, identity: str, first: str, to: str, uniques: str
) -> None:
    site = make(world.stack, identity=identity)
    found = world.get(f"/v1/stats/{site}", 200, OWNER, {"from": first, "to": to})
    assert found["uniques"] == uniques


def test_live_is_the_last_half_hour(world: World) -> None:
    found = world.get(f"/v1/stats/{world.site.id}/live", 200, OWNER, {})
    last = world.stack.clock.now() // 60_000
    mine = world.people(lambda fact: fact.at // 60_000 > last - 30)
    now = [fact for fact in mine if fact.at // 60_000 > last - 5]
    assert [each["events"] for each in found["minutes"]] == [
        sum(fact.at // 60_000 == minute for fact in mine) for minute in range(last - 29, last + 1)
    ]
    assert found["sliding"] == {"events": len(now), "visitors": len(visitors(now))}
    assert found["visitors"] == len(visitors(now))
    assert sum(each["events"] for each in found["pages"]) <= len(mine)
    assert mine != []


def test_a_links_owner_sees_its_clicks(world: World) -> None:
    found = world.get("/v1/links/spring/stats", 200, OWNER, {})
    people = [fact for fact in world.clicks if not fact.machine]
    assert found["clicks"] == len(people)
    assert found["bots"] == len(world.clicks) - len(people)
    days = Counter(f"{datetime.fromtimestamp(fact.at / 1000, UTC):%Y-%m-%d}" for fact in people)
    assert {day["date"]: day["clicks"] for day in found["by_day"] if day["clicks"]} == days
    for name, field in [("referrers", "referrer"), ("locations", "country"), ("devices", "device")]:
        values = Counter(getattr(fact, field) for fact in people if getattr(fact, field))
        assert {each["value"]: each["clicks"] for each in found[name]} == values


def test_nobody_else_sees_anything(world: World) -> None:
    site = f"/v1/stats/{world.site.id}"
    for path in (site, f"{site}/live", "/v1/links/spring/stats", "/v1/links/other/stats"):
        assert kind(world.get(path, 404, "mallory", {})) == "not_found"
    world.get("/v1/stats/000000000000", 404, OWNER, {})
    world.get("/v1/stats/no-such-id", 404, OWNER, {})
    world.get(f"/v1/links/{'x' * 3000}/stats", 404, OWNER, {})


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-11-02", "to": "2026-11-01"}, "to"),
        ({"from": "2026-13-01"}, "from"),
        ({"from": "0001-01-01"}, "from"),
        ({"from": "2020-01-01", "to": "2026-11-01"}, "interval"),
        ({"from": "2026-01-01", "to": "2026-11-01", "interval": "hour"}, "interval"),
        ({"from": "2026-10-01", "to": "2026-10-01", "interval": "5m"}, "from"),
        ({"from": "2026-11-02", "to": "2026-11-02", "interval": "minute"}, "interval"),
        ({"interval": "minute", "compare": "previous"}, "compare"),
        ({"interval": "second"}, "interval"),
        ({"by": "shoe_size"}, "by"),
        ({"by": "all"}, "by"),
        ({"by": "country", "filter": "browser:Firefox"}, "by"),
        ({"by": "os", "filter": ["page:/", "country:DE"]}, "by"),
        ({"filter": "country"}, "filter"),
        ({"filter": "shoe_size:44"}, "filter"),
        ({"filter": ["browser:Firefox", "os:Linux"]}, "filter"),
        ({"filter": ["page:/", "page:/docs/a"]}, "filter"),
        ({"filter": ["page:/", "country:DE", "device:phone"]}, "filter"),
        ({"filter": f"page:/{'x' * 300}"}, "filter"),
        ({"compare": "decade"}, "compare"),
        ({"limit": "0"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(
    world: World, query: dict[str, Any], field: str
) -> None:
    answer = world.get(f"/v1/stats/{world.site.id}", 422, OWNER, query)
    assert [fault["field"] for fault in answer.json()["errors"]] == [field]


def test_an_undeclared_pair_is_told_how_to_declare_it(world: World) -> None:
    answer = world.ask(422, by="country", filter="browser:Firefox")
    [fault] = answer.json()["errors"]
    assert "page*country, page*device, country*device" in fault["reason"]
    assert f"PATCH /v1/sites/{world.site.id}" in fault["reason"]
