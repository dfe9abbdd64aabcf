"""The projector: the function that keeps a capability's views."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from functions.kernel.decider import Decider
from functions.kernel.envelope import Public
from functions.kernel.errors import Unreadable
from functions.kernel.generations import GENERATIONS, fed
from functions.kernel.readers import late
from functions.kernel.store import Commit, EventStore, Stream, kind_of, load, replay
from functions.kernel.views import View, ViewTable


class Kind(NamedTuple):
    """One kind of stream: its rules, the views that show it, and what its commits tell the other
    capabilities: `public(events, state)` gives that of one commit and the state after it, None
    where that is nothing. Pure."""

    decider: Decider[Any, Any, Any]
    views: Sequence[View[Any]] = ()
    public: Callable[[Sequence[Any], Any], Public | None] | None = None


Kinds = Mapping[str, Kind]
"""By the first part of the stream id. What is of no known kind, nobody can read: it fails."""


def kind_in(kinds: Kinds, stream: str) -> Kind:
    """The kind of a stream. Raises Unreadable where there is none such."""
    try:
        return kinds[kind_of(stream)]
    except KeyError as error:
        raise Unreadable(f"streams of the kind of {stream}") from error


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
        kind = kind_in(self._kinds, stream)
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
        kind = kind_in(self._kinds, commit.stream)
        if kind.views:
            self._write(replay(kind.decider, [commit]), kind.views)

    def behind(self, heads: Mapping[str, int], *, consistent: bool = False) -> set[str]:
        """The streams of which some row is older than the given head."""
        views = {name: kind.views for name, kind in self._kinds.items()}
        return late(self._table, heads, views, consistent=consistent)

    def _write(self, current: Stream[Any], views: Sequence[View[Any]]) -> None:
        for view in views:
            try:
                self._table.put(view, current.id, current.version, view.render(current))
            except Exception as error:
                raise ProjectionFailed(view.name) from error
