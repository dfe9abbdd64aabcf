"""Looking into the past by time."""

from __future__ import annotations

from typing import Any

from functions.kernel.errors import NotFound
from functions.kernel.store import Commit, EventStore, Stream


def version_at(store: EventStore, current: Stream[Any], moment: int) -> int:
    """The version that a stream had at `moment`, epoch milliseconds; 0 before its first commit.

    Recorded times never decrease along a stream, so this bisects on the commits' places: one
    query per halving of the history, none if nothing has changed since. Raises NotFound where the
    moment lies in what a purge took, or one takes the whole stream meanwhile.
    """
    if moment >= current.at:
        return current.version
    low, high = 0, current.version - 1
    # Invariant: version `low` stood at the moment, and no commit from place `high` on did.
    while low < high:
        middle = (low + high) // 2
        commit = _covering(store, current.id, middle)
        if commit.after <= middle:
            commit = _beside_the_hole(store, commit, middle, moment)
        if commit.metadata.at <= moment:
            low = commit.after
        else:
            high = commit.before
    return low


def _covering(store: EventStore, stream: str, place: int) -> Commit:
    for commit in store.backward(stream, before=place + 1, limit=1):
        return commit
    raise NotFound(f"{stream} was purged")


def _beside_the_hole(store: EventStore, below: Commit, place: int, moment: int) -> Commit:
    """Of the commits around a place that is purged, the one that still tells about the moment."""
    for above in store.forward(below.stream, after=place, limit=1)[0]:
        if below.metadata.at <= moment < above.metadata.at:
            raise NotFound(f"{below.stream} was purged of what it was at {moment}")
        return above if above.metadata.at <= moment else below
    raise NotFound(f"{below.stream} was purged")
