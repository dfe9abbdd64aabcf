"""Links that a container has just read: hot codes cost no read, and outlive a failing store.

A container answers one request at a time, so that it never reads a code twice at once: a stampede
is bounded by the number of containers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from functions.kernel.backoff import Pause
from functions.kernel.store import EventStore, Stream, load
from functions.shortener.decider import DECIDER, Link

FRESH_MS = 5_000
"""A change or a ban binds within this time, in every container."""
JITTER_MS = 1_000
"""Up to so much sooner, so that containers do not all ask at once."""
STALE_MS = 600_000
"""How old a link may be that is still served while the store fails."""
PAUSE_MS = 1_000
"""For about so long after a failure the store is left alone by who has an answer without it."""
MAX_PAUSE_MS = 8_000
"""The pause doubles with every failure in a row, up to this: a store that hangs holds up the
visitor who asks it for a second. So much later may a change bind that was made meanwhile."""
CAPACITY = 5_000
"""Links kept; at 2 KB each well within the function's memory."""


class Found(NamedTuple):
    """A link that was read; `stale` if it is served only because the store fails."""

    stream: Stream[Link | None]
    link: Link
    stale: bool = False


class _Entry(NamedTuple):
    stream: Stream[Link | None]
    read_at: int
    fresh_until: int


class HotLinks:
    """The links that one container remembers. `now` gives epoch ms, `jitter` a share of 0 to 1.

    A code that is not there is not remembered: it is to be seen as soon as it is given out.
    """

    def __init__(
        self, store: EventStore, now: Callable[[], int], jitter: Callable[[], float]
    ) -> None:
        self._store = store
        self._now = now
        self._jitter = jitter
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._pause = Pause(PAUSE_MS, MAX_PAUSE_MS, now, jitter)

    def find(self, stream: str) -> Found | None:
        """The link of a stream, at most FRESH_MS old unless the store fails.

        Raises what the store raises where nothing is remembered that may stand in.
        """
        now, entry = self._now(), self._entries.get(stream)
        if entry is not None and now < entry.fresh_until:
            self._entries.move_to_end(stream)
            return _found(entry)
        spare = entry if entry is not None and now - entry.read_at < STALE_MS else None
        if spare is not None and not self._pause.over:
            return _found(spare, stale=True)
        try:
            read = load(self._store, DECIDER, stream, consistent=False)
        except (BotoCoreError, ClientError):
            self._pause.failed()
            if spare is None:
                raise
            return _found(spare, stale=True)
        self._pause.succeeded()
        return self._keep(read, entry, now)

    def _keep(self, read: Stream[Link | None], known: _Entry | None, asked: int) -> Found | None:
        if known is not None and _older(read, known.stream):
            # An eventually consistent read may go back in time; what was seen stays seen.
            read = known.stream
        if read.state is None:
            self._entries.pop(read.id, None)
            return None
        # From when it was asked for: an answer that comes late is as old as that.
        entry = _Entry(read, asked, asked + FRESH_MS - round(self._jitter() * JITTER_MS))
        self._entries[read.id] = entry
        self._entries.move_to_end(read.id)
        if len(self._entries) > CAPACITY:
            self._entries.popitem(last=False)
        return _found(entry)


def _older(read: Stream[Any], known: Stream[Any]) -> bool:
    """Whether `read` is an earlier state of the same link. One that ended has none, and a code that
    is given out anew begins at version 1 again."""
    return 0 < read.version < known.version and read.at <= known.at


def _found(entry: _Entry, stale: bool = False) -> Found | None:
    link = entry.stream.state
    return None if link is None else Found(entry.stream, link, stale)
