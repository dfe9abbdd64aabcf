"""What happens on a site right now: the last thirty minutes, from segments."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from typing import Any

from functions.analytics.decider import Definition
from functions.analytics.facts import MINUTE_MS, hour_of, minute_of
from functions.analytics.hours import Hours
from functions.analytics.rollups import PAGE, TOTAL, Tallies, Tally, together, visited
from functions.analytics.segments import decode
from functions.edge.validation import to_text

MINUTES = 30
SLIDING = 5
"""Minutes in which whoever did something counts as being there."""
PAGES = 10
REMEMBERED = 200_000
"""Visitors and values of segments, some 40 MB, that a container keeps in mind."""


class Live:
    """The live documents of sites.

    A container that is asked again counts only what has come since: which segment it has counted
    before, it knows by the segment's bytes.
    """

    def __init__(self, hours: Hours) -> None:
        self._hours = hours
        self._known: OrderedDict[bytes, Tallies] = OrderedDict()
        self._size = 0

    @property
    def remembered(self) -> int:
        """How many visitors and values of segments it keeps in mind."""
        return self._size

    def answer(self, site: Definition, now: int) -> dict[str, Any]:
        """A site at `now`, epoch ms: one query, two in the first half of an hour."""
        last = minute_of(now)
        minutes = range(last - MINUTES + 1, last + 1)
        found = self._minutes(site, minutes)
        totals = {minute: _total(found[minute]) for minute in minutes}
        sliding = together(totals[minute] for minute in minutes[-SLIDING:])
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
            "pages": _pages(tallies for minute in minutes for tallies in found[minute]),
        }

    def _minutes(self, site: Definition, minutes: range) -> dict[int, list[Tallies]]:
        found: defaultdict[int, list[Tallies]] = defaultdict(list)
        for hour in range(hour_of(minutes[0], site.phase), hour_of(minutes[-1], site.phase) + 1):
            encoded = self._hours.encoded(site.id, hour, minutes[0])
            for (minute, _), content in encoded.items():
                found[minute].append(self._counted(content))
        return found

    def _counted(self, content: bytes) -> Tallies:
        if content not in self._known:
            self._known[content] = visited(decode(content))
            self._size += _size(self._known[content])
        self._known.move_to_end(content)
        counted = self._known[content]
        while self._size > REMEMBERED:
            self._size -= _size(self._known.popitem(last=False)[1])
        return counted


def _size(tallies: Tallies) -> int:
    return sum(1 + len(tally.visitors) for tally in tallies.values())


def _total(segments: Iterable[Tallies]) -> Tally:
    return together(tallies[TOTAL] for tallies in segments)


def _pages(segments: Iterable[Tallies]) -> list[dict[str, Any]]:
    found: defaultdict[str, list[Tally]] = defaultdict(list)
    for tallies in segments:
        for (rollup, value), each in tallies.items():
            if rollup == PAGE:
                found[value].append(each)
    pages = [(value, together(each)) for value, each in found.items()]
    pages.sort(key=lambda pair: (-len(pair[1].visitors), -pair[1].events, pair[0]))
    return [
        {"value": value, "events": each.events, "visitors": len(each.visitors)}
        for value, each in pages[:PAGES]
    ]
