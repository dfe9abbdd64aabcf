"""Retention in the bulk ledger: a day's objects go when the last of its facts may.

The bucket's own rule is for all sites and the longest retention there is; this is for each site's,
as it is by then: where it was made shorter, what there is already goes earlier, too.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from functions.analytics.decider import Definition, Site
from functions.analytics.objects import Objects

SITES = 100
"""Sites that are looked at in one go."""


class Retention:
    """Deletes what is past its site's retention. `define` gives a site's definition, `now` epoch
    ms."""

    def __init__(
        self,
        objects: Objects,
        define: Callable[[str], Definition | None],
        now: Callable[[], int],
    ) -> None:
        self._objects = objects
        self._define = define
        self._now = now

    def expire(self, folder: str, after: str) -> str | None:
        """Looks at the next sites in a folder of the bucket's root; gives the one to go on after,
        none if these were the last."""
        sites = self._objects.folders(folder, after, SITES)
        for site in sites:
            self._expire(f"{folder}{site}/", self._define(site))
        return sites[-1] if len(sites) == SITES else None

    def _expire(self, folder: str, site: Definition | None) -> None:
        if site is None:
            return
        for day in self._objects.folders(folder):
            if day < self._oldest(site):
                self._objects.delete(self._objects.keys(f"{folder}{day}/"))

    def _oldest(self, site: Definition) -> str:
        """The oldest day that is kept."""
        today = datetime.fromtimestamp(self._now() / 1000, UTC).date()
        gone = isinstance(site, Site) and site.deleted
        kept = timedelta(days=-1 if gone else site.retention_days)
        return (today - kept).isoformat()
