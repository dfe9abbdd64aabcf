"""Goals and funnels over HTTP are what one pass over the facts counts; and nobody else's."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from functions.analytics.bulk import batch_of, compact_key, lines, raw_key
from functions.analytics.decider import Definition
from functions.analytics.facts import Fact, hour_of, minute_of
from functions.analytics.funnels import Chains
from functions.analytics.handlers import conversions
from functions.analytics.objects import Objects
from functions.edge.validation import to_text
from tests.integration.analytics.counting import define, keep, site, traffic
from tests.integration.analytics.sites import ANY, FUNNEL, GOAL, ask, change, kind, make
from tests.support.clock import START
from tests.support.cloud.replacing_moto import dynamodb_in_memory
from tests.support.handlers import ROOT
from tests.support.pump import Stack
from tests.unit.analytics.reference import visitors

HOUR = 3_600_000
DOCS = {
    "steps": [{"what": "page", "pattern": "/docs/*"}, {"what": "event", "pattern": "signup"}],
    "window_seconds": 6 * 3600,
}
WEEK = {"from": "2026-10-28", "to": "2026-11-02"}


class World(NamedTuple):
    """A site in UTC with the facts of some days, and its goals and a funnel."""

    stack: Stack
    site: Definition
    facts: list[Fact]

    def get(self, below: str, status: int = 200, **rest: Any) -> Any:
        return ask(self.stack, "GET", f"/{self.site.id}{below}", status, **rest).json()

    def people(self) -> list[Fact]:
        return [fact for fact in self.facts if not fact.machine]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with dynamodb_in_memory(), Stack([ROOT / "template.yaml"]) as stack:
        chance = random.Random(4)
        # Now it is 2026-11-01T10:00Z.
        stack.clock.milliseconds += 10 * HOUR
        defined = site(stack)
        change(stack, defined.id, "/funnels/docs", "PUT", json=DOCS)
        now = stack.clock.now()
        facts = traffic(chance, 150, now - 45 * HOUR, 3 * HOUR)
        facts += [f._replace(id=f"n{f.id}") for f in traffic(chance, 90, now - 2 * HOUR, 2 * HOUR)]
        kept = keep(stack, facts, defined)
        stack.drain()
        yield World(stack, define(stack, defined.id), kept)


def test_goals_have_their_events_visitors_and_share(world: World) -> None:
    answer = world.get("/goals", query=WEEK)

    everybody = visitors(world.people())
    signups = [fact for fact in world.people() if fact.name == "signup"]
    docs = [
        fact
        for fact in world.people()
        if fact.name == "pageview" and (fact.page or "").startswith("/docs/")
    ]
    assert answer == {
        "site": world.site.id,
        "from": "2026-10-28T00:00:00.000Z",
        "to": "2026-11-03T00:00:00.000Z",
        "visitors": len(everybody),
        "goals": [
            {
                "name": name,
                "what": what,
                "pattern": pattern,
                "events": len(reached),
                "visitors": len(visitors(reached)),
                "conversion": round(len(visitors(reached)) / len(everybody), 4),
            }
            for (name, what, pattern), reached in zip(
                world.site.goals, (signups, docs), strict=True
            )
        ],
    }
    assert signups
    assert docs


def test_goals_cost_a_query_each_and_the_site_and_all(world: World) -> None:
    world.get("/goals", query=WEEK)
    with world.stack.meter.operation("goals") as bill:
        world.get("/goals", query=WEEK)
    assert bill.by_operation == {"dynamodb:Query": 2 + len(world.site.goals)}
    assert bill.rcu <= 1 + 0.5 * (1 + len(world.site.goals)) * 2


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("2026-10-28", "2026-11-02"),
        ("2026-11-01", "2026-11-01"),
        ("2026-10-31T13:20:30Z", "2026-11-01T09:10:00.500Z"),
    ],
)
def test_a_funnel_counts_every_visitors_steps_within_the_span(
    world: World, since: str, until: str
) -> None:
    answer = world.get("/funnels/docs", query={"from": since, "to": until})

    inside = [fact for fact in world.people() if answer["from"] <= to_text(fact.at) < answer["to"]]
    [(_, window, steps)] = world.site.funnels
    chains = Chains(window, steps)
    chains.take(sorted(inside, key=lambda fact: (fact.at, fact.id)))
    assert [step["visitors"] for step in answer["steps"]] == chains.visitors()
    assert answer["steps"][0]["visitors"] > answer["steps"][1]["visitors"] > 0
    assert answer["steps"][0]["share"] == 1
    assert (answer["name"], answer["window_seconds"]) == ("docs", 6 * 3600)


def test_a_funnel_reads_only_the_hours_in_which_something_happened(world: World) -> None:
    # The end is far enough from now for nothing to be on its way.
    day = {"from": "2026-10-30", "to": "2026-10-31"}
    busy = {hour_of(minute_of(fact.at), 0) for fact in world.people() if fact.at < START}
    assert len(busy) == 3
    with world.stack.meter.operation("funnel") as bill:
        world.get("/funnels/docs", query=day)
    assert bill.by_operation == {"dynamodb:Query": 2 + 60 * len(busy)}
    # Of the site, a strong read; of rows and buckets, weak ones.
    assert bill.rcu == 1 + 0.5 + 0.5 * 60 * len(busy)


def test_what_happened_just_now_is_read_before_it_is_counted(world: World) -> None:
    now = world.stack.clock.now()
    day = {"from": "2026-11-01", "to": "2026-11-01"}
    before = world.get("/funnels/docs", query=day)["steps"]
    new = [
        Fact("new1", world.site.id, now - 2000, "pageview", "f" * 16, "/docs/a"),
        Fact("new2", world.site.id, now - 1000, "signup", "f" * 16),
    ]
    keep(world.stack, new, world.site)
    after = world.get("/funnels/docs", query=day)["steps"]
    assert [step["visitors"] for step in after] == [step["visitors"] + 1 for step in before]


def test_a_span_with_too_much_to_follow_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversions, "MAX_US", 60 * conversions.BUCKET_US)
    answer = world.get("/funnels/docs", 422, query=WEEK)
    [error] = answer["errors"]
    assert error["field"] == "to"
    assert "too many to follow" in error["reason"]
    assert str(len(world.people())) in error["reason"]


def test_a_run_that_takes_too_long_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversions, "RESERVE_MS", 30_000)
    assert world.get("/funnels/docs", 422, query=WEEK)["errors"][0]["field"] == "to"


@pytest.mark.parametrize("below", ["/goals", "/funnels/docs"])
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"to": "2026-11-01"}, "from"),
        ({"from": "2026-11-01"}, "to"),
        ({"from": "yesterday", "to": "2026-11-01"}, "from"),
        ({"from": "2026-11-01", "to": "2026-02-30"}, "to"),
        ({"from": "20261101", "to": "2026-11-01"}, "from"),
        ({"from": "2026-11-02", "to": "2026-11-01"}, "to"),
        ({"from": "2026-11-01T00:00:00Z", "to": "2026-11-01T00:00:00Z"}, "to"),
        ({"from": "2026-11-01T00:00:00", "to": "2026-11-01"}, "from"),
        ({"from": "1969-12-30", "to": "2026-11-01"}, "from"),
        ({"from": "2026-11-01", "to": "3000-01-01"}, "to"),
        ({"from": "2026-11-01", "to": "9999-12-31"}, "to"),
        ({"from": "2020-11-01", "to": "2026-11-01"}, "to"),
        ({**WEEK, "by": "page"}, "by"),
    ],
)
def test_bad_parameters_are_named(
    world: World, below: str, query: dict[str, str], field: str
) -> None:
    answer = world.get(below, 422, query=query)
    assert [error["field"] for error in answer["errors"]] == [field]


@pytest.mark.parametrize("below", ["/goals", "/funnels/docs"])
def test_nobody_else_sees_a_sites_numbers(world: World, below: str) -> None:
    world.get(below, 404, user="somebody else", query=WEEK)
    world.get(below, 404, claims={"custom:tenant": "other"}, query=WEEK)
    world.get(below, 403, claims={"custom:scopes": "analytics:write"}, query=WEEK)
    ask(world.stack, "GET", f"/000000000000{below}", 404, query=WEEK)


def test_a_funnel_that_is_none_is_not_found(world: World) -> None:
    world.get("/funnels/none", 404, query=WEEK)


def test_a_deleted_site_has_no_numbers(world: World) -> None:
    gone = make(world.stack)
    change(world.stack, gone, "/funnels/docs", "PUT", json=FUNNEL)
    change(world.stack, gone, "/goals/docs", "PUT", json=GOAL)
    ask(world.stack, "DELETE", f"/{gone}", 204, headers=ANY)
    for below in ("goals", "funnels/docs"):
        answer = ask(world.stack, "GET", f"/{gone}/{below}", 410, query=WEEK)
        assert kind(answer) == "gone"


def test_a_funnel_of_the_bulk_ledger_counts_each_event_once(world: World) -> None:
    stack, now = world.stack, world.stack.clock.now()
    made = define(stack, make(stack, ledger="bulk"))
    change(stack, made.id, "/funnels/docs", "PUT", json=DOCS)
    facts = [
        Fact("b", made.id, now - 3000, "pageview", "a" * 16, "/docs/a"),
        Fact("a", made.id, now - 2000, "signup", "a" * 16),
        Fact("c", made.id, now - 1000, "pageview", "b" * 16, "/docs/b"),
    ]
    bucket = stack.functions["AnalyticsConversions"].env["RAW_BUCKET"]
    objects, hour = Objects(stack.client("s3"), bucket), hour_of(minute_of(now - 1), 0)
    # Sent again, an event has another time: of one id, the earliest counts.
    again = facts[0]._replace(at=facts[1].at + 1)
    for batch in (facts[:2], facts[1:], [again]):
        objects.put(raw_key(made.id, hour, batch_of(lines(batch))), lines(batch))
    query = {"from": "2026-11-01", "to": "2026-11-01"}

    def steps() -> list[int]:
        answer = ask(stack, "GET", f"/{made.id}/funnels/docs", query=query).json()
        return [step["visitors"] for step in answer["steps"]]

    assert steps() == [2, 1]
    everything = lines([*facts, again])
    key = compact_key(made.id, hour)
    stack.client("s3").put_object(
        Bucket=bucket, Key=key, Metadata={"revision": "1"}, Body=gzip.compress(b"".join(everything))
    )
    assert steps() == [2, 1]
