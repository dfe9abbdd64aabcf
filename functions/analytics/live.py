"""What happens on a site right now: the last thirty minutes, from segments."""

from __future__ import annotations

from typing import Any

from functions.analytics.decider import Definition
from functions.analytics.facts import MINUTE_MS, hour_of, minute_of
from functions.analytics.hours import Hours
from functions.analytics.rollups import Tally, tally, total
from functions.analytics.segments import Segment, merge
from functions.edge.validation import to_text

MINUTES = 30
SLIDING = 5
"""Minutes in which whoever did something counts as being there."""
PAGES = 10


def live(hours: Hours, site: Definition, now: int) -> dict[str, Any]:
    """The document of a site at `now`, epoch ms: one query, two in the first half of an hour."""
    last = minute_of(now)
    first = last - MINUTES + 1
    segments: dict[int, Segment] = {}
    for hour in range(hour_of(first, site.phase), hour_of(last, site.phase) + 1):
        segments.update(hours.read(site.id, hour, since=first, consistent=False).minutes)
    minutes = range(first, last + 1)
    totals = {minute: _total(segments, range(minute, minute + 1)) for minute in minutes}
    sliding = _total(segments, range(last - SLIDING + 1, last + 1))
    present = {minute: each for minute, each in segments.items() if minute in minutes}
    return {
        "site": site.id,
        "visitors": len(sliding.visitors),
        "sliding": {"events": sliding.events, "visitors": len(sliding.visitors)},
        "minutes": [
            {
                "start": to_text(minute * MINUTE_MS),
                "events": each.events,
                "visitors": len(each.visitors),
            }
            for minute, each in totals.items()
        ],
        "pages": _pages(merge(present.values()), site),
    }


def _total(segments: dict[int, Segment], minutes: range) -> Tally:
    return total(merge(segments[minute] for minute in minutes if minute in segments))


def _pages(segment: Segment, site: Definition) -> list[dict[str, Any]]:
    pages = [
        (value, each) for (rollup, value), each in tally(segment, site).items() if rollup == "page"
    ]
    pages.sort(key=lambda pair: (-len(pair[1].visitors), -pair[1].events, pair[0]))
    return [
        {"value": value, "events": each.events, "visitors": len(each.visitors)}
        for value, each in pages[:PAGES]
    ]
