"""Generations of a view: the one that is read, and while a replay builds the next, that one too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from functions.kernel.codec import from_data
from functions.kernel.views import View, ViewTable

S = TypeVar("S")

READ_MS = 10_000
"""How long a reader may go on with a pointer that it has read: for so long after a flip, its lists
may lack the newest changes."""


@dataclass(frozen=True)
class Generations:
    """Where one view stands: the generation that is read, and what a replay makes of it.

    `building` is being replayed into since `since` (epoch ms), from `position` of the scan on
    until the whole is `verified`; `retired` is what was read until `since`, and is dropped from
    `position` of another scan on.
    """

    live: int = 1
    building: int | None = None
    retired: int | None = None
    since: int = 0
    position: Any = None
    verified: bool = False

    @classmethod
    def of(cls, marks: Mapping[str, Any] | None, view: str) -> Generations:
        """As the mark GENERATIONS has it; a view that was never replayed is in its first."""
        return from_data(cls, (marks or {}).get(view, {}))


GENERATIONS = "generations"
"""The mark that points to every view's generations. Projectors read it once per batch."""


def fed(marks: Mapping[str, Any] | None, views: Sequence[View[S]]) -> list[View[S]]:
    """The views, once for each of their generations that is to be written."""
    known = [(view, Generations.of(marks, view.name)) for view in views]
    return [
        replace(view, generation=generation)
        for view, standing in known
        for generation in (standing.live, standing.building)
        if generation is not None
    ]


class LiveViews:
    """The generations that a reader reads, remembered for READ_MS. `now` gives epoch ms."""

    def __init__(self, table: ViewTable, now: Callable[[], int]) -> None:
        self._table = table
        self._now = now
        self._read_at: int | None = None
        self._marks: Any = None

    def of(self, view: View[S]) -> View[S]:
        """The view in its live generation."""
        if self._read_at is None or self._now() - self._read_at >= READ_MS:
            self._marks, self._read_at = self._table.mark(GENERATIONS), self._now()
        return replace(view, generation=Generations.of(self._marks, view.name).live)
