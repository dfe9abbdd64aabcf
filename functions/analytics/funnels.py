"""Funnels: how many visitors took steps in their order, within a window from the first. Pure.

The semantics are those of ClickHouse's `windowFunnel` in its default mode (ClickHouse
documentation, "Parametric Aggregate Functions"): times t1 <= t2 <= ... <= tn <= t1 + window, with
anything in between, and of all a visitor's chains the longest counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from functions.analytics.events import Step
from functions.analytics.facts import Fact
from functions.analytics.rollups import reaches

NEVER = -1
"""Stands for the start of a chain that there is not; times are later."""


class Chains:
    """Visitors' chains, from their facts in the order in which they happened."""

    def __init__(self, window_ms: int, steps: Sequence[Step]) -> None:
        self._window = window_ms
        self._steps = steps
        self._starts: dict[str, list[int]] = {}

    def take(self, facts: Iterable[Fact]) -> None:
        """Goes on with facts none of which is before one that was taken."""
        for fact in facts:
            if fact.visitor is None or fact.machine is not None:
                continue
            places = [place for place, step in enumerate(self._steps) if reaches(step, fact)]
            if places:
                self._go_on(fact.visitor, fact.at, places)

    def _go_on(self, visitor: str, at: int, places: list[int]) -> None:
        """Of the chains that are so long, only the one that began last is kept: whatever can
        follow any of them can follow it. A chain begins no later than its own beginning does, so
        one that has just grown is the latest of its length.

        The longest first, since one fact is one step.
        """
        starts = self._starts.get(visitor)
        if starts is None:
            if places[0] != 0:
                return
            starts = self._starts[visitor] = [NEVER] * len(self._steps)
        for place in reversed(places):
            if place == 0:
                starts[0] = at
            elif NEVER != starts[place - 1] >= at - self._window:
                starts[place] = starts[place - 1]

    def visitors(self) -> list[int]:
        """How many took the first step, the first two, and so on."""
        return [
            sum(starts[place] != NEVER for starts in self._starts.values())
            for place in range(len(self._steps))
        ]


def shown(steps: Sequence[Step], visitors: Sequence[int]) -> list[dict[str, Any]]:
    """Steps as their site's owner sees them: `share` is of those who took the first step, `drop` of
    those who took the one before and not this."""
    before = [visitors[0], *visitors]
    return [
        {
            "what": what,
            "pattern": pattern,
            "visitors": number,
            "share": share(number, visitors[0]),
            "drop": share(previous - number, previous),
        }
        for (what, pattern), number, previous in zip(steps, visitors, before, strict=False)
    ]


def share(part: int, whole: int) -> float:
    """A part of the whole, to four places; none of nothing."""
    return round(part / whole, 4) if whole else 0.0
