"""From segments to rows: a dirty hour is read whole, tallied, and written where it changed."""

from __future__ import annotations

from collections.abc import Callable

from functions.analytics.decider import Definition
from functions.analytics.hours import Hours, is_late
from functions.analytics.rollups import tally
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

    def roll(self, site: str, hour: int) -> int:
        """Brings every row up to an hour; gives how many changed. The mark goes first: what comes
        from then on makes a new one."""
        defined = self._define(site)
        self._hours.unmark(site, hour)
        if defined is None:
            return 0
        read = self._hours.read(site, hour)
        if not read.version:
            return 0
        late = is_late(hour, defined.phase, self._now())
        return self._rows.count(defined, hour, read.version, tally(read.segment, defined), late)
