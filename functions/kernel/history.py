"""Looking into the past by time."""

from __future__ import annotations

from typing import Any

from functions.kernel.store import Commit, EventStore, Stream


def version_at(store: EventStore, current: Stream[Any], moment: int) -> int:
    """The version that a stream had at `moment`, epoch milliseconds; 0 before its first commit.

    Recorded times never decrease along a stream, so this bisects on the commits' places: one
    query per halving of the history, none if nothing has changed since.
    """
    if moment >= current.at:
        return current.version
    low, high = 0, current.version - 1
    # Invariant: version `low` stood at the moment, and no commit from place `high` on did.
    while low < high:
        middle = (low + high) // 2
        commit = _covering(store, current.id, middle)
        if commit.metadata.at <= moment:
            low = commit.after
        else:
            high = commit.before
    return low


def _covering(store: EventStore, stream: str, place: int) -> Commit:
    return next(store.backward(stream, before=place + 1, limit=1))
