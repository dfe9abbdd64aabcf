"""Streams as one container knows them: read once per half a minute, whoever asks how often."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from functions.kernel.decider import Decider
from functions.kernel.store import EventStore, load

S = TypeVar("S")

FRESH_MS = 30_000
"""For so long a container may go by what it read."""
KEPT = 1000
MISSING_KEPT = 10_000
"""Streams that are known not to exist: of these the names alone are kept, and apart from the
others, so that whoever makes names up cannot push out what is."""


class _Entry(NamedTuple):
    state: Any
    read_at: int


class Remembered(Generic[S]):
    """The states of one decider's streams, FRESH_MS old at most. `now` gives epoch ms.

    Where the store fails, nothing older is gone by: what was revoked must not come back.
    """

    def __init__(
        self, store: EventStore, decider: Decider[Any, S, Any], now: Callable[[], int]
    ) -> None:
        self._store = store
        self._decider = decider
        self._now = now
        self._found: OrderedDict[str, _Entry] = OrderedDict()
        self._missing: OrderedDict[str, _Entry] = OrderedDict()

    def of(self, stream: str, fresh_ms: int = FRESH_MS) -> S:
        """A stream's state, one consistent query where none so young is known; the decider's
        initial where there is no such stream. Raises what the store raises."""
        now = self._now()
        entry = self._found.get(stream) or self._missing.get(stream)
        if entry is not None and 0 <= now - entry.read_at < fresh_ms:
            state: S = entry.state
            return state
        found = load(self._store, self._decider, stream)
        kept, most = (self._found, KEPT) if found.version else (self._missing, MISSING_KEPT)
        self._found.pop(stream, None)
        self._missing.pop(stream, None)
        kept[stream] = _Entry(found.state, now)
        if len(kept) > most:
            kept.popitem(last=False)
        return found.state
