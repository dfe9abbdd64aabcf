"""Funnels: how many visitors took steps in their order, within a window from the first. Pure.

The semantics are those of ClickHouse's `windowFunnel` in its default mode (ClickHouse
documentation, "Parametric Aggregate Functions"): times t1 <= t2 <= ... <= tn <= t1 + window, with
anything in between, and of all a visitor's chains the longest counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby
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
        """Goes on with facts all of which are after those that were taken."""
        for at, together in groupby(facts, key=lambda fact: fact.at):
            moment: defaultdict[str, list[list[int]]] = defaultdict(list)
            for fact in together:
                if fact.visitor is None or fact.machine is not None:
                    continue
                places = [place for place, step in enumerate(self._steps) if reaches(step, fact)]
                if places:
                    moment[fact.visitor].append(places)
            for visitor, takers in moment.items():
                self._go_on(visitor, at, takers)

    def _go_on(self, visitor: str, at: int, takers: list[list[int]]) -> None:
        """Goes on with the facts that a visitor has at one time, each with the steps that it can
        be: nobody knows in which order they happened, so any will do.

        Of the chains that are so long, only the one that began last is kept: whatever can follow
        any of them can follow it.
        """
        firsts = {place for places in takers for place in places}
        starts = self._starts.get(visitor)
        if starts is None:
            if 0 not in firsts:
                return
            starts = self._starts[visitor] = [NEVER] * len(self._steps)
        before = list(starts)
        for first in firsts:
            start = before[first - 1] if first else at
            if NEVER != start >= at - self._window:
                for place in range(first, _reached(takers, first)):
                    starts[place] = max(starts[place], start)

    def visitors(self) -> list[int]:
        """How many took the first step, the first two, and so on."""
        return [
            sum(starts[place] != NEVER for starts in self._starts.values())
            for place in range(len(self._steps))
        ]


def _reached(takers: Sequence[Sequence[int]], first: int) -> int:
    """The step before which it ends if each of the steps from `first` on is taken by a fact of its
    own: as many as there can be, by augmenting paths (Kuhn, 1955, "The Hungarian Method")."""
    taken: dict[int, int] = {}

    def take(step: int, tried: set[int]) -> bool:
        for taker, steps in enumerate(takers):
            if step in steps and taker not in tried:
                tried.add(taker)
                if taker not in taken or take(taken[taker], tried):
                    taken[taker] = step
                    return True
        return False

    step = first
    while take(step, set()):
        step += 1
    return step


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
