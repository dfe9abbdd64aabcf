"""What is counted of each site, as a container remembers it."""

from __future__ import annotations

from collections.abc import Callable

from functions.analytics import links
from functions.analytics.decider import DECIDER, Definition, Site, stream_id
from functions.kernel.store import EventStore, Stream, load

REMEMBERED_MS = 60_000
"""How long a container goes by what it read. Lanes are grown further ahead than that."""
MAX_REMEMBERED = 1000


class Definitions:
    """Sites as they were a minute ago at the earliest. `now` gives epoch ms."""

    def __init__(self, store: EventStore, now: Callable[[], int]) -> None:
        self._store = store
        self._now = now
        self._remembered: dict[str, tuple[int, Stream[Site | None]]] = {}

    def of(self, site: str) -> Definition | None:
        """A site's or a short link's definition; None if there never was such a site."""
        return links.definition(site) if links.is_link(site) else self.stream(site).state

    def stream(self, site: str) -> Stream[Site | None]:
        """A site's stream, which tells its owner and tenant too."""
        now = self._now()
        until, stream = self._remembered.get(site, (0, None))
        if stream is None or until <= now:
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            stream = self._load(stream_id(site))
            if stream.version:
                self._remembered[site] = now + REMEMBERED_MS, stream
        return stream

    def _load(self, name: str) -> Stream[Site | None]:
        stream = load(self._store, DECIDER, name, consistent=False)
        # A new site may not be on every replica yet; that it is none must be certain.
        return stream if stream.version else load(self._store, DECIDER, name)
