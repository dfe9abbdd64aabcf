"""Sites that a container has just read: their events cost no read, and outlive a failing store.

What is no site is remembered too, in a place of its own: made-up ids push no real site out.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from functions.analytics.decider import DECIDER, Site, stream_id
from functions.kernel.store import EventStore, Stream, load

FRESH_MS = 60_000
"""A change binds within this time, in every container."""
STALE_MS = 8 * 60_000
"""How old a site may be that stands in while the store fails. Lanes grow a quarter of an hour ahead
at the earliest, and events may lie five minutes ahead: all know of a minute's lanes before it."""
CAPACITY = 5_000
"""Sites remembered, and as many ids that are none."""


class _Entry(NamedTuple):
    stream: Stream[Site | None]
    read_at: int


class HotSites:
    """The sites that one container remembers. `now` gives epoch ms. Without `consistent`, reads
    are cheaper, and may miss what was written within a second."""

    def __init__(
        self, store: EventStore, now: Callable[[], int], *, consistent: bool = False
    ) -> None:
        self._store = store
        self._now = now
        self._consistent = consistent
        self._sites: OrderedDict[str, _Entry] = OrderedDict()
        self._unknown: OrderedDict[str, _Entry] = OrderedDict()

    def find(self, site: str) -> Stream[Site | None]:
        """A site's stream, at most FRESH_MS old unless the store fails; a deleted site's too.

        Raises what the store raises where nothing is remembered that may stand in.
        """
        now, known = self._now(), self._sites.get(site) or self._unknown.get(site)
        if known is not None and now < known.read_at + FRESH_MS:
            return self._keep(site, known)
        try:
            read = load(self._store, DECIDER, stream_id(site), consistent=self._consistent)
        except (BotoCoreError, ClientError):
            if known is None or known.stream.state is None or now >= known.read_at + STALE_MS:
                raise
            return known.stream
        if known is not None and read.version < known.stream.version:
            # An eventually consistent read may go back in time; what was seen stays seen.
            read = known.stream
        return self._keep(site, _Entry(read, now))

    def _keep(self, site: str, entry: _Entry) -> Stream[Site | None]:
        self._unknown.pop(site, None)
        kept = self._unknown if entry.stream.state is None else self._sites
        kept[site] = entry
        kept.move_to_end(site)
        if len(kept) > CAPACITY:
            kept.popitem(last=False)
        return entry.stream
