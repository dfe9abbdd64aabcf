"""Building a site's days anew from the ledger: what was declared after the fact is counted as well,
what counts no more is set to nought.

Live, and again after whatever stopped it. Segments come first, and change no row. Then all hours
of a day begin their next epoch together, and are marked: from then on each is rolled up, by whoever
comes first, and if nobody else does because its mark is sent again.
"""

from __future__ import annotations

from collections.abc import Callable

from functions.analytics.compaction import Compaction, Overtaken
from functions.analytics.decider import MAX_RETENTION_DAYS, Definition
from functions.analytics.facts import (
    MINUTE_MS,
    day_of,
    hour_of,
    hours_of,
    minute_of,
    minutes_of,
)
from functions.analytics.folding import Folder
from functions.analytics.hours import Dirty, Hours
from functions.analytics.rolling import Roller
from functions.analytics.rows import Rows, gone_at
from functions.analytics.tracking import SKEW_MS
from functions.kernel.backoff import Backoff
from functions.kernel.errors import Conflict

DAY_MS = 86_400_000


class FactsGone(Exception):
    """The ledger has fewer of an hour's facts than were counted: rows must stay as they are."""


class Rebuild:
    """Builds days anew, of UTC moved by the site's phase. `now` gives epoch ms."""

    def __init__(
        self,
        hours: Hours,
        rows: Rows,
        folder: Folder,
        compaction: Compaction,
        roller: Roller,
        now: Callable[[], int],
        backoff: Backoff,
    ) -> None:
        self._hours = hours
        self._rows = rows
        self._folder = folder
        self._compaction = compaction
        self._roller = roller
        self._now = now
        self._backoff = backoff

    def prepare(self, site: Definition, hour: int) -> None:
        """Makes an hour's segments again. Raises FactsGone, and Conflict if others keep compacting
        the same hour."""
        if site.ledger == "exact":
            self._folder.fold_all(site, hour, anew=True)
        else:
            self._compact(site.id, hour)
        seen, counted = self._hours.read(site.id, hour).seen, self._rows.total(site.id, hour).seen
        # Batches may have counted something twice: there only what is gone altogether is gone.
        if seen < counted and (site.ledger == "exact" or not seen):
            raise FactsGone(
                f"the ledger has {seen} of the {counted} facts counted on {day_of(hour)} in hour "
                f"{hour % 24}: the day stays as it was"
            )

    def begin(self, site: Definition, hours: range) -> int:
        """Begins a day's next epoch, and gives it; its hours must have been prepared."""
        # Rows may be written again after the site's retention was made longer.
        until = gone_at(day_of(hours[0]), MAX_RETENTION_DAYS)
        return self._hours.begin_anew(site.id, hours, until, self._now())

    def roll(self, site: Definition, hour: int) -> int:
        """Rolls an hour up; gives how many rows changed."""
        # Who grows lanes is the function, on the next event at the latest.
        return self._roller.roll(Dirty(site.id, hour), grow=lambda site, command: None)

    def _compact(self, site: str, hour: int) -> None:
        for _ in self._backoff.tries():
            try:
                self._compaction.compact(site, hour, anew=True)
            except Overtaken:
                continue
            return
        raise Conflict(f"{site}: others keep compacting the same hour")


def hours_to_build(site: Definition, day: str, now: int) -> range:
    """The hours of a day in which there may be facts; none before it has begun."""
    hours = hours_of(day)
    latest = hour_of(minute_of(now + SKEW_MS), site.phase)
    return range(hours.start, min(hours.stop, latest + 1))


def is_kept(site: Definition, day: str, now: int) -> bool:
    """Whether the site still keeps all of a day's facts."""
    first = minutes_of(hours_of(day).start, site.phase).start * MINUTE_MS
    return first + site.retention_days * DAY_MS > now
