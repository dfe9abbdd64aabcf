"""Goals and funnels with their numbers: how many visitors did what the site is for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from functions.analytics import funnels, goals
from functions.analytics.asking import SpanQuery
from functions.analytics.axis import HOUR_MS, LONGEST, rounded
from functions.analytics.decider import Definition
from functions.analytics.events import BULK, Step
from functions.analytics.facts import day_of, lanes_at, minutes_of
from functions.analytics.funnels import Chains
from functions.analytics.owning import owned_site
from functions.analytics.reading import Hours, reader_of
from functions.analytics.rollups import GOAL, TOTAL, Value
from functions.analytics.routing import name_of
from functions.analytics.rows import Rows
from functions.analytics.spans import Span, span
from functions.analytics.uniques import Numbers, counted
from functions.edge.http import Answer, Request, Route, http
from functions.edge.problem import Problem, invalid
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.settings import settings
from functions.edge.validation import parse_query, to_text
from functions.kernel.dynamo import DynamoStore
from functions.kernel.errors import NotFound

READ = "analytics:read"
BUCKET_US, FACT_US = 1500, 60
"""Microseconds that a bucket of the exact ledger and a fact take, measured on a busy machine: a
bucket is a call of its own, and calls beside it hide its wait but not its work."""
MAX_US = 20_000_000
"""What a funnel's span may take, of the 29 s that the gateway leaves."""
RESERVE_MS = 3_000
"""Time kept back to answer."""


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str
    rollups_table: str
    readers: int


class Conversions:
    """The routes' functions, in a given runtime."""

    def __init__(self, runtime: Runtime) -> None:
        config, client = settings(Settings, runtime.env), runtime.client("dynamodb")
        self._store = DynamoStore(client, config.events_table, runtime.backoff())
        self._rows = Rows(client, config.rollups_table, runtime.backoff())
        self._reader = reader_of(runtime)
        self._readers = config.readers

    def goals(self, request: Request) -> Answer:
        """GET /v1/sites/{site}/goals: a query for each goal and one for all, at the same time."""
        query = parse_query(SpanQuery, request.query)
        site = owned_site(self._store, request)
        asked = rounded(_span(query, site), "hour", site.phase)
        hours = asked.hours(site.phase)
        first, last = day_of(hours[0]), day_of(hours[-1])

        def count(value: Value) -> Numbers:
            return counted(self._rows.days(site.id, value, first, last), hours)

        values = [TOTAL, *((GOAL, name) for name, _, _ in site.goals)]
        with ThreadPoolExecutor(self._readers) as pool:
            everybody, *numbers = pool.map(count, values)
        found = goals.shown(site.goals, numbers, everybody.visitors)
        return _answer(site, asked, visitors=everybody.visitors, goals=found)

    def funnel(self, request: Request) -> Answer:
        """GET /v1/sites/{site}/funnels/{name}: from the facts."""
        name, query = name_of(request), parse_query(SpanQuery, request.query)
        site = owned_site(self._store, request)
        window, steps = _find(site, name)
        asked = _span(query, site)
        hours = self._reader.hours(site, asked, machines=False)
        if _buckets(site, hours) * BUCKET_US + sum(hours.values()) * FACT_US > MAX_US:
            raise _too_much(hours)
        chains = Chains(window, steps)
        for each in self._reader.read(site, asked, hours):
            chains.take(each.facts)
            if request.remaining_ms < RESERVE_MS:
                raise _too_much(hours)
        found = funnels.shown(steps, chains.visitors())
        return _answer(site, asked, name=name, window_seconds=window // 1000, steps=found)


def _span(query: SpanQuery, site: Definition) -> Span:
    asked = span(query.first, query.to, site.timezone)
    if asked.until - asked.since > LONGEST["day"] + HOUR_MS:
        raise invalid("to", "is more than 800 days after from")
    return asked


def _find(site: Definition, name: str) -> tuple[int, tuple[Step, ...]]:
    for each, window, steps in site.funnels:
        if each == name:
            return window, steps
    raise NotFound(name)


def _buckets(site: Definition, hours: Hours) -> int:
    if site.ledger == BULK:
        return 0
    return sum(60 * lanes_at(site.lanes, minutes_of(hour, site.phase)[-1]) for hour in hours)


def _too_much(hours: Hours) -> Problem:
    events = sum(hours.values())
    reason = f"is too far from `from`: {events} events in {len(hours)} hours are too many to follow"
    return invalid("to", reason)


def _answer(site: Definition, asked: Span, **found: Any) -> Answer:
    head = {"site": site.id, "from": to_text(asked.since), "to": to_text(asked.until)}
    return Answer(200, {**head, **found})


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    made = Conversions(runtime)
    routes = {
        "GET /v1/sites/{site}/goals": Route(made.goals, READ),
        "GET /v1/sites/{site}/funnels/{name}": Route(made.funnel, READ),
    }
    return http(runtime, "analytics", routes)


handler = entry(build)
