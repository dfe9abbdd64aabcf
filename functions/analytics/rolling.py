"""From segments to rows: a dirty hour is read whole, tallied, and written where it changed."""

from __future__ import annotations

from collections.abc import Callable

from functions.analytics.decider import Definition, GrowLanes
from functions.analytics.hours import Dirty, Hour, Hours, is_late, left
from functions.analytics.lanes import growth
from functions.analytics.rollups import frequent, tally
from functions.analytics.rows import Rows


class Roller:
    """Rolls hours up. `define` gives a site's definition, `now` epoch ms; `grow` carries a command
    to a site out, which may be a repeat."""

    def __init__(
        self,
        define: Callable[[str], Definition | None],
        hours: Hours,
        rows: Rows,
        now: Callable[[], int],
        grow: Callable[[str, GrowLanes], object],
    ) -> None:
        self._define = define
        self._hours = hours
        self._rows = rows
        self._now = now
        self._grow = grow

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
        segment, late = read.segment, is_late(dirty.hour, defined.phase, now)
        tallies, changed = tally(segment, defined), 0
        if self._is_first(dirty, read):
            # To the end, before the total, which says that it was done.
            vanished = self._rows.vanished(defined, dirty.hour, tallies)
            changed = self._rows.count(defined, dirty.hour, read.version, vanished, late)
        if wait > 0:
            wanted = frequent(tallies, segment.seen)
            if len(wanted) < len(tallies):
                self._hours.mark(dirty._replace(whole=True), wait, now)
            tallies = wanted
        changed += self._rows.count(defined, dirty.hour, read.version, tallies, late)
        # Of what is late, nothing follows for what is to come.
        if not late and (command := growth(defined, read.fullest, now)):
            self._grow(dirty.site, command)
        return changed

    def _is_first(self, dirty: Dirty, read: Hour) -> bool:
        """Whether the hour was built anew since it was rolled up: then some values may be gone."""
        return read.epoch > 0 and read.epoch > self._rows.total(dirty.site, dirty.hour).epoch
