"""What all runs have in common, whichever world they are in: actors that are started and waited
for, pollers of streams and queues, and how a run ends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.simulation.actors import SHARDS, QueueFeed, StreamFeed
from tests.simulation.chaos import Plan
from tests.simulation.coverage import Coverage
from tests.simulation.history import History
from tests.simulation.scheduler import Stuck
from tests.simulation.world import Violation, World

TURNS = 60_000
"""Turns after which clients are taken never to finish."""
QUIET_TURNS = 20_000
"""Turns within which all must be quiet once nothing fails any more."""


@dataclass(frozen=True)
class Result:
    """What became of one run; `violation` is None if every invariant held."""

    plan: Plan
    history: History
    coverage: Coverage
    violation: Violation | None
    actors: frozenset[str]
    struck: dict[str, str]
    steps: int


class Course(ABC):
    """The actors of one run, and its course."""

    def __init__(self, world: World) -> None:
        self.actors: list[str] = []
        self._world = world
        self._under_way = 0
        self._streams: list[StreamFeed] = []
        self._queues: list[QueueFeed] = []
        for function in world.deployed.functions.values():
            for stream in function.streams:
                feed = StreamFeed(world, function, stream)
                self._streams.append(feed)
                self._pollers(f"{function.name} stream", feed.poll)
            for queue in function.queues:
                self._queues.append(QueueFeed(world, function, queue))
                self._pollers(f"{function.name} queue", self._queues[-1].poll)

    @abstractmethod
    def all(self) -> None:
        """The whole run. Raises Violation, Stuck."""

    @abstractmethod
    def _check(self, function: str, records: Sequence[Any]) -> None:
        """Looks at what a function did with records of a stream or queue, once it returned."""

    def result(self) -> Result:
        """Runs it all, and says what became of it."""
        world, violation = self._world, None
        try:
            self.all()
        except Violation as found:
            violation = found
        except Stuck as stuck:
            violation = Violation("all is quiet in the end", str(stuck))
        return Result(
            world.plan,
            world.history,
            world.coverage,
            violation,
            frozenset(self.actors),
            world.chaos.struck,
            world.scheduler.step,
        )

    def _pollers(self, name: str, poll: Callable[..., None]) -> None:
        for shard in range(1 if self._world.weather.lone else SHARDS):
            chance = self._world.plan.chance(f"{name} {shard}")
            self._world.scheduler.spawn(f"{name} {shard}", partial(poll, chance, self._check))

    def _background(self, name: str, body: Callable[[], None]) -> None:
        """Starts what nobody waits for."""
        self.actors.append(name)
        if self._world.plan.actors is None or name in self._world.plan.actors:
            self._world.scheduler.spawn(name, body)

    def _start(self, name: str, body: Callable[[], None]) -> None:
        self.actors.append(name)
        if self._world.plan.actors is not None and name not in self._world.plan.actors:
            return
        self._under_way += 1

        def act() -> None:
            body()
            self._under_way -= 1

        self._world.scheduler.spawn(name, act)

    def _finish(self, name: str, body: Callable[[], None]) -> None:
        """Runs something to its end, and all that follows from it."""
        self._under_way += 1

        def act() -> None:
            body()
            self._under_way -= 1

        self._world.scheduler.spawn(name, act)
        self._world.scheduler.run(self._quiet, QUIET_TURNS)

    def _quiet(self) -> bool:
        idle = not self._under_way and all(feed.quiet for feed in self._streams)
        read = [self._world.sqs.queues[feed.source.url] for feed in self._queues]
        return idle and not any(queue.messages for queue in read)

    def _redrive(self) -> None:
        sqs = self._world.sqs
        for queue in sqs.queues.values():
            if queue.dead_letters:
                dead = sqs.queues[queue.dead_letters]
                for message in dead.messages:
                    self._world.coverage.hit("queues", "messages", "redriven")
                    body = {"QueueUrl": queue.url, "MessageBody": message.body}
                    sqs.call("SendMessage", body)
                dead.messages.clear()
