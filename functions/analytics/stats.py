"""What a site's owner asks: how much, when, and of what, over a span of time.

Hours and longer come from rows and top lists; minutes, of the last two days, from segments.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, Protocol

from functions.analytics.axis import (
    DAY_MS,
    HOUR_MS,
    LONGEST,
    MINUTES,
    Compare,
    Interval,
    Window,
    before,
    rounded,
    whole,
    windows,
)
from functions.analytics.cells import Row
from functions.analytics.decider import Definition, pair_rollup
from functions.analytics.facts import day_of, hour_of, hours_of
from functions.analytics.hours import LATENESS_MS, Hour, Hours
from functions.analytics.rollups import ALL, BETWEEN, MACHINE, TOTAL, Tally, Value, tally
from functions.analytics.rows import Entries, Rows
from functions.analytics.segments import Segment, merge
from functions.analytics.spans import Span
from functions.analytics.uniques import Numbers, counted, tallied
from functions.analytics.visitors import period_at
from functions.edge.problem import invalid
from functions.edge.validation import to_text

RECENT_MS = 2 * DAY_MS
"""How far back minutes are known."""
MAX_LIMIT = 500
"""Rows of one answer's list, half of what a top list has: in the bulk ledger its end is not sure,
as a value may have left it while others were counted twice."""
CANDIDATES = 100
"""Values at least of which a day's rows are read where its top list is of more than what is
asked: one call's."""
SUMS = {"day": "daily sums", "week": "weekly sums", "month": "monthly sums"}
"""By identity: what visitors of more than one of its periods are called. Who comes again under
another id counts again."""


class Question(NamedTuple):
    """What is asked. `filters` are rollups with their values; `by` is a rollup to list."""

    span: Span
    interval: Interval
    filters: tuple[Value, ...] = ()
    by: str | None = None
    compare: Compare | None = None
    limit: int = 10


class Listing(NamedTuple):
    """The rollup whose top list has what is asked for, and the values that are of it: each gives
    the name that it is shown by, or None."""

    rollup: str
    name: Callable[[str], str | None]


class Source(Protocol):
    """A span's numbers."""

    def numbers(self, window: Window) -> Numbers:
        """Of one window of it."""

    def top(self, listing: Listing, limit: int) -> list[tuple[str, Numbers]]:
        """Of the values that have the most events in all of it."""


class Stats:
    """Answers. `now` gives epoch ms."""

    def __init__(self, rows: Rows, hours: Hours, now: Callable[[], int]) -> None:
        self._rows = rows
        self._hours = hours
        self._now = now

    def answer(self, site: Definition, question: Question) -> dict[str, Any]:
        """The document that answers a question. Raises a 422 Problem for one that cannot be."""
        question = question._replace(span=rounded(question.span, question.interval, site.phase))
        self._check(question)
        value, listing = value_of(site, question.filters), listing_of(site, question)
        document, source = self._over(site, question, question.span, value)
        document |= {"interval": question.interval, "timezone": site.timezone}
        if listing is not None:
            document["top"] = _top(question, listing, source, document["totals"])
        if question.compare is not None:
            earlier = before(question.span, question.compare, site.timezone)
            earlier = rounded(earlier, question.interval, site.phase)
            compared, _ = self._over(site, question, earlier, value)
            document["compare"] = {
                name: compared[name] for name in ("from", "to", "totals", "series")
            }
        return {"site": site.id, **document}

    def _check(self, question: Question) -> None:
        span, interval = question.span, question.interval
        if span.until - span.since > LONGEST[interval] + HOUR_MS:
            days = LONGEST[interval] / DAY_MS
            raise invalid("interval", f"{interval} is for spans of {days:g} days at most")
        if interval in MINUTES:
            if span.since < self._now() - RECENT_MS - HOUR_MS:
                raise invalid("from", "is too long ago: minutes are known for two days")
            if question.compare is not None:
                raise invalid("compare", "is not for minutes, which are known for two days")

    def _over(
        self, site: Definition, question: Question, span: Span, value: Value
    ) -> tuple[dict[str, Any], Source]:
        interval = question.interval
        source = self._source(site, interval, span, value)
        total = source.numbers(whole(span, interval, site.phase))
        series = [
            self._place(window, source.numbers(window), interval)
            for window in windows(span, interval, site.phase, site.timezone)
        ]
        document = {
            "from": to_text(span.since),
            "to": to_text(span.until),
            "totals": figures(total),
            "series": series,
            "uniques": _uniques(site, span, total),
        }
        return document, source

    def _source(self, site: Definition, interval: Interval, span: Span, value: Value) -> Source:
        window = whole(span, interval, site.phase)
        if interval in MINUTES:
            first = hour_of(window.first, site.phase)
            last = hour_of(window.stop - 1, site.phase)
            found = [
                self._hours.read(site.id, hour, since=window.first, consistent=False)
                for hour in range(first, last + 1)
            ]
            return OfMinutes(site, value, found, window)
        hours = range(window.first, window.stop)
        rows = self._rows.days(site.id, value, day_of(hours[0]), day_of(hours[-1]))
        return OfHours(self._rows, site, hours, rows)

    def _place(self, window: Window, numbers: Numbers, interval: Interval) -> dict[str, Any]:
        return {
            "start": to_text(window.since),
            **figures(numbers),
            "final": window.until + LATENESS_MS <= self._now(),
            "revision": numbers.revision,
        }


