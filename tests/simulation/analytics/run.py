"""One seed in the world of analytics, from the sites' making to quiet."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from typing import Any
from unittest.mock import patch

from tests.simulation.analytics.compactors import Compactors
from tests.simulation.analytics.owner import Caretaker, Owner
from tests.simulation.analytics.rollers import LateRoller
from tests.simulation.analytics.senders import Shortener, senders
from tests.simulation.analytics.truth import DAY_MS, HOUR_MS, Truth
from tests.simulation.chaos import Plan
from tests.simulation.course import TURNS, Course, Result
from tests.simulation.world import Deployment, World, deployment, physical
from tests.support.handlers import ROOT

SIMULATED = (
    "AnalyticsTrack",
    "AnalyticsSubmit",
    "AnalyticsIngest",
    "AnalyticsClicks",
    "AnalyticsFold",
    "AnalyticsRoll",
    "AnalyticsGather",
    "AnalyticsCompact",
)
LIMITS = {
    "bulk.PART": 2,
    "compaction.MERGED_AT_ONCE": 2,
    "hours.MAX_DELAY": 0,
    "hours.MIN_DELAY": 0,
    "hours.PIECE": 100,
    "rollups.DENSE": 2,
    "rollups.FEW": 1,
    "sketches.MAX_EXACT": 2,
}
"""From when on much is handled otherwise than little: what events here never come up to."""
ROUNDS = 3
"""Rounds of the caretaker in the end."""
STUCK = 400
"""Seconds after which a mark is taken to have lost its message, and a little more."""
GROWN = 1100
"""Seconds after which lanes that were grown are in use."""
SETTLED = 8000
"""Seconds after which an hour is compacted, and a little more."""


@cache
def deployed() -> Deployment:
    """The stack under simulation."""
    return deployment((ROOT / "template.yaml",), only=SIMULATED)


def simulate(plan: Plan) -> Result:
    """Runs one seed. Raises what is a mistake in the simulation itself."""
    with World(plan, deployed()) as world, ExitStack() as limits:
        # In half of the seeds a few events are as many as thousands.
        if plan.chance("limits").random() < 0.5:
            for name, least in LIMITS.items():
                limits.enter_context(patch(f"functions.analytics.{name}", least))
        return Counting(world).result()


class Counting(Course):
    """The actors of one run, and its course."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._truth = Truth(world)
        self._owner = Owner(world, self._truth)
        self._caretaker = Caretaker(world, self._truth)
        self._compactors = Compactors(world)
        self._chance = world.plan.chance("course")
        self._undelivered = physical(world.deployed.names, "AnalyticsUndelivered")

    def _check(self, function: str, records: Sequence[Any]) -> None:
        """Nothing: what a function did shows at its writes, and in the end."""

    def all(self) -> None:
        world = self._world
        # Often shortly before midnight: periods and days end while visitors are there.
        world.scheduler.now += self._chance.choice((23 * HOUR_MS + 3_500_000, 10 * HOUR_MS, 0))
        world.chaos.calm = True
        self._finish("owner makes sites", self._owner.create)
        # Who reads a site from a replica counts by what that knows.
        self._finish("wait", lambda: world.sleep(world.weather.staleness / 1000 + 1))
        world.chaos.calm = False
        self._background("eager compactor", self._compactors.at_once)
        self._background("late roller", LateRoller(world).run)
        begun = world.now
        self._wave("")
        if self._chance.random() < 0.3:
            # Until lanes that were grown are in use, while containers stay.
            self._start("minutes", lambda: world.sleep(GROWN))
            world.scheduler.run(lambda: not self._under_way, TURNS)
            self._wave("then")
        if self._chance.random() < 0.3:
            self._finish("days go by", self._let_days_pass)
            # Into hours whose segments are gone: others, or those in which there was something.
            self._wave("late", self._chance.choice((3 * DAY_MS, world.now - begun)))
        world.chaos.calm = True
        world.note("calm", "nothing fails from here on", "")
        self._finish("quiet", lambda: None)
        self._finish("mend", self._mend)
        self._finish("wait", lambda: world.sleep(world.weather.staleness / 1000 + 1))
        self._truth.settled()

    def _wave(self, wave: str, age: int = 0) -> None:
        """Senders send, some of it so many milliseconds older than it would be."""
        world = self._world
        for sender in senders(world, self._truth, self._owner, wave):
            sender.age = age
            self._start(sender.name, sender.run)
        if not wave:
            shortener = Shortener(world, self._truth, self._chance.choice((0, 2, 6)))
            self._start(shortener.name, shortener.run)
            self._start("owner", self._owner.run)
        self._start(f"caretaker{wave}", self._tend_at_times)
        self._start(f"compactor{wave}", self._compact_at_times)
        self._background(f"late compactor{wave}", self._compactors.late)
        world.scheduler.run(lambda: not self._under_way and not world.busy, TURNS)

    def _tend_at_times(self) -> None:
        chance = self._world.plan.chance("caretaker")
        for _ in range(ROUNDS):
            self._world.sleep(chance.choice((10, 300, 900)))
            self._caretaker.tend()

    def _compact_at_times(self) -> None:
        chance = self._world.plan.chance("compactor")
        for _ in range(chance.choice((0, 4, 12))):
            self._world.sleep(chance.choice((0, 0.2, 1, 20)))
            self._caretaker.compact()

    def _let_days_pass(self) -> None:
        """A few quiet days, in which segments and salts go."""
        self._world.chaos.calm = True
        for _ in range(self._chance.choice((2, 4))):
            self._world.sleep(DAY_MS / 1000)
            self._caretaker.tend()
            self._redrive()
        self._truth.expire()
        self._world.chaos.calm = False

    def _mend(self) -> None:
        self._redrive()
        self._world.sleep(SETTLED)
        # Of hours that the sweep does not look at any more an alarm tells, and an operator.
        undelivered = self._world.sqs.queues[self._undelivered].messages
        if undelivered or "drop" in self._world.chaos.struck.values():
            self._caretaker.rebuild()
            undelivered.clear()
        for _ in range(ROUNDS):
            self._world.sleep(STUCK)
            self._caretaker.tend()
        self._redrive()
