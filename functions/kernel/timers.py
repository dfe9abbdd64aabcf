"""Timers: streams to which time does something, found by an index of their own.

A row says when its stream is due (`Row.due`); the sparse index `due` of the view table holds such
rows by lane, in the order of their times. A function on a schedule asks it who is due and sends
those to a queue, whose consumer gives each a command; the decider looks at the clock again. Nobody
keeps note of what was fired: a stream leaves the index when its state says that it is no longer
due, and fires again until then. So an entry that comes late, a clock that is off, a lost message
or a run that dies cost time and nothing else.

A minute in which nothing is due costs a query per lane.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from functions.kernel.views import LANES, ViewTable, lane

MARK = "timers"
RECENT_MS = 600_000
"""How far back every run looks: for so long what is not done yet is fired at each run."""
FULL_MS = 3_600_000
"""How often a run looks all the way back, so that what keeps failing fires once an hour."""


class Timers:
    """The timers of one capability."""

    def __init__(self, table: ViewTable) -> None:
        self._table = table

    def fire(
        self, now: int, send: Callable[[list[str]], None], has_time: Callable[[], bool]
    ) -> int:
        """Hands every stream that is due at `now` (epoch ms) to `send`, page by page, and says how
        many. Whatever `send` raises ends the run; the next begins anew.
        """
        full = now - (self._table.mark(MARK) or 0) >= FULL_MS
        since = 0 if full else now - RECENT_MS
        fired = 0
        for number in range(LANES):
            position: Any = None
            while has_time():
                streams, position = self._table.due(lane(number), since, now, position)
                if streams:
                    send(streams)
                fired += len(streams)
                if position is None:
                    break
            else:
                return fired
        if full:
            self._table.set_mark(MARK, now)
        return fired
