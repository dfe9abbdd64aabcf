"""What queries of statistics say, and the question that they ask."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from urllib.parse import parse_qsl

from pydantic import Field

from functions.analytics.asking import FROM, TO, Moment
from functions.analytics.axis import DAY_MS, HOUR_MS, Compare, Interval, today
from functions.analytics.decider import Definition
from functions.analytics.facts import MAX_VALUE
from functions.analytics.rollups import Value
from functions.analytics.spans import Span, span
from functions.analytics.stats import MAX_LIMIT, Question
from functions.edge.http import Request
from functions.edge.problem import invalid
from functions.edge.validation import Query, parse_query

DEFAULT_DAYS = 30
BY_HOUR_MS = 2 * DAY_MS + HOUR_MS
"""Spans up to that length are shown by hour unless another interval is asked for."""
BACK_MS: dict[Interval, int] = {"minute": HOUR_MS, "5m": 6 * HOUR_MS}
"""How far back minutes are shown unless another span is asked for."""
PROPERTY = "prop:"
FILTER = (
    "A rollup and one of its values, as country:DE; given twice, both must fit, and the two "
    "rollups must be a declared pair."
)


class LinkStatsQuery(Query):
    """Query of GET /v1/links/{code}/stats."""

    first: Moment | None = Field(None, alias="from", description=FROM)
    to: Moment | None = Field(None, description=TO)
    domain: Annotated[str, Field(pattern="^[a-z0-9.-]{1,253}$")] = "default"


class StatsQuery(Query):
    """Query of GET /v1/stats/{site}."""

    first: Moment | None = Field(None, alias="from", description=FROM)
    to: Moment | None = Field(None, description=TO)
    interval: Interval | None = Field(None, description="By default hour up to two days, else day.")
    by: Annotated[str, Field(min_length=1, max_length=60)] | None = None
    filter: Annotated[str, Field(max_length=1000, description=FILTER)] | None = None
    compare: Compare | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = 10


def asked(request: Request, site: Definition, now: int) -> Question:
    """The question of a request about a site, at `now` (epoch ms). Raises a 422 Problem."""
    query: StatsQuery = parse_query(StatsQuery, request.query)
    filters = _filters(request)
    if query.interval in BACK_MS and query.first is None and query.to is None:
        wanted = Span(now - BACK_MS[query.interval], now)
    else:
        wanted = _days(query.first, query.to, site.timezone, now)
    by_hour = wanted.until - wanted.since <= BY_HOUR_MS
    interval = query.interval or ("hour" if by_hour else "day")
    return Question(wanted, interval, filters, query.by, query.compare, query.limit)


def _days(first: str | None, last: str | None, timezone: str, now: int) -> Span:
    until = today(now, timezone)
    since = until - timedelta(days=DEFAULT_DAYS - 1)
    return span(first or since.isoformat(), last or until.isoformat(), timezone)


def _filters(request: Request) -> tuple[Value, ...]:
    # The gateway joins what is given twice by commas, which values may have.
    given = parse_qsl(request.event.get("rawQueryString", ""), keep_blank_values=True)
    return tuple(dict.fromkeys(_filter(text) for name, text in given if name == "filter"))


def _filter(text: str) -> Value:
    prefix = PROPERTY if text.startswith(PROPERTY) else ""
    rollup, _, value = text.removeprefix(prefix).partition(":")
    if not rollup or not value:
        raise invalid("filter", "is not a rollup and one of its values, such as country:DE")
    if len(value.encode()) > MAX_VALUE:
        raise invalid("filter", f"has a value of more than {MAX_VALUE} bytes, which none has")
    return prefix + rollup, value
