"""An operator at work: replays a view while everything goes on, and mends what was set aside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from functions.edge.runtime import Runtime
from functions.edge.topic import Topic
from functions.kernel.dynamo import DynamoStore
from functions.kernel.errors import Conflict
from functions.kernel.projector import Kinds, Projector
from functions.kernel.publisher import Publisher
from functions.kernel.quarantine import Quarantine
from functions.kernel.readers import Reader
from functions.kernel.replay import NotVerified, Replay
from functions.kernel.views import ViewTable
from tests.simulation.invariants import Capability
from tests.simulation.world import Crash, World, physical

SITTING = 3600
"""Seconds after which an operator's tool is ended by its own machine."""
TRIES = 30


@dataclass(frozen=True)
class Bench:
    """A capability as an operator's tool sees it: physical names of its tables, and its code."""

    events: str
    views: str
    kinds: Kinds
    view: str
    projector_timeout: int
    capability: str
    topic: str

    def store(self, runtime: Runtime) -> DynamoStore:
        return DynamoStore(runtime.client("dynamodb"), self.events, runtime.backoff())

    def readers(self, runtime: Runtime) -> tuple[Reader, Reader]:
        """Both readers of the event table's stream."""
        store, table = self.store(runtime), self.table(runtime)
        topic = Topic(runtime, self.topic, self.capability)
        projector = Projector(store, table, self.kinds).renewed()
        return projector, Publisher(store, table, self.kinds, topic.publish)

    def table(self, runtime: Runtime) -> ViewTable:
        return ViewTable(runtime.client("dynamodb"), self.views, runtime.backoff())


def bench(world: World, capability: Capability, kinds: Kinds, view: str) -> Bench:
    """From logical names."""
    names = world.deployed.names
    functions = world.deployed.functions.values()
    timeout = max(each.timeout for each in functions if each.streams or each.queues)
    events, views = (physical(names, name) for name in (capability.events, capability.views))
    topic = physical(names, "DomainEvents")
    return Bench(events, views, kinds, view, timeout, capability.name, topic)


def replay(world: World, tools: Bench) -> None:
    """Replays one view to the end, taking it up again whenever the tool dies."""

    def whole(runtime: Runtime) -> None:
        work = Replay(tools.store(runtime), tools.table(runtime), tools.kinds, tools.view)
        begun = work.begin(runtime.now())
        waited = world.now - begun.since
        # No projector may be at work any more that began before and knows nothing of it.
        world.sleep(max(0, tools.projector_timeout + 1 + world.weather.skew / 1000 - waited / 1000))
        while not work.slice().complete:
            pass
        work.flip(runtime.now())

    _insist(world, whole)


def mend(world: World, tools: Bench) -> None:
    """Rings every stream that was set aside, then takes it out of quarantine."""

    def whole(runtime: Runtime) -> None:
        aside = Quarantine(runtime.client("dynamodb"), tools.views)
        for each in aside.all():
            for reader in tools.readers(runtime):
                reader.ring(each.stream)
            aside.release(each.stream)
            world.coverage.hit("queues", "messages", "released")

    _insist(world, whole)


def _insist(world: World, work: Callable[[Runtime], None]) -> None:
    for _ in range(TRIES):
        try:
            work(world.operator(SITTING))
            return
        except Conflict as conflict:
            world.note("operator", "", f"stops: {conflict}")
            return
        except (Crash, NotVerified, Exception) as failure:
            world.note("operator", "", f"begins anew after {failure!r}")
            world.sleep(20)


def republish(world: World, tools: Bench, streams: Sequence[str]) -> None:
    """Publishes the newest of each stream again, as for a consumer that is new."""

    def whole(runtime: Runtime) -> None:
        _, publisher = tools.readers(runtime)
        assert isinstance(publisher, Publisher)
        for stream in streams:
            publisher.again(stream)

    _insist(world, whole)
