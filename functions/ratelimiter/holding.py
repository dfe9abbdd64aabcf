"""The rules that hold, as one container knows them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from functions.edge.limits.rules import Rulebook, decode
from functions.kernel.store import EventStore, load
from functions.ratelimiter.decider import DECIDER, stream_id
from functions.ratelimiter.regions import WHOLE, part

FRESH_MS = 30_000
"""For so long rules may hold on after others were activated."""
TENANTS = 200
"""Tenants whose rules a container keeps in mind."""


class _Entry(NamedTuple):
    book: Rulebook
    read_at: int


class HoldingRules:
    """The rules that hold for each tenant: one query per container and half a minute, and where
    that fails those that held before. Of each limit it is `share` percent."""

    def __init__(self, store: EventStore, now: Callable[[], int], share: int = WHOLE) -> None:
        self._store = store
        self._now = now
        self._share = share
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def of(self, tenant: str) -> Rulebook:
        """A tenant's rulebook. Raises what the store raises where none were ever read."""
        entry, now = self._entries.get(tenant), self._now()
        if entry is not None and 0 <= now - entry.read_at < FRESH_MS:
            return entry.book
        try:
            found = load(self._store, DECIDER, stream_id(tenant), consistent=False).state
        except Exception:
            if entry is None:
                raise
            book = entry.book
        else:
            book = decode(found.holding)
            book = book._replace(rules=tuple(part(rule, self._share) for rule in book.rules))
        self._entries[tenant] = _Entry(book, now)
        self._entries.move_to_end(tenant)
        if len(self._entries) > TENANTS:
            self._entries.popitem(last=False)
        return book