class OfHours:
    """From a value's rows, and top lists."""

    def __init__(self, rows: Rows, site: Definition, hours: range, mine: Mapping[str, Row]) -> None:
        self._rows = rows
        self._site = site
        self._hours = hours
        self._mine = mine

    def numbers(self, window: Window) -> Numbers:
        """See Source."""
        return counted(self._mine, range(window.first, window.stop))

    def top(self, listing: Listing, limit: int) -> list[tuple[str, Numbers]]:
        """See Source. Visitors of more than a day are sums of days here. Of a day that is only in
        part asked for, the rows are read of as many values as there can be answered for."""
        first, last = day_of(self._hours[0]), day_of(self._hours[-1])
        lists = self._rows.tops(self._site.id, listing.rollup, first, last)
        ranked, most = _ranked(lists.values(), listing), max(CANDIDATES, limit)
        found: defaultdict[str, list[Numbers]] = defaultdict(list)
        for day, entries in lists.items():
            candidates = islice(filter(entries.__contains__, ranked), most)
            for value, numbers in self._of_day(day, entries, listing, candidates).items():
                found[value].append(numbers)
        sums = {value: _sum(numbers) for value, numbers in found.items()}
        return _most(((listing.name(value) or "", each) for value, each in sums.items()), limit)

    def _of_day(
        self, day: str, entries: Entries, listing: Listing, candidates: Iterable[str]
    ) -> dict[str, Numbers]:
        if not self._is_cut(day, listing.rollup):
            return {
                value: Numbers(*entry[:3])
                for value, entry in entries.items()
                if listing.name(value) is not None
            }
        wanted = [(listing.rollup, value) for value in candidates]
        rows = self._rows.day(self._site.id, wanted, day)
        return {value[1]: counted({day: row}, self._hours) for value, row in rows.items()}

    def _is_cut(self, day: str, rollup: str) -> bool:
        """Whether something may have been counted on a day in hours that are not asked for."""
        hours: Sequence[int] = hours_of(day)
        if rollup != MACHINE:
            # Where the total has nothing, nobody has; but machines are not in the total.
            hours = [hours[place] for place in self._mine.get(day, Row()).cells]
        return any(hour not in self._hours for hour in hours)


class OfMinutes:
    """From segments: all of it exact."""

    def __init__(
        self, site: Definition, value: Value, hours: Iterable[Hour], window: Window
    ) -> None:
        self._site = site
        self._value = value
        self._revisions: dict[int, int] = {}
        self._minutes: dict[int, Segment] = {}
        wanted = range(window.first, window.stop)
        for hour in hours:
            self._revisions.update(hour.revisions)
            self._minutes.update({m: each for m, each in hour.minutes.items() if m in wanted})

    def numbers(self, window: Window) -> Numbers:
        """See Source."""
        minutes = range(window.first, window.stop)
        segments = [self._minutes[minute] for minute in minutes if minute in self._minutes]
        revision = sum(self._revisions.get(minute, 0) for minute in minutes)
        found = tally(merge(segments), self._site).get(self._value, Tally())
        return tallied(found, revision)

    def top(self, listing: Listing, limit: int) -> list[tuple[str, Numbers]]:
        """See Source."""
        found = tally(merge(self._minutes.values()), self._site)
        named = (
            (name, tallied(each))
            for (rollup, value), each in found.items()
            if rollup == listing.rollup and (name := listing.name(value)) is not None
        )
        return _most(named, limit)


