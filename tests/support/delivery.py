"""Lambda's pollers: what becomes of stream records, queue messages and schedules.

Source: AWS Lambda Developer Guide, "Event source mappings", "Process Amazon DynamoDB records with
Lambda", "Handling errors for an SQS event source in Lambda" and "Asynchronous invocation".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from moto.sqs.models import sqs_backends

from tests.support.clock import FakeClock
from tests.support.deployment import Function, QueueSource, Schedule, StreamSource, queue_url
from tests.support.event_filter import filterable, passes
from tests.support.faults import Crash
from tests.support.table_stream import Record, TableStream
from tests.support.template import ACCOUNT, REGION
from tests.support.wire import bare_client

MAX_RECEIVE = 10
"""Messages that SQS hands out at once."""


class NotQuiet(Exception):
    """There was still work after the steps that were given."""


class Pollers:
    """Feeds functions what their mappings say. `failures` are what handlers raised while nobody
    waited for them; Lambda retries those."""

    def __init__(
        self,
        functions: Mapping[str, Function],
        streams: Sequence[TableStream],
        clock: FakeClock,
        invoke: Callable[[str, Mapping[str, Any]], Any],
    ) -> None:
        self.failures: list[tuple[str, BaseException]] = []
        self._functions = functions
        self._streams = streams
        self._clock = clock
        self._invoke = invoke
        self._sqs = bare_client("sqs")
        self._steps = 0

    def drain(self, *, wait: bool, steps: int) -> None:
        """See Stack.drain."""
        self._steps = steps
        while True:
            self._step()
            if self._deliver_streams() or self._deliver_queues():
                continue
            due = self._next_due() if wait else None
            if due is None:
                return
            self._clock.milliseconds = max(self._clock.milliseconds, due)

    def deliver(self, function: Function, records: Sequence[Record], *, steps: int) -> None:
        """See Stack.deliver."""
        self._steps = steps
        for source in function.streams:
            own = [record for record in records if record["eventSourceARN"] == source.arn]
            self._feed(function, source, own)

    def fire(self, function: Function, schedule: Schedule) -> Any:
        """See Stack.tick."""
        self._steps = 1 + function.retries
        event = json.loads(schedule.input) if schedule.input else self._scheduled(schedule)
        for _ in range(1 + function.retries):
            returned, result = self._attempt(function, event)
            if returned:
                return result
        if function.on_failure is None:
            raise self.failures[-1][1]
        self._give_up(function, function.on_failure, {"requestPayload": event})
        return None

    # ---- Functions ----------------------------------------------------------------------------

    def _attempt(self, function: Function, event: Mapping[str, Any]) -> tuple[bool, Any]:
        """Runs a function that nobody waits for: whether it returned, and what."""
        self._step()
        try:
            return True, self._invoke(function.name, event)
        except (Exception, Crash) as failure:
            self.failures.append((function.name, failure))
            return False, None

    def _give_up(self, function: Function, destination: str | None, detail: Any) -> None:
        if destination is not None:
            context = {"functionArn": function.arn, "condition": "RetriesExhausted"}
            body = json.dumps({"version": "1.0", "requestContext": context, **detail})
            self._sqs.send_message(QueueUrl=queue_url(destination), MessageBody=body)

    def _scheduled(self, schedule: Schedule) -> dict[str, Any]:
        return {
            "version": "0",
            "id": f"{schedule.name}-{self._clock.now()}",
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": ACCOUNT,
            "time": f"{self._clock.naive_utc():%Y-%m-%dT%H:%M:%SZ}",
            "region": REGION,
            "resources": [f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{schedule.name}"],
            "detail": {},
        }

    # ---- Streams ------------------------------------------------------------------------------

    def _deliver_streams(self) -> bool:
        busy = False
        for stream in self._streams:
            records = stream.take()
            busy = busy or bool(records)
            for function in self._functions.values():
                for source in function.streams:
                    if source.table == stream.table:
                        self._feed(function, source, records)
        return busy

    def _feed(self, function: Function, source: StreamSource, records: Sequence[Record]) -> None:
        wanted = [record for record in records if passes(record, source.patterns)]
        for start in range(0, len(wanted), source.batch_size):
            self._feed_batch(function, source, wanted[start : start + source.batch_size])

    def _feed_batch(
        self, function: Function, source: StreamSource, batch: Sequence[Record]
    ) -> None:
        for tried in count(1):
            # The return value is not looked at: partial failures are for queues alone here.
            returned, _ = self._attempt(function, {"Records": batch})
            if returned:
                return
            if source.bisect and len(batch) > 1:
                middle = len(batch) // 2
                self._feed_batch(function, source, batch[:middle])
                self._feed_batch(function, source, batch[middle:])
                return
            if tried == 1 + source.retries:
                self._give_up(function, source.on_failure, _batch_info(source, batch))
                return

    # ---- Queues -------------------------------------------------------------------------------

    def _deliver_queues(self) -> bool:
        return any(
            self._deliver_queue(function, source) for function, source in self._queue_sources()
        )

    def _deliver_queue(self, function: Function, source: QueueSource) -> bool:
        if not hidden_too(source.url):
            return False  # A third of all calls were of pollers that found nothing.
        answer = self._sqs.receive_message(
            QueueUrl=source.url,
            MaxNumberOfMessages=min(MAX_RECEIVE, source.batch_size),
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
            WaitTimeSeconds=0,
        )
        records = [_queue_record(message, source) for message in answer.get("Messages", [])]
        wanted = [each for each in records if passes(filterable(each), source.patterns)]
        failed: set[str] = set()
        if wanted:
            returned, result = self._attempt(function, {"Records": wanted})
            failed = _failed(result, wanted, source) if returned else _identifiers(wanted)
        for record in records:
            if record["messageId"] not in failed:
                self._sqs.delete_message(QueueUrl=source.url, ReceiptHandle=record["receiptHandle"])
        return bool(records)

    def _next_due(self) -> int | None:
        """When the next message in a queue that somebody reads can be received."""
        return min(
            (
                max(int(message.visible_at) + 1, int(message.delayed_until))
                for _, source in self._queue_sources()
                for message in hidden_too(source.url)
            ),
            default=None,
        )

    def _queue_sources(self) -> Iterator[tuple[Function, QueueSource]]:
        for function in self._functions.values():
            for source in function.queues:
                yield function, source

    def _step(self) -> None:
        if self._steps == 0:
            raise NotQuiet(f"still busy; newest failures: {self.failures[-3:]}")
        self._steps -= 1


def hidden_too(url: str) -> list[Any]:
    """moto's messages of a queue; there is no call that looks at hidden ones."""
    queue = sqs_backends[ACCOUNT][REGION].queues[url.rpartition("/")[2]]
    return list(queue._messages)


