"""Into the bulk ledger: a batch's facts of an hour are one object and a segment per minute.

Facts that come again in another batch are counted again, until the hour is compacted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from functions.analytics.bulk import batch_of, by_minute, lines, raw_key
from functions.analytics.decider import Definition
from functions.analytics.facts import Fact, hour_of, minute_of
from functions.analytics.hours import Dirty, Hours, delay, gone_at
from functions.analytics.marks import Marks
from functions.analytics.objects import Objects


class Batches:
    """Keeps batches of facts. `now` gives epoch ms."""

    def __init__(
        self, objects: Objects, hours: Hours, marks: Marks, now: Callable[[], int]
    ) -> None:
        self._objects = objects
        self._hours = hours
        self._marks = marks
        self._now = now

    def keep(self, site: Definition, facts: Iterable[Fact]) -> None:
        """Keeps facts of one site. To be done again, with the same facts, after whatever it raises;
        what was done already stays as it is."""
        by_hour: defaultdict[int, list[Fact]] = defaultdict(list)
        for fact in facts:
            by_hour[hour_of(minute_of(fact.at), site.phase)].append(fact)
        for hour, mine in sorted(by_hour.items()):
            self._keep(site, hour, lines(mine))

    def _keep(self, site: Definition, hour: int, ordered: list[bytes]) -> None:
        now, batch = self._now(), batch_of(ordered)
        self._objects.put(raw_key(site.id, hour, batch), ordered)
        # Segments only of what is in an object: compaction drops them for it. Marks only then:
        # whoever takes one away finds both.
        segments, until = by_minute(ordered), gone_at(hour, site.phase, now)
        for minute, segment in segments.items():
            self._hours.put(site.id, hour, (minute, batch), segment, until, now)
        self._marks.put(site.id, hour)
        most = max(segment.seen for segment in segments.values())
        self._hours.mark(Dirty(site.id, hour), delay(most), now)
