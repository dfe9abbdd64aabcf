"""One seed, from deployment to quiet: builds the world, lets it go wrong, then looks at what is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from unittest.mock import patch

from argon2 import PasswordHasher

from functions.kernel.projector import Kinds
from functions.shortener import projecting
from tests.simulation import operator
from tests.simulation.actors import run_schedule
from tests.simulation.analytics import run as counting
from tests.simulation.chaos import Plan
from tests.simulation.course import TURNS, Course, Result
from tests.simulation.invariants import Capability, Log, Views
from tests.simulation.operator import Bench, bench
from tests.simulation.ratelimiter import run as limiting
from tests.simulation.shortener import clients, links
from tests.simulation.shortener.accepted import Promises
from tests.simulation.shortener.moderators import Moderator
from tests.simulation.shortener.redirects import Redirects
from tests.simulation.shortener.visitors import visitors
from tests.simulation.tally import simulation as tally
from tests.simulation.tally import wiring
from tests.simulation.tally.clockwork import ROUNDS, Clockwork
from tests.simulation.telling import Telling
from tests.simulation.world import Deployment, World, deployment, physical
from tests.support.handlers import ROOT

SWEEPS = 3
"""Sweeps while clients are at work, and rounds in the end."""
SHORTENERS = 2
"""Clients that shorten while the last ban comes into force, with no daily pass to come."""
STORM_SWEEPS = 4
"""Sweeps between the clients' last request and the end of all faults."""

OTHERS: Mapping[str, Callable[[Plan], Result]] = {
    "analytics": counting.simulate,
    "ratelimiter": limiting.simulate,
}
"""The worlds but this one, which is the shortener's."""


@cache
def deployed() -> Deployment:
    """The stack under simulation."""
    templates = (ROOT / "template.yaml", ROOT / "tests/simulation/tally/template.yaml")
    return deployment(templates, only=("Shortener", "Tally"))


def simulate(plan: Plan) -> Result:
    """Runs one seed. Raises what is a mistake in the simulation itself."""
    if plan.world in OTHERS:
        return OTHERS[plan.world](plan)
    with World(plan, deployed()) as world, patch("functions.shortener.passwords._hasher", _hasher):
        return Simulation(world).result()


def _hasher() -> PasswordHasher:
    # The least that argon2 takes: 60 ms for each password would be most of a run.
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@dataclass(frozen=True)
class Simulated:
    """One capability in a run: what it is, its true log, its views and what it tells held to it,
    its tools."""

    capability: Capability
    log: Log
    views: Views
    telling: Telling
    tools: Bench


class Simulation(Course):
    """The actors of one run, and its course."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._shortener = self._simulated(links.CAPABILITY, projecting.KINDS, "links")
        self._tally = self._simulated(tally.CAPABILITY, wiring.KINDS, "tallies")
        self._all = (self._shortener, self._tally)
        self._clockwork = Clockwork(world, self._tally.log, self._tally.tools)

    def _simulated(self, capability: Capability, kinds: Kinds, view: str) -> Simulated:
        world, log = self._world, Log(self._world, capability)
        tools = bench(world, capability, kinds, view)
        public = [name for name, kind in kinds.items() if kind.public]
        views, telling = Views(world, capability, log), Telling(world, capability, log, public)
        return Simulated(capability, log, views, telling, tools)

    def _check(self, function: str, records: Sequence[Any]) -> None:
        for each in self._all:
            each.views.rung(function, records)
            each.telling.rung(function, records)

    def all(self) -> None:
        """The whole run. Raises Violation, Stuck."""
        world = self._world
        log = self._shortener.log
        shared, promises = clients.shared(world), Promises(world, log)
        redirects, moderator = Redirects(world, log), Moderator(world, log, shared)
        users = clients.clients(world, log, promises, shared)
        for user in users:
            self._start(user.name, user.run)
        for visitor in visitors(world, shared):
            self._start(visitor.name, visitor.run)
        self._start(moderator.name, moderator.run)
        for counter in tally.counters(world, self._tally.log):
            self._start(counter.name, counter.run)
        self._background("timers", self._clockwork.run)
        self._background("laggard", self._clockwork.stand_still)
        self._background("lingerer", self._clockwork.close_late)
        self._start("sweep", self._sweep_at_times)
        self._start("operator", self._replay_at_some_time)
        world.scheduler.run(lambda: not self._under_way and not world.busy, TURNS)
        self._start("storm", self._storm)
        world.scheduler.run(lambda: not self._under_way, TURNS)
        world.chaos.calm = True
        world.note("calm", "nothing fails from here on", "")
        self._finish("quiet", lambda: None)
        self._finish("mend", self._mend)
        for user in users[:SHORTENERS]:
            self._start(f"{user.name} late", user.shorten)
        self._finish("ban", moderator.ban_again)
        # Until no read shows what was before.
        self._finish("wait", lambda: world.sleep(world.weather.staleness / 1000 + 1))
        for each in self._all:
            each.views.settled()
            each.telling.settled()
        promises.settled()
        redirects.settled()
        moderator.settled()
        for user in users:
            self._finish(f"{user.name} looks", user.settled)
        for _ in range(ROUNDS):
            self._finish("timers", self._clockwork.pass_time)
            self._clockwork.settled()
        self._tally.views.settled()
        self._finish("republish", self._republish)
        for each in self._all:
            each.telling.settled(anew=True)

    def _republish(self) -> None:
        """For a consumer that is new: all it learns, it learns from what is told again."""
        heard = physical(self._world.deployed.names, "TallyHeard")
        self._world.dynamodb.tables[heard].items.clear()
        for each in self._all:
            operator.republish(self._world, each.tools, each.telling.streams())

    def _sweep_at_times(self) -> None:
        chance = self._world.plan.chance("sweep")
        for _ in range(SWEEPS):
            self._world.sleep(chance.random() * 40)
            self._sweep()
            if self._world.focus[0] == "ShortenerEnforce":
                # Daily in truth; what it sends comes about by itself in few seeds.
                run_schedule(self._world, self._world.deployed.functions["ShortenerEnforce"])

    def _storm(self) -> None:
        """Nothing new happens and nothing works: messages die, streams are set aside."""
        seconds = max(self._world.weather.storm, self._world.focus_storm)
        for _ in range(STORM_SWEEPS):
            self._world.sleep(seconds / STORM_SWEEPS)
            self._sweep()

    def _replay_at_some_time(self) -> None:
        chance = self._world.plan.chance("operator")
        self._world.sleep(chance.random() * 40)
        focus = self._world.focus[0]
        wanted = [each for each in self._all if each.capability.sweep == focus]
        operator.replay(self._world, chance.choice(wanted or self._all).tools)

    def _sweep(self) -> None:
        for each in self._all:
            run_schedule(self._world, self._world.deployed.functions[each.capability.sweep])

    def _mend(self) -> None:
        """What an operator does in the end: redrive what is dead, mend what was set aside, and let
        the sweep go round, also past the time that a retired generation is kept."""
        self._redrive()
        for each in self._all:
            operator.mend(self._world, each.tools)
            if each.views.building:
                operator.replay(self._world, each.tools)
        for _ in range(SWEEPS):
            self._world.sleep(600)
            self._sweep()
        self._redrive()
        run_schedule(self._world, self._world.deployed.functions["ShortenerEnforce"])
