"""The bulk ledger over the cloud in memory, with everything that may go wrong between two calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from functions.analytics.batches import Batches
from functions.analytics.compaction import Compaction
from functions.analytics.decider import Definition
from functions.analytics.facts import Fact, hours_of
from functions.analytics.hours import Dirty, Hours
from functions.analytics.marks import Marks
from functions.analytics.objects import Objects
from functions.analytics.rolling import Roller
from functions.analytics.rows import Rows, _read_row
from tests.support.clock import FakeClock
from tests.support.cloud.dynamodb import PAGE, DynamoDB
from tests.support.cloud.replacing_moto import Service
from tests.support.cloud.s3 import S3
from tests.support.cloud.sdk import fast_client
from tests.support.cloud.sqs import SQS
from tests.support.interleave import pause
from tests.unit.analytics.reference import SITE, reference

TABLE, BUCKET = "rollups", "raw"
Cells = dict[tuple[str, str], dict[int, tuple[int, int, int]]]
"""Numbers by rollup and value, and by hour."""


class Crash(BaseException):
    """The container died here."""


class World:
    """One site's bulk ledger. `crash_at` is how many calls a container has left, if it dies; a
    query's answer has at most `page` bytes."""

    def __init__(self, site: Definition = SITE, page: int = PAGE) -> None:
        self.site = site
        self.clock = FakeClock()
        self.crash_at: int | None = None
        self._interruption: tuple[int, Callable[[], object]] | None = None
        self.calls: list[tuple[str, str]] = []
        self.s3 = S3()
        self.dynamodb = DynamoDB(self.clock.now, page=page)
        self.sqs = SQS(self.clock.seconds)
        self._services: dict[str, Service] = {
            "dynamodb": self.dynamodb,
            "sqs": self.sqs,
            "s3": self.s3,
        }
        self.s3.call("CreateBucket", {"Bucket": BUCKET})
        self.queue = self.sqs.call("CreateQueue", {"QueueName": "hours"})["QueueUrl"]
        self.dynamodb.call(
            "CreateTable",
            {
                "TableName": TABLE,
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [
                    {"AttributeName": "pk", "AttributeType": "S"},
                    {"AttributeName": "sk", "AttributeType": "S"},
                ],
                "KeySchema": [
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
            },
        )
        self.client = {name: self._client(name) for name in self._services}
        now, self.hours = (
            self.clock.now,
            Hours(self.client["dynamodb"], TABLE, self.client["sqs"], self.queue),
        )
        self.marks = Marks(self.client["dynamodb"], TABLE)
        self.rows = Rows(self.client["dynamodb"], TABLE)
        self.objects = Objects(self.client["s3"], BUCKET)
        self.batches = Batches(self.objects, self.hours, self.marks, now)
        self.compaction = Compaction(self.objects, self.hours, self.marks, self._define, now)
        self.roller = Roller(self._define, self.hours, self.rows, now)

    def _define(self, site: str) -> Definition | None:
        return self.site if site == self.site.id else None

    def _client(self, service: str) -> Any:
        return fast_client(service, self._send, lambda _: None, lambda: 0.0)

    def _send(self, service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        pause()
        self._interrupt()
        if self.crash_at is not None:
            if self.crash_at == 0:
                raise Crash
            self.crash_at -= 1
        self.calls.append((service, operation))
        return self._services[service].call(operation, params)

    def _interrupt(self) -> None:
        if self._interruption is not None:
            left, other = self._interruption
            self._interruption = (left - 1, other) if left else None
            if not left:
                other()

    # ---- What happens -------------------------------------------------------------------------

    def keep(self, facts: Iterable[Fact]) -> None:
        """A batch comes in."""
        self.batches.keep(self.site, list(facts))

    def dying(self, act: Callable[[], object], calls: int) -> bool:
        """Acts with a container that dies after so many calls; says if it did."""
        self.crash_at = calls
        try:
            act()
        except Crash:
            return True
        finally:
            self.crash_at = None
        return False

    def interrupted(self, calls: int, other: Callable[[], object]) -> None:
        """After so many calls from now on, somebody else does something meanwhile."""
        self._interruption = calls, other

    def settle(self) -> None:
        """Compacts whatever is marked, and rolls up what is dirty, until nothing is left."""
        while marked := list(self.marks.settled(10**14)):
            for site, hour in marked:
                self.compaction.compact(site, hour)
        self.roll()

    def roll(self) -> None:
        """Rolls up every dirty hour even those whose message was lost."""
        self.clock.advance(3600)
        self.hours.resend(self.clock.now())
        queue = self.sqs.queues[self.queue]
        while queue.messages:
            body = json.loads(queue.messages.pop(0).body)
            self.roll_hour(Dirty(**body))

    def roll_hour(self, dirty: Dirty) -> None:
        """Rolls one hour up."""
        self.roller.roll(dirty, self._refuse)

    def _refuse(self, site: str, command: object) -> None:
        raise AssertionError(f"the bulk ledger has no lanes: {command}")

    # ---- What is to be seen -------------------------------------------------------------------

    def cells(self) -> Cells:
        """Every row's numbers that are not nought."""
        found: Cells = {}
        for pk, sk, item in self.items("row#"):
            _, _, rollup, value = pk.split("#", 3)
            first = hours_of(sk).start
            for place, cell in _read_row(item).cells.items():
                if any(cell[1:4]):
                    found.setdefault((rollup, value), {})[first + place] = cell[1:4]
        return found

    def visitors(self) -> dict[tuple[str, str, str], bytes]:
        """Every row's set of visitors, of values that are not nought."""
        cells = self.cells()
        found = {}
        for pk, sk, item in self.items("row#"):
            _, _, rollup, value = pk.split("#", 3)
            if (rollup, value) in cells:
                found[rollup, value, sk] = _read_row(item).visitors
        return found

    def items(self, prefix: str) -> Iterable[tuple[str, str, dict[str, Any]]]:
        """What stands in the table under keys that begin so."""
        for item in self.dynamodb.call("Scan", {"TableName": TABLE})["Items"]:
            if item["pk"]["S"].startswith(prefix):
                yield item["pk"]["S"], item["sk"]["S"], item

    def stored(self) -> list[str]:
        """The keys of the bucket's objects."""
        return sorted(self.s3.buckets[BUCKET])


def expected(facts: Iterable[Fact], site: Definition = SITE) -> Cells:
    """What rows must say of facts, once compacted."""
    return reference(facts, site).hours
