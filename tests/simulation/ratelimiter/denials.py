"""What becomes of denials: every sample that reached the queue is in its row once, and told of."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any, NamedTuple

from functions.ratelimiter.telling import TYPE
from tests.simulation.world import Violation, World, physical
from tests.support.cloud.dynamodb import Change, Item

DAY_MS = 86_400_000
Sample = dict[str, Any]


class Sum(NamedTuple):
    """What one rule denied one identity on one day, by its samples: the oracle's own count."""

    rule: str
    kind: str
    identity: str | None
    shadow: bool
    denied: int
    samples: int
    first_at: int
    last_at: int


class Denials:
    """The oracle of one run's denials."""

    def __init__(self, world: World) -> None:
        names = world.deployed.names
        self._world = world
        self._table = physical(names, "RatelimiterTallies")
        self._queue = physical(names, "RatelimiterDenials")
        self._sent: dict[str, Sample] = {}
        self._told: set[str] = set()
        self._rouse = world.sqs.arrived
        world.sqs.arrived = self._arrived
        world.sns.told.append(self._heard)
        world.watchers.append(self._watch)

    def _arrived(self, url: str) -> None:
        if url == self._queue:
            body = json.loads(self._world.sqs.queues[url].messages[-1].body)
            for sample in body["denials"]:
                again = self._sent.setdefault(sample["id"], sample) is not sample
                self._world.coverage.hit("samples", "sent again" if again else "sent")
        self._rouse(url)

    def _heard(self, message: str) -> None:
        envelope = json.loads(message)
        if envelope["type"] == TYPE:
            self._told.add(envelope["id"])

    def _watch(self, change: Change) -> None:
        if change.table != self._table or not _is_row(change.new or change.old):
            return
        before = int(change.old["seen"]["N"]) if change.old else 0
        if not change.new or int(change.new["seen"]["N"]) != before + 1:
            raise Violation("a row has one sample more", f"{change.old} -> {change.new}")
        self._world.coverage.hit("samples", "one more" if before else "the first")

    def settled(self) -> None:
        """When all is quiet."""
        rows = self._world.dynamodb.tables[self._table].everything()
        found = sorted(map(_sum, filter(_is_row, rows)), key=repr)
        if found != (expected := sorted(self._expected(), key=repr)):
            raise Violation("every sample counts once", f"{found}, of {expected}")
        if missing := self._sent.keys() - self._told:
            raise Violation("others are told of every sample", str(missing))

    def _expected(self) -> list[Sum]:
        rows: defaultdict[tuple[Any, ...], list[Sample]] = defaultdict(list)
        for each in self._sent.values():
            day, shadow = each["at"] // DAY_MS, each.get("shadow", False)
            identity = each.get("identity")
            rows[each["tenant"], day, each["rule"], each["kind"], identity, shadow].append(each)
        return [
            Sum(
                *(rule, kind, identity, shadow),
                sum(each["denied"] for each in samples),
                len(samples),
                min(each["at"] for each in samples),
                max(each["at"] for each in samples),
            )
            for (_, _, rule, kind, identity, shadow), samples in rows.items()
        ]


def _is_row(item: Item) -> bool:
    return bool(item["sk"]["S"] == "row")


def _sum(row: Item) -> Sum:
    tally = json.loads(row["d"]["S"])
    return Sum(**{name: tally[name] for name in Sum._fields})