# ---- What is counted together -----------------------------------------------------------------


def value_of(site: Definition, filters: tuple[Value, ...]) -> Value:
    """The rollup and value that has the numbers of what fits all filters. Raises a 422 Problem."""
    for rollup, _ in filters:
        _check_rollup(site, rollup, "filter")
    match filters:
        case ():
            return TOTAL
        case (only,):
            return only
        case (one, other):
            pair = _pair(site, one[0], other[0], "filter")
            both = dict(filters)
            return pair_rollup(pair), BETWEEN.join(both[name] for name in pair)
    raise invalid("filter", "is more than two: what is counted together is pairs")


def listing_of(site: Definition, question: Question) -> Listing | None:
    """Where what is asked `by` is listed. Raises a 422 Problem."""
    by, filters = question.by, question.filters
    if by is None:
        return None
    _check_rollup(site, by, "by")
    others = [each for each in filters if each[0] != by]
    if len(filters) > 1:
        raise invalid("by", "is a third rollup beside two filters: what is counted is pairs")
    if not others:
        fixed = dict(filters).get(by)
        return Listing(by, lambda value: value if fixed in (None, value) else None)
    [(rollup, wanted)] = others
    pair = _pair(site, rollup, by, "by")
    fixed_place = pair.index(rollup)

    def name(value: str) -> str | None:
        parts = value.split(BETWEEN)
        return parts[1 - fixed_place] if parts[fixed_place] == wanted else None

    return Listing(pair_rollup(pair), name)


def _check_rollup(site: Definition, rollup: str, field: str) -> None:
    single = [name for name in site.rollups if name != ALL and "*" not in name]
    if rollup not in single:
        raise invalid(field, f"{rollup[:50]} is none of the rollups {', '.join(single)}")


def _pair(site: Definition, one: str, other: str, field: str) -> tuple[str, str]:
    for pair in site.pairs:
        if set(pair) == {one, other}:
            return pair
    declared = ", ".join(map(pair_rollup, site.pairs)) or "none"
    raise invalid(
        field,
        f"{one} and {other} are not counted together; declared pairs: {declared}. Declare more by "
        f"PATCH /v1/sites/{site.id}; `millrace replay analytics rollups` then counts the past too",
    )


# ---- How it is shown --------------------------------------------------------------------------


def figures(numbers: Numbers) -> dict[str, int]:
    """Numbers as they are shown."""
    return {
        "events": numbers.events,
        "pageviews": numbers.pageviews,
        "visitors": numbers.visitors,
    }


def _top(
    question: Question, listing: Listing, source: Source, totals: Mapping[str, int]
) -> dict[str, Any]:
    machines = question.by == MACHINE
    found = source.top(listing, MAX_LIMIT if machines else question.limit)
    # Machines are not in the totals; but their kinds are few, so that a list has them all.
    whole = figures(_sum(numbers for _, numbers in found)) if machines else totals
    rows = found[: question.limit]
    listed = _sum(numbers for _, numbers in rows)
    return {
        "by": question.by,
        "rows": [{"value": value, **figures(numbers)} for value, numbers in rows],
        # An event may reach several goals: then there are no others to speak of.
        "other": {
            "events": max(0, whole["events"] - listed.events),
            "pageviews": max(0, whole["pageviews"] - listed.pageviews),
        },
    }


def _uniques(site: Definition, span: Span, total: Numbers) -> str:
    if period_at(site.identity, span.since) != period_at(site.identity, span.until - 1):
        return SUMS[site.identity]
    return "exact" if total.exact else "estimated"


def _ranked(lists: Iterable[Entries], listing: Listing) -> list[str]:
    """The values of some days, those first that have the most events on all of them."""
    events: defaultdict[str, int] = defaultdict(int)
    for entries in lists:
        for value, entry in entries.items():
            if listing.name(value) is not None:
                events[value] += entry.events
    return sorted(events, key=lambda value: (-events[value], value))


def _most(found: Iterable[tuple[str, Numbers]], limit: int) -> list[tuple[str, Numbers]]:
    came = [pair for pair in found if pair[1].events]
    return sorted(came, key=lambda pair: (-pair[1].events, pair[0]))[:limit]


def _sum(numbers: Iterable[Numbers]) -> Numbers:
    listed = list(numbers)
    return Numbers(
        sum(each.events for each in listed),
        sum(each.pageviews for each in listed),
        sum(each.visitors for each in listed),
    )
