"""Who rolls hours up while others write to them, and stands still after what it read until somebody
has written more."""

from __future__ import annotations

import json
from collections.abc import Callable

from functions.analytics.definitions import Definitions
from functions.analytics.hours import Dirty, Hour, Hours
from functions.analytics.rolling import Roller
from functions.analytics.rows import Rows
from functions.edge.runtime import Runtime
from functions.kernel.dynamo import DynamoStore
from tests.simulation.analytics.owner import insist
from tests.simulation.world import World, physical
from tests.support.cloud.dynamodb import Change

DIRTY = "marked as dirty"
"""Where to wait for a mark."""
PATIENCE = 10
"""Seconds for which it stands still if nobody writes anything."""


class Lingering(Hours):
    """Hours of which the first that is read is handed on late."""

    wait: Callable[[], None] | None = None

    def read(
        self, site: str, hour: int, *, since: int | None = None, consistent: bool = True
    ) -> Hour:
        """See Hours."""
        found = super().read(site, hour, since=since, consistent=consistent)
        wait, self.wait = self.wait, None
        if wait is not None:
            wait()
        return found


class LateRoller:
    """Rolls some of the hours up that are marked, late."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = world.plan.chance("late roller")
        names = world.deployed.names
        self._events = physical(names, "AnalyticsEvents")
        self._rollups = physical(names, "AnalyticsRollups")
        self._queue = physical(names, "AnalyticsHours")
        self._sitting = world.deployed.functions["AnalyticsRoll"].timeout
        self._marked: list[Dirty] = []
        world.watchers.append(self._watch)

    def run(self) -> None:
        """Never returns."""
        while True:
            self._world.scheduler.park(DIRTY)
            while self._marked:
                dirty = self._marked.pop(0)
                # Until who marked it has told so, too.
                self._world.sleep(0.05)
                if self._chance.random() < 0.3 and self._take(dirty):
                    # To its end: nobody else is told.
                    while not self._roll(dirty):
                        pass

    def _watch(self, change: Change) -> None:
        if change.table != self._rollups or not change.new:
            return
        kind, _, rest = change.new["pk"]["S"].partition("#")
        if kind == "dirty":
            site, hour, whole = change.new["sk"]["S"].split("#")
            self._marked.append(Dirty(site, int(hour), bool(int(whole))))
            self._world.scheduler.rouse(DIRTY)
        if kind == "minute" and "seen" in change.new:
            self._world.scheduler.rouse(("written", rest))

    def _take(self, dirty: Dirty) -> bool:
        """Takes the message that tells of an hour, before anybody else received it."""
        messages = self._world.sqs.queues[self._queue].messages
        for message in messages:
            if not message.received and json.loads(message.body) == dirty._asdict():
                messages.remove(message)
                return True
        return False

    def _roll(self, dirty: Dirty) -> bool:
        def wait() -> None:
            self._world.scheduler.park(("written", f"{dirty.site}#{dirty.hour}"), PATIENCE)
            # Until the writer has marked it, too.
            self._world.sleep(self._chance.choice((0.01, 0.5)))

        def work(runtime: Runtime) -> None:
            client, backoff = runtime.client("dynamodb"), runtime.backoff()
            hours = Lingering(client, self._rollups, runtime.client("sqs"), self._queue, backoff)
            hours.wait = wait
            define = Definitions(DynamoStore(client, self._events), runtime.now).of
            rows = Rows(client, self._rollups, backoff)
            roller = Roller(define, hours, rows, runtime.now)
            roller.roll(dirty, grow=lambda site, command: None)

        return insist(self._world, work, self._sitting)
