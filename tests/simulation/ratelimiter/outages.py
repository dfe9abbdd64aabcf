"""Whether a container could ask the table of buckets, and what excuses it if it did not."""

from __future__ import annotations

from collections import Counter

from tests.simulation.world import Container, Served, World

FAILURES, SPARED_MS = 5, 1000
"""So often in a row, and for so long a container leaves the table alone."""
FAILURE = {"server_error", "lost_request", "lost_response"}
UNASKABLE = {"throttle", *FAILURE}
"""Faults by which the store cannot be asked. A table that throttles has answered."""
WRITES = ("UpdateItem", "TransactWriteItems")
READS = ("GetItem",)


class Outages:
    """How often the table has failed each container."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._failures: Counter[str] = Counter()

    def note(self, container: Container) -> None:
        """A check of its is over."""
        failures = sum(cause in FAILURE for cause in container.invocation.causes)
        self._failures[container.name] += failures

    def excuse(self, served: Served) -> bool:
        """Whether the store failed this check, or did so often just before that it was spared."""
        container, invocation = served.container, served.invocation
        failed = max(container.failed_at.get(name, -1) for name in (*WRITES, *READS))
        if failed >= invocation.begun and UNASKABLE.intersection(invocation.causes):
            return True
        spared = failed >= invocation.begun - SPARED_MS
        if not spared or self._failures[container.name] < FAILURES:
            return False
        self._world.coverage.hit("fail", "spared")
        return True
