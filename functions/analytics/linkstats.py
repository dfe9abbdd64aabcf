"""What a short link's owner asks: how many clicks, when, from where, with what."""

from __future__ import annotations

from typing import Any, Final

from functions.analytics.audience import Audience
from functions.analytics.axis import LONGEST, local_date, rounded, windows
from functions.analytics.decider import Definition
from functions.analytics.facts import day_of
from functions.analytics.rollups import MACHINE, TOTAL
from functions.analytics.rows import Rows
from functions.analytics.spans import Span
from functions.analytics.stats import Listing, OfHours
from functions.analytics.uniques import counted
from functions.edge.problem import invalid
from functions.edge.validation import to_text

LISTED = 20
"""Referrers, countries, devices that are named."""
LISTS = {"referrers": "referrer", "locations": "country", "devices": "device"}
DAY: Final = "day"


def link_stats(rows: Rows, link: Definition, whose: Audience, span: Span) -> dict[str, Any]:
    """The document of a link over a span: five queries. Raises a 422 Problem for one that is too
    long."""
    span = rounded(span, DAY, link.phase)
    if span.until - span.since > LONGEST[DAY]:
        raise invalid("from", "is too long before to: at most 800 days")
    places = windows(span, DAY, link.phase, link.timezone)
    hours = range(places[0].first, places[-1].stop)
    mine = rows.days(link.id, TOTAL, day_of(hours[0]), day_of(hours[-1]))
    source = OfHours(rows, link, hours, mine)
    days = [(place, counted(mine, range(place.first, place.stop))) for place in places]
    return {
        "from": to_text(span.since),
        "to": to_text(span.until),
        "created_at": to_text(whose.created_at),
        "clicks": sum(numbers.events for _, numbers in days),
        "bots": sum(each["clicks"] for each in _listed(source, MACHINE)),
        "by_day": [
            {
                "date": local_date(place.since, link.timezone),
                "clicks": numbers.events,
                "visitors": numbers.visitors,
            }
            for place, numbers in days
        ],
        **{name: _listed(source, rollup) for name, rollup in LISTS.items()},
    }


def _listed(source: OfHours, rollup: str) -> list[dict[str, Any]]:
    found = source.top(Listing(rollup, lambda value: value), LISTED)
    return [{"value": value, "clicks": numbers.events} for value, numbers in found]
