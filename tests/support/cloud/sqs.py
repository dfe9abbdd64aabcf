"""SQS in memory: standard queues with delay, visibility time-outs and redrive.

Source: Amazon SQS Developer Guide and API Reference. Time is in seconds, by `now`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.support.cloud.errors import NotEmulated, Refused, only

Params = dict[str, Any]

MAX_BATCH = 10
MAX_BYTES = 1024 * 1024
DEFAULT_VISIBILITY = 30


@dataclass
class Message:
    """A message in a queue; hidden until `visible`."""

    id: str
    body: str
    sent: float
    visible: float
    received: int = 0
    first_received: float | None = None
    handle: str = ""


@dataclass
class Queue:
    """A queue; `dead_letters` is the URL of where a message goes after `max_receives`."""

    url: str
    arn: str
    visibility: float = DEFAULT_VISIBILITY
    delay: float = 0
    dead_letters: str | None = None
    max_receives: int = 0
    messages: list[Message] = field(default_factory=list)

    @classmethod
    def declared(cls, url: str, arn: str, properties: Mapping[str, Any]) -> Queue:
        """From what a template says."""
        queue = cls(url, arn)
        queue.visibility = float(properties.get("VisibilityTimeout", DEFAULT_VISIBILITY))
        queue.delay = float(properties.get("DelaySeconds", 0))
        if redrive := properties.get("RedrivePolicy"):
            redrive = json.loads(redrive) if isinstance(redrive, str) else redrive
            base, name = url.rpartition("/")[0], redrive["deadLetterTargetArn"].rpartition(":")[2]
            queue.dead_letters = f"{base}/{name}"
            queue.max_receives = int(redrive["maxReceiveCount"])
        return queue


class SQS:
    """The service. `choose` picks which of the visible messages comes next; `arrived` is told the
    queues that got one."""

    def __init__(
        self,
        now: Callable[[], float] = lambda: 0.0,
        choose: Callable[[list[Message]], Message] = lambda messages: messages[0],
    ) -> None:
        self.queues: dict[str, Queue] = {}
        self.arrived: Callable[[str], None] = lambda url: None
        self._now = now
        self._choose = choose
        self._ids = count(1)
        self._operations: dict[str, Callable[[Params], Params]] = {
            "CreateQueue": self._create,
            "SendMessage": self._send,
            "SendMessageBatch": self._send_batch,
            "ReceiveMessage": self._receive,
            "DeleteMessage": self._delete,
            "DeleteMessageBatch": self._delete_batch,
            "ChangeMessageVisibility": self._change_visibility,
            "GetQueueAttributes": self._attributes,
        }

    def call(self, operation: str, params: Params) -> Params:
        """Carries out one operation. Raises Refused, and NotEmulated for what it does not know."""
        if operation not in self._operations:
            raise NotEmulated(f"sqs {operation}")
        return self._operations[operation](params)

    def queue(self, params: Params) -> Queue:
        if params["QueueUrl"] not in self.queues:
            raise Refused("AWS.SimpleQueueService.NonExistentQueue", "The queue does not exist")
        return self.queues[params["QueueUrl"]]

    def _create(self, params: Params) -> Params:
        only(params, "QueueName", "Attributes")
        name = params["QueueName"]
        url, arn = f"https://sqs/{name}", f"arn:aws:sqs:us-east-1:123456789012:{name}"
        self.queues[url] = Queue.declared(url, arn, params.get("Attributes", {}))
        return {"QueueUrl": url}

    def _send(self, params: Params) -> Params:
        only(params, "QueueUrl", "MessageBody", "DelaySeconds")
        queue = self.queue(params)
        if len(params["MessageBody"].encode()) > MAX_BYTES or params.get("DelaySeconds", 0) > 900:
            raise Refused("InvalidParameterValue", "One or more parameters are invalid.")
        return self._put(queue, params)

    def _send_batch(self, params: Params) -> Params:
        only(params, "QueueUrl", "Entries")
        queue, entries = self.queue(params), params["Entries"]
        check_batch(entries)
        if sum(len(entry["MessageBody"].encode()) for entry in entries) > MAX_BYTES:
            raise Refused("AWS.SimpleQueueService.BatchRequestTooLong", "Batch requests too long")
        for entry in entries:
            only(entry, "Id", "MessageBody", "DelaySeconds")
        taken = [{"Id": entry["Id"], **self._put(queue, entry)} for entry in entries]
        return {"Successful": taken}

    def _attributes(self, params: Params) -> Params:
        only(params, "QueueUrl", "AttributeNames")
        if params["AttributeNames"] != ["QueueArn"]:
            raise NotEmulated(f"queue attributes {params['AttributeNames']}")
        return {"Attributes": {"QueueArn": self.queue(params).arn}}

    def _put(self, queue: Queue, entry: Params) -> Params:
        now, body = self._now(), entry["MessageBody"]
        visible = now + entry.get("DelaySeconds", queue.delay)
        message = Message(f"message-{next(self._ids)}", body, now, visible)
        queue.messages.append(message)
        self.arrived(queue.url)
        return {"MessageId": message.id, "MD5OfMessageBody": _md5(body)}

    def _receive(self, params: Params) -> Params:
        only(
            params,
            "QueueUrl",
            "MaxNumberOfMessages",
            "VisibilityTimeout",
            "WaitTimeSeconds",
            "MessageSystemAttributeNames",
            "MessageAttributeNames",
        )
        queue, now = self.queue(params), self._now()
        wanted = params.get("MaxNumberOfMessages", 1)
        if not 1 <= wanted <= MAX_BATCH:
            raise Refused("InvalidParameterValue", "MaxNumberOfMessages is between 1 and 10")
        hidden_for = params.get("VisibilityTimeout", queue.visibility)
        taken: list[Message] = []
        visible = [message for message in queue.messages if message.visible <= now]
        while visible and len(taken) < wanted:
            message = self._choose(visible)
            visible.remove(message)
            if queue.dead_letters and message.received >= queue.max_receives:
                self._bury(queue, message)
                continue
            message.received += 1
            message.visible = now + hidden_for
            message.first_received = message.first_received or now
            message.handle = f"{message.id}.{message.received}"
            taken.append(message)
        return {"Messages": [_shown(message) for message in taken]} if taken else {}

    def _bury(self, queue: Queue, message: Message) -> None:
        assert queue.dead_letters is not None
        queue.messages.remove(message)
        message.received, message.visible = 0, self._now()
        self.queues[queue.dead_letters].messages.append(message)

    def _delete(self, params: Params) -> Params:
        only(params, "QueueUrl", "ReceiptHandle")
        queue = self.queue(params)
        identifier = params["ReceiptHandle"].partition(".")[0]
        queue.messages = [message for message in queue.messages if message.id != identifier]
        return {}

    def _delete_batch(self, params: Params) -> Params:
        only(params, "QueueUrl", "Entries")
        check_batch(params["Entries"])
        for entry in params["Entries"]:
            handle = entry["ReceiptHandle"]
            self._delete({"QueueUrl": params["QueueUrl"], "ReceiptHandle": handle})
        return {"Successful": [{"Id": entry["Id"]} for entry in params["Entries"]]}

    def _change_visibility(self, params: Params) -> Params:
        only(params, "QueueUrl", "ReceiptHandle", "VisibilityTimeout")
        for message in self.queue(params).messages:
            if message.handle == params["ReceiptHandle"]:
                message.visible = self._now() + params["VisibilityTimeout"]
                self.arrived(params["QueueUrl"])
        return {}


def check_batch(entries: list[Params], prefix: str = "AWS.SimpleQueueService.") -> None:
    """Raises Refused for a batch that breaks the rules; SNS has the same, without a `prefix`."""
    if not entries:
        raise Refused(f"{prefix}EmptyBatchRequest", "There should be one entry")
    if len(entries) > MAX_BATCH:
        raise Refused(f"{prefix}TooManyEntriesInBatchRequest", "Maximum is 10")
    if len({entry["Id"] for entry in entries}) < len(entries):
        raise Refused(f"{prefix}BatchEntryIdsNotDistinct", "Ids must differ")


def _shown(message: Message) -> Params:
    return {
        "MessageId": message.id,
        "ReceiptHandle": message.handle,
        "MD5OfBody": _md5(message.body),
        "Body": message.body,
        "Attributes": {
            "ApproximateReceiveCount": str(message.received),
            "SentTimestamp": str(round(message.sent * 1000)),
            "ApproximateFirstReceiveTimestamp": str(round((message.first_received or 0) * 1000)),
            "SenderId": "AIDASSYFHUBOBT7F4XT75",
        },
    }


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
