"""From segments to rows: a dirty hour is read whole, tallied, and written where it changed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from functions.analytics.decider import Definition, GrowLanes
from functions.analytics.hours import REVISION_BITS, Dirty, Hour, Hours, is_late, left
from functions.analytics.lanes import growth
from functions.analytics.rollups import Numbers, Tallies, Value, frequent, tally
from functions.analytics.rows import Rows

REMEMBERED = 500_000
"""Values of hours that a container remembers, in some 150 MB."""


class Roller:
    """Rolls hours up, and remembers what it wrote: one for all that a container does. `define`
    gives a site's definition, `now` epoch ms."""

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
        self._rolled = Rolled()

    def roll(self, dirty: Dirty, grow: Callable[[str, GrowLanes], object]) -> int:
        """Brings rows up to an hour; gives how many changed. The mark goes first: what comes from
        then on makes a new one. `grow` carries a command to a site out, which may be a repeat."""
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
        news = self._rolled.changed(dirty, read.version, tallies)
        changed += self._rows.count(defined, dirty.hour, read.version, news, late)
        self._rolled.remember(dirty, read.version, tallies)
        # Of what is late, nothing follows for what is to come.
        if not late and (command := growth(defined, read.buckets, now)):
            grow(dirty.site, command)
        return changed

    def _is_first(self, dirty: Dirty, read: Hour) -> bool:
        """Whether the hour was built anew since it was rolled up: then some values may be gone."""
        return read.epoch > 0 and read.epoch > self._rows.total(dirty.site, dirty.hour).epoch


class Rolled:
    """What one container knows to stand in rows, so that an hour in which little changed costs
    little.

    Within a revision of an hour numbers only grow: what is the same as it was then has been the
    same in between, whoever else has rolled the hour up.
    """

    def __init__(self) -> None:
        self._hours: OrderedDict[tuple[str, int, int], dict[Value, Numbers]] = OrderedDict()
        self._size = 0

    def changed(self, dirty: Dirty, version: int, tallies: Tallies) -> Tallies:
        """Of what was tallied, all that is not known to stand in its row and its list."""
        known = self._hours.get(_revision(dirty, version), {})
        return {value: each for value, each in tallies.items() if known.get(value) != each.numbers}

    def remember(self, dirty: Dirty, version: int, tallies: Tallies) -> None:
        """Takes note of what was written, lists and all."""
        key = _revision(dirty, version)
        known = self._hours.setdefault(key, {})
        self._size -= len(known)
        known.update((value, each.numbers) for value, each in tallies.items())
        self._size += len(known)
        self._hours.move_to_end(key)
        while self._size > REMEMBERED:
            self._size -= len(self._hours.popitem(last=False)[1])


def _revision(dirty: Dirty, version: int) -> tuple[str, int, int]:
    return dirty.site, dirty.hour, version >> REVISION_BITS
