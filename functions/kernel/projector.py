"""The projector: the function that keeps a capability's views."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from functions.kernel.decider import Decider
from functions.kernel.errors import Unreadable
from functions.kernel.generations import GENERATIONS, fed
from functions.kernel.store import Commit, EventStore, Stream, kind_of, load, replay
from functions.kernel.views import View, ViewTable


class Kind(NamedTuple):
    """One kind of stream: its rules, and the views that show it."""

    decider: Decider[Any, Any, Any]
    views: Sequence[View[Any]] = ()


Kinds = Mapping[str, Kind]
"""By the first part of the stream id. What is of no known kind, nobody can read: it fails."""


class ProjectionFailed(Exception):
    """The row of one view could not be written; the cause says why."""

    def __init__(self, view: str) -> None:
        super().__init__(view)
        self.view = view


class Projector:
    """Writes the rows of every kind's views, each in one generation, from one store's streams."""

    def __init__(self, store: EventStore, table: ViewTable, kinds: Kinds) -> None:
        self._store = store
        self._table = table
        self._kinds = kinds

    def renewed(self) -> Projector:
        """This projector for one batch: on the generations that are to be written now."""
        marks = self._table.mark(GENERATIONS)
        kinds = {
            name: kind._replace(views=fed(marks, kind.views)) for name, kind in self._kinds.items()
        }
        return Projector(self._store, self._table, kinds)

    def ring(self, stream: str) -> None:
        """Brings every row of a stream up to what the store holds. Raises ProjectionFailed, or
        what the load raises."""
        kind = self._kind(stream)
        if not kind.views:
            return
        current = load(self._store, kind.decider, stream)
        if current.version:
            self._write(current, kind.views)

    def take(self, commit: Commit) -> None:
        """The same, sparing the load where the commit itself tells the state."""
        if not commit.stateful:
            self.ring(commit.stream)
            return
        kind = self._kind(commit.stream)
        if kind.views:
            self._write(replay(kind.decider, [commit]), kind.views)

    def behind(self, heads: Mapping[str, int], *, consistent: bool = False) -> set[str]:
        """The streams of which some row is older than the given head."""
        late: set[str] = set()
        for name, streams in _by_kind(heads).items():
            if name not in self._kinds:
                late.update(streams)
                continue
            for view in self._kinds[name].views:
                versions = self._table.versions(view, streams, consistent=consistent)
                late.update(s for s in streams if versions.get(s, 0) < heads[s])
        return late

    def _kind(self, stream: str) -> Kind:
        try:
            return self._kinds[kind_of(stream)]
        except KeyError as error:
            raise Unreadable(f"streams of the kind of {stream}") from error

    def _write(self, current: Stream[Any], views: Sequence[View[Any]]) -> None:
        for view in views:
            try:
                self._table.put(view, current.id, current.version, view.render(current))
            except Exception as error:
                raise ProjectionFailed(view.name) from error


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
