"""One seed in the world of the rate limiter, from the first rules to the last check."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from tests.simulation.chaos import Plan
from tests.simulation.course import TURNS, Course, Result
from tests.simulation.ratelimiter.adjusters import ADJUSTED, adjusters, till
from tests.simulation.ratelimiter.adjusting import Adjustments
from tests.simulation.ratelimiter.callers import ALONE, HOT, LONE, STEADY, Loner, callers
from tests.simulation.ratelimiter.denials import Denials
from tests.simulation.ratelimiter.operators import Draft, Operator, draft, edit
from tests.simulation.ratelimiter.outages import SPARED_MS, Outages
from tests.simulation.ratelimiter.rules import CHECK, Rules
from tests.simulation.ratelimiter.rushers import LONE as HURRIED
from tests.simulation.ratelimiter.rushers import rushers, spread, widen
from tests.simulation.ratelimiter.spreading import SPREAD, Spread
from tests.simulation.ratelimiter.standing import Standing
from tests.simulation.ratelimiter.truth import Truth
from tests.simulation.world import Deployment, World, deployment
from tests.support.handlers import ROOT

SIMULATED = ("RatelimiterRules", "RatelimiterCheck", "RatelimiterTally")
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
        standing, outages = Standing(world), Outages(world)
        self._spread = Spread(world, self._rules, outages)
        self._adjustments = Adjustments(world, self._rules, standing, SPREAD)
        self._truth = Truth(world, self._rules, standing, outages, self._spread.has)
        self._denials = Denials(world)
        world.spares[CHECK] = SPARED_MS
        self._chance = world.plan.chance("course")

    def _check(self, function: str, records: Sequence[Any]) -> None:
        """Nothing: what a function did shows at its writes, and in the end."""

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
        self._start("time", lambda: world.sleep(self._chance.choice((0, 90, 90, 700))))
        self._until_done()
        self._wave("then.")
        self._chance.choice((self._adjusting, self._spreading))()
        world.chaos.calm = True
        self._finish("quiet", lambda: None)
        self._finish("mend", self._redrive)
        self._adjustments.settled()
        self._spread.settled()
        self._truth.settled()
        self._denials.settled()

    def _have_rules(self) -> None:
        operator = Operator(self._world, self._rules, ALONE, 9, STEADY, 0)
        operator.run()

    def _adjusting(self) -> None:
        """A tenant of its own, so that elsewhere nothing is ever given back."""
        world = self._world
        self._edited(ADJUSTED, till(self._chance), edit, self._chance.choice((0, 3, 6)))
        for adjuster in adjusters(world, ""):
            self._start(adjuster.name, adjuster.run)
        self._until_done()
        # Until buckets are gone, but of those whose debt is not.
        self._start("time then", lambda: world.sleep(self._chance.choice((0, 90, 700))))
        self._until_done()
        for adjuster in adjusters(world, "later."):
            self._start(adjuster.name, adjuster.run)
        self._until_done()

    def _spreading(self) -> None:
        """A tenant of its own, and after all others are done: who leases gives back by the way."""
        world = self._world
        steps = self._chance.choice((0, 0, 3, 6))
        self._edited(SPREAD, spread(), widen, steps)
        for rusher in rushers(world):
            self._start(rusher.name, rusher.run)
        # Who waits as long as told is let through under rules that stay.
        for place in range(0 if steps else self._chance.choice((1, 2, 3))):
            alone, rounds = [self._chance.choice(HURRIED)], self._chance.choice((1, 3))
            loner = Loner(world, f"hurried.{place}", rounds, SPREAD, alone)
            self._start(loner.name, loner.run)
        self._until_done()

    def _edited(
        self, tenant: str, draft: Draft, change: Callable[[Draft, Any], None], steps: int
    ) -> None:
        """A tenant has rules, and somebody begins to edit them."""
        world = self._world
        world.chaos.calm = True
        first = Operator(world, self._rules, tenant, 8, draft, 0)
        self._finish("rules", first.run)
        self._finish("wait", lambda: world.sleep(world.weather.staleness / 1000 + 1))
        world.chaos.calm = False
        editing = Operator(world, self._rules, tenant, 7, draft, steps, change)
        self._start(editing.name, editing.run)

    def _wave(self, wave: str) -> None:
        world = self._world
        for caller in callers(world, wave):
            self._start(caller.name, caller.run)
        if not wave:
            for place in range(self._chance.choice((0, 1, 2))):
                loner = Loner(world, str(place), self._chance.choice((1, 3)), ALONE, LONE)
                self._start(loner.name, loner.run)
        self._until_done()

    def _until_done(self) -> None:
        world = self._world
        world.scheduler.run(lambda: not self._under_way and not world.busy, TURNS)

    def _reap(self) -> None:
        while True:
            self._world.sleep(REAPED)
            self._truth.expire()
