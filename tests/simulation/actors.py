"""Lambda's pollers and schedules as actors: what becomes of stream records and queue messages.

The rules are those of tests/support/delivery.py, which a test drives by hand; here everything is
late, twice, out of order or lost, several pollers at a time.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.simulation.chaos import QUEUE_KINDS, SELDOM, STREAM_KINDS
from tests.simulation.world import Crash, World
from tests.support.cloud.dynamodb import Change, Item
from tests.support.cloud.sdk import wired
from tests.support.deployment import Function, QueueSource, StreamSource, queue_url
from tests.support.event_filter import filterable, passes
from tests.support.template import REGION

Record = dict[str, Any]
Check = Callable[[str, Sequence[Record]], None]
"""Looks at what a function did with records of a stream or queue, once it returned."""

SHARDS = 2
"""Pollers per stream and per queue."""
LATE_COPY_SECONDS = 7200


@dataclass(frozen=True)
class Pending:
    """A record that is due for delivery."""

    due: float
    record: Record


@dataclass
class StreamFeed:
    """One function's side of a table's stream."""

    world: World
    function: Function
    source: StreamSource
    pending: list[Pending] = field(default_factory=list)
    under_way: int = 0
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.world.watchers.append(self._watch)

    @property
    def quiet(self) -> bool:
        return not self.pending and not self.under_way

    def _watch(self, change: Change) -> None:
        if change.table != self.source.table:
            return
        record = self._record(change)
        if not passes(record, self.source.patterns):
            return
        fault = self.world.chaos.draw(
            f"stream {self.source.table}", STREAM_KINDS, rate=2 * self.world.weather.rate
        )
        kind, degree = (fault.kind, fault.degree) if fault else ("", 0.0)
        now = self.world.now
        if kind:
            self.world.coverage.hit("faults", self.function.name, "stream", kind)
            self.world.note("stream", change.new, "record", kind)
        if kind != "drop":
            late = 120_000 * degree if kind in ("delay", "reorder") else 0
            self.pending.append(Pending(now + late, record))
        if kind == "duplicate":
            self.pending.append(Pending(now + 600_000 * degree, record))
        self.world.scheduler.rouse(self.source.arn)

    def _record(self, change: Change) -> Record:
        number = next(self._numbers)
        image = {"NewImage": wired(change.new)} if change.new else {}
        return {
            "eventID": f"event-{number}",
            "eventName": _event_name(change.old, change.new),
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": REGION,
            "dynamodb": {
                "ApproximateCreationDateTime": self.world.now / 1000,
                "Keys": self._keys(change),
                **image,
                "SequenceNumber": f"{number:021d}",
                "SizeBytes": 1,
                "StreamViewType": "NEW_IMAGE",
            },
            "eventSourceARN": self.source.arn,
        }

    def _keys(self, change: Change) -> Item:
        return self.world.dynamodb.tables[change.table].keys.cut(change.new or change.old)

    def poll(self, chance: random.Random, check: Check) -> None:
        """One shard's poller; never returns."""
        while True:
            batch = self._take(chance)
            if not batch:
                self.world.scheduler.park(self.source.arn, self._patience())
                continue
            self.under_way += 1
            self._feed(batch, check)
            self.under_way -= 1

    def _patience(self) -> float | None:
        if not self.pending:
            return None
        soonest = min(each.due for each in self.pending)
        return max(0.001, (soonest - self.world.now) / 1000)

    def _take(self, chance: random.Random) -> list[Record]:
        due = [each for each in self.pending if each.due <= self.world.now]
        if not due:
            return []
        taken = chance.sample(due, min(len(due), chance.randint(1, 6), self.source.batch_size))
        for each in taken:
            self.pending.remove(each)
        return [each.record for each in taken]

    def _feed(self, batch: list[Record], check: Check) -> None:
        for tried in count(1):
            begun = self.world.now
            # The return value is not looked at: partial failures are for queues alone here.
            if _attempt(self.world, self.function, {"Records": batch}):
                check(self.function.name, [{**each, "received": begun} for each in batch])
                return
            if self.source.bisect and len(batch) > 1:
                middle = len(batch) // 2
                self._feed(batch[:middle], check)
                self._feed(batch[middle:], check)
                return
            if tried == 1 + self.source.retries:
                give_up(self.world, self.source.on_failure, {"DDBStreamBatchInfo": len(batch)})
                return
            self.world.sleep(min(60, 2.0**tried))


