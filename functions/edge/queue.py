"""The queue edge: messages in with partial failures out, and sends that are checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)

from functions.edge.log import LogLine
from functions.edge.runtime import Event

BATCH = 10
"""SendMessageBatch takes at most this many entries (SQS API reference)."""


class SendFailed(Exception):
    """The queue did not take every message."""


class Message(NamedTuple):
    """A message's JSON body, the how manieth delivery this is, and the queue's id of it."""

    body: Any
    delivery: int
    id: str


def consume(
    event: Event, context: Any, log: LogLine, failures: str, handle: Callable[[Message], object]
) -> Any:
    """Hands each message to `handle`; those that raise are reported, and come again. The log line
    names the error of the last of them, and counts them as the metric `failures`."""

    def take(record: dict[str, Any]) -> None:
        try:
            delivery = int(record["attributes"]["ApproximateReceiveCount"])
            handle(Message(json.loads(record["body"]), delivery, record["messageId"]))
        except Exception as error:
            log.add(error=type(error.__cause__ or error).__name__)
            raise

    log.add(records=len(event["Records"]))
    processor = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)
    answer = process_partial_response(event, take, processor, context)
    failed = len(answer["batchItemFailures"])
    log.failed = log.failed or bool(failed)
    log.count(failures, failed)
    return answer


def send(client: Any, url: str, bodies: Sequence[Any]) -> None:
    """Sends JSON bodies. Raises SendFailed if any was not accepted, ClientError as usual."""
    for start in range(0, len(bodies), BATCH):
        entries = [
            {"Id": str(number), "MessageBody": json.dumps(body)}
            for number, body in enumerate(bodies[start : start + BATCH])
        ]
        if client.send_message_batch(QueueUrl=url, Entries=entries).get("Failed"):
            raise SendFailed(url)
