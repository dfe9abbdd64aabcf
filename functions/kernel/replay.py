"""Replay: builds a view anew, beside the one that is read, while writes go on.

Set `building`; wait until no projector can still be at work that does not know of it; ring every
stream into the new generation and verify it; flip the pointer; keep the old generation for the
readers that still hold the old pointer; drop it. Each step is saved, so that a run that dies is
taken up by the next.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from functions.kernel.codec import to_data
from functions.kernel.dynamo import DynamoStore
from functions.kernel.errors import Conflict
from functions.kernel.generations import GENERATIONS, Generations
from functions.kernel.projector import Kinds, Projector
from functions.kernel.views import ViewTable

SLICE = 500
"""Commits per scan page."""
RETIRED_MS = 600_000
"""How long a generation is kept after the flip: until no reader can still hold the old pointer."""


class NotVerified(Exception):
    """Streams that the new generation lacks, so that it must not be read."""

    def __init__(self, streams: set[str]) -> None:
        super().__init__(f"{len(streams)} streams could not be replayed")
        self.streams = streams


@dataclass(frozen=True)
class Progress:
    """How far a replay is: streams verified in this slice, and whether it was the last."""

    verified: int
    complete: bool


class Replay:
    """The replay of one view, out of the streams of every kind that has it."""

    def __init__(self, store: DynamoStore, table: ViewTable, kinds: Kinds, view: str) -> None:
        self._store = store
        self._table = table
        self._kinds = kinds
        self._view = view

    def begin(self, now: int) -> Generations:
        """Starts a replay at `now` (epoch ms), or takes up the one that is under way.

        Raises Conflict while a retired generation is still there or somebody else is starting.
        """
        standing = self._standing()
        if standing.building is not None:
            return standing
        if standing.retired is not None:
            raise Conflict(f"generation {standing.retired} of {self._view} is not dropped yet")
        begun = Generations(standing.live, building=standing.live + 1, since=now)
        self._move(standing, begun)
        return begun

    def slice(self) -> Progress:
        """Rings the streams of one scan page into the new generation and verifies their rows.

        Call it only when every projector's batch has ended that began before `begin`. Raises
        NotVerified; nothing is lost by trying again.
        """
        standing = self._building()
        heads, position = self._store.heads(standing.position, SLICE, consistent=True)
        fresh = Projector(self._store, self._table, self._only(standing.building or standing.live))
        for stream in sorted(fresh.behind(heads)):
            # What fails stays behind, and is told by NotVerified with all the others.
            with suppress(Exception):
                fresh.ring(stream)
        if late := fresh.behind(heads, consistent=True):
            raise NotVerified(late)
        done = position is None
        place = standing.position if done else position
        self._move(standing, replace(standing, position=place, verified=done))
        return Progress(len(heads), done)

    def flip(self, now: int) -> Generations:
        """Makes the new generation the one that is read, from `now` on (epoch ms).

        Raises Conflict before the last slice was verified.
        """
        standing = self._building()
        if standing.building is None or not standing.verified:
            raise Conflict(f"the replay of {self._view} is not complete")
        flipped = Generations(standing.building, retired=standing.live, since=now)
        self._move(standing, flipped)
        return flipped

    def _only(self, generation: int) -> Kinds:
        return {
            name: kind._replace(
                views=[
                    replace(view, generation=generation)
                    for view in kind.views
                    if view.name == self._view
                ]
            )
            for name, kind in self._kinds.items()
        }

    def _standing(self) -> Generations:
        return Generations.of(self._table.mark(GENERATIONS), self._view)

    def _building(self) -> Generations:
        standing = self._standing()
        if standing.building is None:
            raise Conflict(f"no replay of {self._view} is under way")
        return standing

    def _move(self, old: Generations, new: Generations) -> None:
        if not _swapped(self._table, self._view, old, new):
            raise Conflict(f"somebody else is replaying {self._view}")


def drop_retired(table: ViewTable, now: int, has_time: Callable[[], bool]) -> int:
    """Deletes the rows of every generation that was retired long enough before `now` (epoch ms).

    Gives the number of rows deleted; goes on at its next call where `has_time()` ended this one,
    which is never before a page of the table.
    """
    marks = table.mark(GENERATIONS) or {}
    standings = {name: Generations.of(marks, name) for name in marks}
    return sum(
        _drop(table, name, standing, has_time)
        for name, standing in standings.items()
        if standing.retired is not None and now - standing.since >= RETIRED_MS
    )


def _drop(table: ViewTable, view: str, standing: Generations, has_time: Callable[[], bool]) -> int:
    prefix = f"{view}@{standing.retired}#"
    dropped, position = 0, standing.position
    while True:
        rows, position = table.drop(prefix, position)
        dropped += rows
        retired = None if position is None else standing.retired
        reached = replace(standing, retired=retired, position=position)
        # Where another run has moved the mark, this one leaves it alone from here on.
        if _swapped(table, view, standing, reached):
            standing = reached
        if position is None or not has_time():
            return dropped


def _swapped(table: ViewTable, view: str, old: Generations, new: Generations) -> bool:
    marks = table.mark(GENERATIONS)
    if Generations.of(marks, view) != old:
        return False
    return table.swap_mark(GENERATIONS, marks, {**(marks or {}), view: to_data(new)})
