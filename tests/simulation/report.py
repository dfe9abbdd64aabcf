"""What a failing seed looks like, and how it is cut down to what matters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from tests.simulation.chaos import Plan
from tests.simulation.course import Result
from tests.simulation.run import simulate

T = TypeVar("T")

MAX_RUNS = 150
"""Runs that shrinking may take."""


def story(result: Result, newest: int = 120) -> str:
    """The end of a failing run's history, the invariant, and the command that shows it again."""
    assert result.violation is not None
    lines = result.history.lines()
    left_out = [f"  ... {len(lines) - newest} lines before"] if len(lines) > newest else []
    return "\n".join(
        [
            *left_out,
            *lines[-newest:],
            "",
            f"seed {result.plan.seed}: {result.violation.invariant}",
            f"  {result.violation.detail}",
            f"  faults: {', '.join(f'{k} {v}' for k, v in result.struck.items()) or 'none'}",
            f"  again: {command(result.plan)}",
        ]
    )


def command(plan: Plan) -> str:
    """The one command that runs this again."""
    parts = ["python -m tests.simulation", f"--seed {plan.seed}"]
    if plan.world != "shortener":
        parts.append(f"--world {plan.world}")
    if plan.actors is not None:
        parts.append(f'--actors "{",".join(sorted(plan.actors))}"')
    if plan.faults is not None:
        parts.append(f'--faults "{",".join(sorted(plan.faults))}"')
    return " ".join(parts)


def shrink(failing: Result, tried: Callable[[Result], None] = lambda result: None) -> Result:
    """The same violation with as few actors and faults as delta debugging finds."""
    assert failing.violation is not None
    best, runs, invariant = failing, 0, failing.violation.invariant

    def still(plan: Plan) -> bool:
        nonlocal best, runs
        if runs == MAX_RUNS:
            return False
        runs += 1
        result = simulate(plan)
        tried(result)
        if result.violation is None or result.violation.invariant != invariant:
            return False
        best = result
        return True

    plan = replace(failing.plan, actors=failing.actors)
    if not still(plan):
        return best
    actors = _fewest(sorted(failing.actors), lambda kept: still(replace(plan, actors=kept)))
    plan = replace(plan, actors=frozenset(actors), faults=frozenset(best.struck))
    if still(plan):
        faults = _fewest(sorted(best.struck), lambda kept: still(replace(plan, faults=kept)))
        plan = replace(plan, faults=frozenset(faults))
    return best


def _fewest(all_of_them: Sequence[T], fails: Callable[[frozenset[T]], bool]) -> Iterable[T]:
    """Delta debugging (Zeller, 1999): drops ever smaller parts while it still fails."""
    kept, parts = list(all_of_them), 2
    while kept:
        size = max(1, len(kept) // parts)
        for start in range(0, len(kept), size):
            fewer = kept[:start] + kept[start + size :]
            if fails(frozenset(fewer)):
                kept, parts = fewer, max(2, parts - 1)
                break
        else:
            if size == 1:
                break
            parts *= 2
    return kept
