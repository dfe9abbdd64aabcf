"""Dead letters back to the queue that they came from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from functions.edge.queue import BATCH
from millrace.errors import BenchError

DLQ = "Dlq"
COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


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
        for batch in self._batches():
            sent = self._send(batch)
            self._delete(sent)
            total += len(sent)
            moved(len(sent))
            if len(sent) < len(batch):
                refused = len(batch) - len(sent)
                raise BenchError(f"{total} messages moved, then {refused} refused by {self.target}")
        return total

    def _batches(self) -> Iterator[list[dict[str, Any]]]:
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
            raise BenchError(f"{len(failed)} messages were sent, but stay in {self.source} as well")


def length(client: Any, url: str) -> int:
    """About how many messages a queue holds, hidden and delayed ones included."""
    answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=list(COUNTS))
    return sum(int(answer["Attributes"][name]) for name in COUNTS)
