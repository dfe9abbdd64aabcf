"""Who reads an event table's stream: the projector, and where a capability has one, the publisher.

Not more than two: a shard of the stream takes two readers at most.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from functions.kernel.store import Commit, kind_of
from functions.kernel.views import View, ViewTable


class Reader(Protocol):
    """What a doorbell rings. Its rows say how far it has got with each stream."""

    def renewed(self) -> Reader:
        """This reader for one batch."""

    def ring(self, stream: str) -> None:
        """Brings a stream up to what the store holds. Raises whatever prevents it."""

    def take(self, commit: Commit) -> None:
        """The same, knowing the commit that the doorbell told of."""

    def behind(self, heads: Mapping[str, int], *, consistent: bool = False) -> set[str]:
        """The streams that it has not brought to the given head."""


def late(
    table: ViewTable,
    heads: Mapping[str, int],
    views: Mapping[str, Sequence[View[Any]]],
    *,
    consistent: bool = False,
) -> set[str]:
    """The streams of which some row, in the views of their kind, is older than the given head.

    What is of no known kind is late: whoever is rung for it says so.
    """
    found: set[str] = set()
    for name, streams in _by_kind(heads).items():
        if name not in views:
            found.update(streams)
            continue
        for view in views[name]:
            versions = table.versions(view, streams, consistent=consistent)
            found.update(s for s in streams if versions.get(s, 0) < heads[s])
    return found


def _by_kind(streams: Iterable[str]) -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = defaultdict(list)
    for stream in streams:
        kinds[kind_of(stream)].append(stream)
    return kinds


def newest_of_each(commits: Iterable[Commit]) -> Collection[Commit]:
    """One commit per stream: the one that leads furthest. The rest of a batch adds nothing."""
    newest: dict[str, Commit] = {}
    for commit in commits:
        if commit.stream not in newest or newest[commit.stream].after < commit.after:
            newest[commit.stream] = commit
    return newest.values()
