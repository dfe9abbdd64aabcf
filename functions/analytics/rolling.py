"""From segments to rows: a dirty hour is read whole, tallied, and written where it changed."""

from __future__ import annotations

from collections.abc import Callable

from functions.analytics.decider import Definition
from functions.analytics.hours import Dirty, Hours, is_late, left
from functions.analytics.rollups import frequent, tally
from functions.analytics.rows import Rows


class Roller:
    """Rolls hours up. `define` gives a site's definition, `now` epoch ms."""

    def __init__(
        self,
        define: Callable[[str], Definition | None],
        hours: Hours,
        rows: Rows,
        now: Callable[[], int],
    ) -> None:
        self._define = define
        self._hours = hours
        self._rows = rows
        self._now = now

    def roll(self, dirty: Dirty) -> int:
        """Brings rows up to an hour; gives how many changed. The mark goes first: what comes from
        then on makes a new one."""
        defined, now = self._define(dirty.site), self._now()
        wait = left(dirty.hour, defined.phase, now) if defined else 0
        if dirty.whole and wait > 0:
            self._hours.postpone(dirty, wait)
            return 0
        self._hours.unmark(dirty)
        if defined is None:
            return 0
        read = self._hours.read(dirty.site, dirty.hour)
        if not read.version:
            return 0
        segment = read.segment
        tallies = tally(segment, defined)
        if wait > 0:
            wanted = frequent(tallies, segment.seen)
            if len(wanted) < len(tallies):
                self._hours.mark(dirty._replace(whole=True), wait, now)
            tallies = wanted
        late = is_late(dirty.hour, defined.phase, now)
        return self._rows.count(defined, dirty.hour, read.version, tallies, late)
