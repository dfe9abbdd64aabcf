"""One seed in the world of the rate limiter, from the first rules to the last check."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from tests.simulation.chaos import Plan
from tests.simulation.course import TURNS, Course, Result
from tests.simulation.ratelimiter.callers import ALONE, HOT, STEADY, Loner, callers
from tests.simulation.ratelimiter.operators import Operator, draft
from tests.simulation.ratelimiter.rules import CHECK, Rules
from tests.simulation.ratelimiter.truth import SPARED_MS, Truth
from tests.simulation.world import Deployment, World, deployment
from tests.support.handlers import ROOT

SIMULATED = ("RatelimiterRules", "RatelimiterCheck")
REAPED = 15
"""Seconds between two looks for what is due to go: far more often than DynamoDB looks."""


@cache
def deployed() -> Deployment:
    """The stack under simulation."""
    return deployment((ROOT / "template.yaml",), only=SIMULATED)


def simulate(plan: Plan) -> Result:
    """Runs one seed. Raises what is a mistake in the simulation itself."""
    with World(plan, deployed()) as world:
        return Limiting(world).result()


class Limiting(Course):
    """The actors of one run, and its course."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._rules = Rules(world)
        self._truth = Truth(world, self._rules)
        world.spares[CHECK] = SPARED_MS
        self._chance = world.plan.chance("course")

    def _check(self, function: str, records: Sequence[Any]) -> None:
        """Nothing: no function here reads a stream or a queue."""

    def all(self) -> None:
        """The whole run. Raises Violation, Stuck."""
        world = self._world
        world.chaos.calm = True
        self._finish("first rules", self._have_rules)
        # Who reads rules from a replica goes by what that knows.
        self._finish("wait", lambda: world.sleep(world.weather.staleness / 1000 + 1))
        world.chaos.calm = False
        self._background("reaper", self._reap)
        edited = draft(self._chance)
        for place in range(self._chance.choice((1, 1, 2, 3))):
            steps = self._chance.choice((2, 5, 8))
            operator = Operator(world, self._rules, HOT, place, edited, steps)
            self._start(operator.name, operator.run)
        self._wave("")
        # Until buckets are gone, or only some.
        self._finish("time goes by", lambda: world.sleep(self._chance.choice((0, 90, 90, 700))))
        self._wave("then.")
        world.chaos.calm = True
        self._finish("quiet", lambda: None)
        self._truth.settled()

    def _have_rules(self) -> None:
        operator = Operator(self._world, self._rules, ALONE, 9, STEADY, 0)
        operator.run()

    def _wave(self, wave: str) -> None:
        world = self._world
        for caller in callers(world, wave):
            self._start(caller.name, caller.run)
        if not wave:
            for place in range(self._chance.choice((0, 1, 2))):
                loner = Loner(world, place, self._chance.choice((1, 3)))
                self._start(loner.name, loner.run)
        world.scheduler.run(lambda: not self._under_way and not world.busy, TURNS)

    def _reap(self) -> None:
        while True:
            self._world.sleep(REAPED)
            self._truth.expire()
