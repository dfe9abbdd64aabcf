"""The projector: the function that keeps a capability's views."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from functions.kernel.decider import Decider
from functions.kernel.generations import GENERATIONS, fed
from functions.kernel.store import Commit, EventStore, Stream, load, replay
from functions.kernel.views import View, ViewTable

S = TypeVar("S")


class ProjectionFailed(Exception):
    """The row of one view could not be written; the cause says why."""

    def __init__(self, view: str) -> None:
        super().__init__(view)
        self.view = view


class Projector(Generic[S]):
    """Writes the rows of `views`, each in one generation, from the streams of one store."""

    def __init__(
        self,
        store: EventStore,
        table: ViewTable,
        decider: Decider[Any, S, Any],
        views: Sequence[View[S]],
    ) -> None:
        self._store = store
        self._table = table
        self._decider = decider
        self._views = views

    def renewed(self) -> Projector[S]:
        """This projector for one batch: on the generations that are to be written now."""
        views = fed(self._table.mark(GENERATIONS), self._views)
        return Projector(self._store, self._table, self._decider, views)

    def ring(self, stream: str) -> None:
        """Brings every row of a stream up to what the store holds. Raises ProjectionFailed, or
        what the load raises."""
        current = load(self._store, self._decider, stream)
        if current.version:
            self._write(current)

    def take(self, commit: Commit) -> None:
        """The same, sparing the load where the commit itself tells the state."""
        if not commit.stateful:
            self.ring(commit.stream)
            return
        self._write(replay(self._decider, [commit]))

    def behind(self, heads: Mapping[str, int], *, consistent: bool = False) -> set[str]:
        """The streams of which some row is older than the given head."""
        streams = list(heads)
        late: set[str] = set()
        for view in self._views:
            versions = self._table.versions(view, streams, consistent=consistent)
            late.update(s for s in streams if versions.get(s, 0) < heads[s])
        return late

    def _write(self, current: Stream[S]) -> None:
        for view in self._views:
            try:
                self._table.put(view, current.id, current.version, view.render(current))
            except Exception as error:
                raise ProjectionFailed(view.name) from error


def newest_of_each(commits: Iterable[Commit]) -> Collection[Commit]:
    """One commit per stream: the one that leads furthest. The rest of a batch adds nothing."""
    newest: dict[str, Commit] = {}
    for commit in commits:
        if commit.stream not in newest or newest[commit.stream].after < commit.after:
            newest[commit.stream] = commit
    return newest.values()