def _batch_info(source: StreamSource, batch: Sequence[Record]) -> dict[str, Any]:
    numbers = [record["dynamodb"]["SequenceNumber"] for record in batch]
    return {
        "DDBStreamBatchInfo": {
            "streamArn": source.arn,
            "startSequenceNumber": numbers[0],
            "endSequenceNumber": numbers[-1],
            "batchSize": len(batch),
        }
    }


def _queue_record(message: Mapping[str, Any], source: QueueSource) -> dict[str, Any]:
    attributes = message.get("MessageAttributes", {})
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": {
            name: {key[0].lower() + key[1:]: value for key, value in attribute.items()}
            for name, attribute in attributes.items()
        },
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": source.arn,
        "awsRegion": REGION,
    }


def _failed(result: Any, records: Sequence[Mapping[str, Any]], source: QueueSource) -> set[str]:
    """Message ids to leave in the queue. An id that was not in the batch fails all of it, as in
    the Lambda Developer Guide, "Handling errors for an SQS event source"."""
    if not source.partial or not result:
        return set()
    named = {failure.get("itemIdentifier") for failure in result.get("batchItemFailures") or []}
    every = _identifiers(records)
    return named if named <= every else every


def _identifiers(records: Sequence[Mapping[str, Any]]) -> set[str]:
    return {record["messageId"] for record in records}