SELDOM_TIMES = 6
"""By so much faults are likelier where messages are few."""


@dataclass
class QueueFeed:
    """One function's side of a queue."""

    world: World
    function: Function
    source: QueueSource

    def poll(self, chance: random.Random, check: Check) -> None:
        """One poller; never returns."""
        while True:
            answer = self.world.sqs.call(
                "ReceiveMessage",
                {
                    "QueueUrl": self.source.url,
                    "MaxNumberOfMessages": min(10, self.source.batch_size, chance.randint(1, 10)),
                },
            )
            if "Messages" not in answer:
                self.world.scheduler.park(self.source.url, self._patience())
                continue
            self._handle([_queue_record(each, self.source) for each in answer["Messages"]], check)
            self.world.sleep(0)

    def _patience(self) -> float | None:
        queue = self.world.sqs.queues[self.source.url]
        if not queue.messages:
            return None
        soonest = min(message.visible for message in queue.messages)
        return max(0.001, soonest - self.world.now / 1000)

    def _handle(self, records: list[Record], check: Check) -> None:
        world = self.world
        # Of a queue that is seldom fed, few messages would ever meet a fault.
        rate = world.weather.rate * (SELDOM_TIMES if self.function.name in SELDOM else 1)
        fault = world.chaos.draw(f"queue {self.function.name}", QUEUE_KINDS, rate)
        kind = fault.kind if fault else ""
        if kind:
            world.coverage.hit("faults", self.function.name, "queue", kind)
            world.note("queue", [record["body"] for record in records], "received", kind)
        if kind == "stall":
            # Longer than the messages stay hidden: somebody else gets them as well.
            world.sleep(world.sqs.queues[self.source.url].visibility + 1)
        wanted = [each for each in records if passes(filterable(each), self.source.patterns)]
        received = world.now
        event = {"Records": wanted}
        # Whoever raises, or names a message that there was not, fails them all.
        failed = every = {record["messageId"] for record in wanted}
        outcome = _attempt(world, self.function, event)
        if outcome:
            named = {each["itemIdentifier"] for each in (outcome[0] or {}).get(_FAILURES, [])}
            failed = named if self.source.partial and named <= every else set()
        for record in records:
            if record["messageId"] not in failed and kind != "delete_lost":
                handle = {"ReceiptHandle": record["receiptHandle"]}
                world.sqs.call("DeleteMessage", {"QueueUrl": self.source.url, **handle})
            if kind == "late_copy":
                self._send_copy(record)
        if outcome:
            done = [each for each in wanted if each["messageId"] not in failed]
            check(self.function.name, [{**each, "received": received} for each in done])

    def _send_copy(self, record: Record) -> None:
        queue = self.world.sqs.queues[self.source.url]
        params = {"QueueUrl": self.source.url, "MessageBody": record["body"]}
        self.world.sqs.call("SendMessage", params)
        queue.messages[-1].visible += LATE_COPY_SECONDS


_FAILURES = "batchItemFailures"


def run_schedule(world: World, function: Function, number: int = 0) -> bool:
    """Fires one of a function's schedules with Lambda's retries; whether it returned in the
    end."""
    event = {"source": "aws.events", "time": "", "detail": {}}
    if (given := function.schedules[number].input) is not None:
        event = json.loads(given)
    for tried in range(1 + function.retries):
        if _attempt(world, function, event):
            return True
        world.sleep(60.0 * (tried + 1))
    give_up(world, function.on_failure, {"requestPayload": {}})
    return False


def _attempt(world: World, function: Function, event: Mapping[str, Any]) -> tuple[Any] | None:
    """What a function that nobody waits for returned, in a tuple; None if it failed."""
    try:
        return (world.invoke(function.name, event),)
    except (Crash, Exception):
        return None


def give_up(world: World, destination: str | None, detail: Mapping[str, Any]) -> None:
    """Sends what failed to the end to its destination."""
    if destination is not None:
        body = json.dumps(detail)
        url = queue_url(destination)
        world.sqs.call("SendMessage", {"QueueUrl": url, "MessageBody": body})
        world.coverage.hit("queues", "messages", "given up")
    world.note("given up", detail, destination)


def _event_name(old: Item, new: Item) -> str:
    if not new:
        return "REMOVE"
    return "MODIFY" if old else "INSERT"


def _queue_record(message: Mapping[str, Any], source: QueueSource) -> Record:
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": {},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": source.arn,
        "awsRegion": REGION,
    }
