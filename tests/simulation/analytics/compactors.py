"""Who compacts hours when it hurts: at once while they are being written, or late, after having
stood still while others compacted them too.

Faults alone hardly ever stop a function between two of its calls until somebody else has done all
that matters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO

from functions.analytics.compaction import Compaction, Overtaken
from functions.analytics.decider import Definition
from functions.analytics.definitions import Definitions
from functions.analytics.hours import Hours
from functions.analytics.marks import Marks
from functions.analytics.objects import Compact, Objects
from functions.edge.runtime import Runtime
from functions.kernel.dynamo import DynamoStore
from tests.simulation.analytics.owner import insist
from tests.simulation.world import World, physical
from tests.support.cloud.dynamodb import Change, Item

PATIENCE = 2_000
"""Seconds for which it stands still, unless it is overtaken."""
STANDING = 2_500
"""Seconds after which its machine ends it. Whoever is frozen for twice as long still comes to its
end before anybody looks whether all is compacted."""
GLANCE = 100
"""Seconds between two looks at whether somebody was faster."""

MARKED = "marked for compaction"
"""Where to wait for a mark."""

Wait = Callable[[str, Compact], None]


class Lingering(Objects):
    """A bucket whose first object waits before it is replaced."""

    wait: Wait | None = None

    def replace(self, key: str, before: Compact, content: IO[bytes]) -> bool:
        """See Objects."""
        wait, self.wait = self.wait, None
        if wait is not None:
            wait(key, before)
        return super().replace(key, before, content)


class Compactors:
    """Both, in one run."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = world.plan.chance("compactors")
        names = world.deployed.names
        self._bucket = physical(names, "AnalyticsRaw")
        self._events = physical(names, "AnalyticsEvents")
        self._rollups = physical(names, "AnalyticsRollups")
        self._queue = physical(names, "AnalyticsHours")
        world.watchers.append(self._watch)

    def late(self) -> None:
        """Compacts one hour that is marked at some time, if any is."""
        self._world.sleep(self._chance.choice((0.2, 1, 5, 20)))
        if marked := self._marked():
            self._insist(*self._chance.choice(marked), self._wait)

    def at_once(self) -> None:
        """Compacts half of the hours that are marked, right then; never returns."""
        while True:
            self._world.scheduler.park(MARKED)
            for site, hour in self._marked():
                if self._chance.random() < 0.5:
                    self._insist(site, hour, None)

    def _watch(self, change: Change) -> None:
        if change.table == self._rollups and _is_mark(change.new):
            self._world.scheduler.rouse(MARKED)

    def _marked(self) -> list[tuple[str, int]]:
        items = self._world.dynamodb.tables[self._rollups].everything()
        marks = [item["sk"]["S"] for item in items if _is_mark(item)]
        split = (mark.rpartition("#") for mark in sorted(marks))
        return [(site, int(hour)) for site, _, hour in split]

    def _insist(self, site: str, hour: int, wait: Wait | None) -> None:
        # To its end: it took the mark away.
        while not insist(
            self._world, lambda runtime: self._compact(runtime, site, hour, wait), STANDING
        ):
            pass

    def _compact(self, runtime: Runtime, site: str, hour: int, wait: Wait | None) -> None:
        client = runtime.client("dynamodb")
        objects = Lingering(runtime.client("s3"), self._bucket)
        objects.wait = wait
        hours = Hours(client, self._rollups, runtime.client("sqs"), self._queue, runtime.backoff())
        define: Callable[[str], Definition | None] = Definitions(
            DynamoStore(client, self._events), runtime.now
        ).of
        marks = Marks(client, self._rollups)
        try:
            Compaction(objects, hours, marks, define, runtime.now).compact(site, hour)
        except Overtaken:
            self._world.coverage.hit("compaction", "overtaken")
            raise

    def _wait(self, key: str, before: Compact) -> None:
        until = self._world.now + PATIENCE * 1000
        while self._world.now < until and self._etag(key) == before.etag:
            self._world.sleep(GLANCE)

    def _etag(self, key: str) -> str | None:
        stored = self._world.s3.buckets[self._bucket].get(key)
        return stored and stored.etag


def _is_mark(item: Item) -> bool:
    return bool(item) and item["pk"]["S"].startswith("compact#")
