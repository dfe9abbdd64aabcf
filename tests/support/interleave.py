"""Actors that take turns, one AWS call at a time, in an order of our choosing.

Each actor is a greenlet that stops before every call it sends. A turn lets it send that call and
run on to its next one; what it does between calls nobody else can see. So the turns taken are the
whole schedule, and n actors of k calls have (nk)! / (k!)^n of them. One OS thread only: moto is
not thread-safe.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import greenlet

Actor = Callable[[], object]
Scenario = Callable[[], Mapping[str, Actor]]
"""Prepares fresh state and names the actors on it."""

MAX_TURNS = 10_000
"""Turns after which a run is taken to go on for ever."""


@dataclass(frozen=True)
class Run:
    """One finished run: whose turn it was each time, and what each actor returned or raised."""

    schedule: tuple[str, ...]
    outcomes: Mapping[str, object]

    def results(self) -> dict[str, object]:
        """What each actor returned; raises what the first of them raised instead."""
        for outcome in self.outcomes.values():
            if isinstance(outcome, BaseException):
                raise outcome
        return dict(self.outcomes)


latest: list[str] = []
"""The schedule of the newest run, for the report of a test that fails."""


def every_interleaving(scenario: Scenario) -> Iterator[Run]:
    """Each distinct schedule once, depth first."""
    prefix: list[int] = []
    while True:
        taken: list[tuple[int, int]] = []

        def choose(ready: list[str]) -> str:
            turn = len(taken)  # noqa: B023
            pick = prefix[turn] if turn < len(prefix) else 0  # noqa: B023
            taken.append((pick, len(ready)))  # noqa: B023
            return ready[pick]

        yield _run(scenario, choose)
        while taken and taken[-1][0] + 1 == taken[-1][1]:
            taken.pop()
        if not taken:
            return
        prefix = [pick for pick, _ in taken]
        prefix[-1] += 1


def seeded(scenario: Scenario, seed: int) -> Run:
    """The schedule that belongs to a seed."""
    return _run(scenario, random.Random(seed).choice)


def replay(scenario: Scenario, schedule: Sequence[str]) -> Run:
    """A schedule taken from a failing run's report."""
    turns = iter(schedule)
    return _run(scenario, lambda ready: next(turns))


def pause() -> None:
    """Ends the turn of the actor that calls it; nothing, outside an actor."""
    current = greenlet.getcurrent()
    if isinstance(current, Turns):
        current.parent.switch()


class Turns(greenlet.greenlet):  # type: ignore[misc]
    """An actor under way."""


def _run(scenario: Scenario, choose: Callable[[list[str]], str]) -> Run:
    latest.clear()
    outcomes: dict[str, object] = {}
    actors = {name: Turns(_noting(outcomes, name, actor)) for name, actor in scenario().items()}
    for actor in actors.values():
        actor.switch()
    while ready := [name for name, actor in actors.items() if not actor.dead]:
        if len(latest) == MAX_TURNS:
            raise RuntimeError(f"no end after {MAX_TURNS} turns; still going: {ready}")
        latest.append(choose(ready))
        actors[latest[-1]].switch()
    return Run(tuple(latest), outcomes)


def _noting(outcomes: dict[str, object], name: str, actor: Actor) -> Callable[[], None]:
    def act() -> None:
        try:
            outcomes[name] = actor()
        except (greenlet.GreenletExit, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as failure:
            outcomes[name] = failure

    return act
