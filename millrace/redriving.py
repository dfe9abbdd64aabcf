"""Dead letters back to the queue that they came from; messages that never came to theirs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from functions.edge.queue import BATCH
from millrace.batching import batches
from millrace.errors import BenchError
from millrace.terminal import counted

DLQ = "Dlq"
BATCH_BYTES = 1_048_576
"""What the messages of a SendMessageBatch may hold together, attributes included, and one alone
(SQS API reference)."""
COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
LOST = {"Clicks": "lost_click", "Denials": "lost_samples"}
"""What a log line holds of a message that could not be sent, by what its queue is called after the
capability's name."""
UNDELIVERED = "Undelivered"
LEDGERS = {"Analytics": ("AnalyticsTend", {"for": "facts"})}
"""What goes over a stream that is no event table's, and what it is told, by the capability that has
one."""
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_AGE = re.compile(r"(\d{1,6})([smhd])", re.ASCII)


@dataclass(frozen=True)
class DeadLetters:
    """A dead-letter queue and where its messages belong, by URL. `poll_seconds` is how long an
    empty answer must take to be believed."""

    client: Any
    source: str
    target: str
    poll_seconds: int

    def waiting(self) -> int:
        """About how many there are, hidden ones included."""
        return length(self.client, self.source)

    def move(self, moved: Callable[[int], None]) -> int:
        """Sends every message that can be received back, then deletes it; `moved` hears of each
        batch. Gives their number. Raises BenchError, with those not sent still in place.

        Dying between the two leaves a message in both queues: a doorbell may ring twice.
        """
        total = 0
        for received in self._received():
            for batch in batches(received, _bytes, BATCH, BATCH_BYTES):
                sent = self._send(batch)
                self._delete(sent)
                total += len(sent)
                moved(len(sent))
                if len(sent) < len(batch):
                    done, refused = counted(total, "message"), len(batch) - len(sent)
                    raise BenchError(f"{done} moved, then {refused} refused by {self.target}")
        return total

    def _received(self) -> Iterator[list[dict[str, Any]]]:
        while messages := self.client.receive_message(
            QueueUrl=self.source,
            MaxNumberOfMessages=BATCH,
            MessageAttributeNames=["All"],
            WaitTimeSeconds=self.poll_seconds,
        ).get("Messages"):
            yield messages

    def _send(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        entries = [
            {
                "Id": str(number),
                "MessageBody": message["Body"],
                "MessageAttributes": message.get("MessageAttributes", {}),
            }
            for number, message in enumerate(messages)
        ]
        answer = self.client.send_message_batch(QueueUrl=self.target, Entries=entries)
        return [messages[int(entry["Id"])] for entry in answer.get("Successful", [])]

    def _delete(self, messages: list[dict[str, Any]]) -> None:
        if not messages:
            return
        entries = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
            for number, message in enumerate(messages)
        ]
        answer = self.client.delete_message_batch(QueueUrl=self.source, Entries=entries)
        if failed := answer.get("Failed"):
            raise BenchError(
                f"sent, but still in {self.source} as well: {counted(len(failed), 'message')}"
            )


@dataclass(frozen=True)
class LostMessages:
    """The messages that could not be sent and stand as `field` in the log lines of `group` instead
    (see functions/shortener/clicks.py), and the queue that they belong to, by URL."""

    logs: Any
    group: str
    field: str
    sqs: Any
    target: str

    def send(self, since: int, sent: Callable[[int], None]) -> int:
        """Sends those that were logged after `since` (epoch ms); `sent` hears of each batch. Gives
        their number. Raises BenchError if the queue refuses any.

        They stay in the log: sent again, they are repeats, which their consumers know by `id`.
        """
        total = 0
        for batch in batches(self._since(since), _length, BATCH, BATCH_BYTES):
            entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(batch)]
            answer = self.sqs.send_message_batch(QueueUrl=self.target, Entries=entries)
            taken = len(answer.get("Successful", []))
            total += taken
            sent(taken)
            if taken < len(batch):
                done = counted(total, "message")
                raise BenchError(
                    f"{done} sent, then {len(batch) - taken} refused by {self.target}: "
                    "run it again, repeats do no harm"
                )
        return total

    def _since(self, since: int) -> Iterator[str]:
        pages = self.logs.get_paginator("filter_log_events").paginate(
            logGroupName=self.group,
            startTime=since,
            # Not a pattern for JSON, which emulators take to fit every line.
            filterPattern=f'"{self.field}"',
        )
        lines = (event["message"] for page in pages for event in page["events"])
        return _each_once(_lost(lines, self.field))


def _bytes(message: Mapping[str, Any]) -> int:
    """What of a message counts: its body, and of each attribute its name, type and value."""
    attributes = message.get("MessageAttributes", {})
    return _length(message["Body"]) + sum(
        _length(name) + sum(map(_length, value.values())) for name, value in attributes.items()
    )


def _length(text: str | bytes) -> int:
    return len(text.encode() if isinstance(text, str) else text)


def _lost(lines: Iterable[str], field: str) -> Iterator[str]:
    for line in lines:
        if line.startswith("{") and field in (said := json.loads(line)):
            yield json.dumps(said[field], separators=(",", ":"))


def _each_once(bodies: Iterable[str]) -> Iterator[str]:
    seen = set()
    for body in bodies:
        if body not in seen:
            seen.add(body)
            yield body


def sweeps_of(queue: str) -> list[tuple[str, dict[str, str]]]:
    """The functions, with their events, that look for all that a queue of what was given up may
    have been about."""
    name = queue.removesuffix(UNDELIVERED)
    return [(name + "Sweep", {}), *([LEDGERS[name]] if name in LEDGERS else [])]


def seconds_of(age: str) -> int:
    """The seconds of an age such as 90s, 30m, 2h or 1d. Raises BenchError for anything else."""
    match = _AGE.fullmatch(age)
    if match is None:
        raise BenchError(f"{age} is no age: say 90s, 30m, 2h or 1d")
    return int(match[1]) * _UNITS[match[2]]


def length(client: Any, url: str) -> int:
    """About how many messages a queue holds, hidden and delayed ones included."""
    answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=list(COUNTS))
    return sum(int(answer["Attributes"][name]) for name in COUNTS)
