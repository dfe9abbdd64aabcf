"""The axis of a series: a span of time in windows, each of whole cells. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Literal, NamedTuple

from functions.analytics.facts import MINUTE_MS, hour_of, minute_of, minutes_of
from functions.analytics.spans import Span
from functions.analytics.zones import zone

Interval = Literal["minute", "5m", "hour", "day", "week", "month"]
Compare = Literal["previous", "year"]
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

MINUTES: dict[Interval, int] = {"minute": 1, "5m": 5}
"""Intervals that minute segments are read for, with their length."""
LONGEST: dict[Interval, int] = {
    "minute": 6 * HOUR_MS,
    "5m": 2 * DAY_MS,
    "hour": 100 * DAY_MS,
    "day": 800 * DAY_MS,
    "week": 800 * DAY_MS,
    "month": 800 * DAY_MS,
}
"""Milliseconds that a span may have at most: what comes of it fits into one answer."""


class Window(NamedTuple):
    """One place of a series: cells from `first` until before `stop`, minutes or hours of the
    epoch, beginning at `since` and over at `until`, epoch ms."""

    first: int
    stop: int
    since: int
    until: int


def rounded(span: Span, interval: Interval, phase: int) -> Span:
    """The span with whole cells at both ends."""
    if interval in MINUTES:
        step = MINUTES[interval] * MINUTE_MS
        return Span(span.since // step * step, -(-span.until // step) * step)
    hours = span.hours(phase)
    return Span(_began(hours.start, phase), _began(hours.stop, phase))


def windows(span: Span, interval: Interval, phase: int, timezone: str) -> list[Window]:
    """A rounded span in windows, which have every moment in exactly one of them. The first and the
    last are shorter than the others where the span begins or ends within a day, week or month."""
    starts = [span.since, *_starts(span, interval, phase, timezone), span.until]
    return [_window(since, until, interval, phase) for since, until in pairwise(starts)]


def whole(span: Span, interval: Interval, phase: int) -> Window:
    """A rounded span as one window."""
    return _window(span.since, span.until, interval, phase)


def before(span: Span, compare: Compare, timezone: str) -> Span:
    """The span that one is compared with. That of whole local days is as many days just before, or
    the same dates a year before; any other's is as long, and just before, or begins at the same
    local time a year before."""
    first, last = _local(span.since, timezone), _local(span.until, timezone)
    if span == _days(first.date(), last.date(), timezone):
        return _days(*_dates_before(first.date(), last.date(), compare), timezone)
    length = span.until - span.since
    if compare == "previous":
        return Span(span.since - length, span.since)
    earlier = datetime.combine(_year_before(first.date(), 366), first.timetz())
    return Span(_millis(earlier), _millis(earlier) + length)


def today(now: int, timezone: str) -> date:
    """The local date at `now`, epoch ms."""
    return _local(now, timezone).date()


def local_date(at: int, timezone: str) -> str:
    """The local date of a moment, as YYYY-MM-DD."""
    return _local(at, timezone).date().isoformat()


def _starts(span: Span, interval: Interval, phase: int, timezone: str) -> Iterator[int]:
    """Where windows begin after the first one."""
    if interval in MINUTES or interval == "hour":
        step = MINUTES.get(interval, 60) * MINUTE_MS
        yield from range(span.since + step, span.until, step)
        return
    day = _following(_local(span.since, timezone).date(), interval)
    while (start := _midnight(day, timezone, phase)) < span.until:
        # Hours of another phase, of years ago, may make a day begin before the span does.
        if start > span.since:
            yield start
        day = _following(day, interval)


def _following(day: date, interval: Interval) -> date:
    """The first day of the next window."""
    match interval:
        case "week":
            return day + timedelta(days=7 - day.weekday())
        case "month":
            return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    return day + timedelta(days=1)


def _midnight(day: date, timezone: str, phase: int) -> int:
    """When a local day begins, at a whole cell."""
    return _began(hour_of(minute_of(_day_began(day, timezone)), phase), phase)


def _day_began(day: date, timezone: str) -> int:
    return _millis(datetime(day.year, day.month, day.day, tzinfo=zone(timezone)))


def _days(first: date, stop: date, timezone: str) -> Span:
    return Span(_day_began(first, timezone), _day_began(stop, timezone))


def _window(since: int, until: int, interval: Interval, phase: int) -> Window:
    if interval in MINUTES:
        return Window(minute_of(since), minute_of(until), since, until)
    first, stop = hour_of(minute_of(since), phase), hour_of(minute_of(until), phase)
    return Window(first, stop, since, until)


def _began(hour: int, phase: int) -> int:
    return minutes_of(hour, phase).start * MINUTE_MS


def _local(at: int, timezone: str) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC).astimezone(zone(timezone))


def _millis(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _dates_before(first: date, stop: date, compare: Compare) -> tuple[date, date]:
    """Dates of which `stop` is the first one after. The year before may have no 29th of February:
    what begins there begins on the 28th, and what ends before it ends after the 28th."""
    if compare == "previous":
        return first - (stop - first), first
    return _year_before(first, 366), _year_before(stop, 365)


def _year_before(day: date, leap: int) -> date:
    """The same a year before; `leap` is by how many days a 29th of February goes back."""
    try:
        return day.replace(year=day.year - 1)
    except ValueError:
        return day - timedelta(days=leap)
