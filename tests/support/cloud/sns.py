"""SNS in memory: topics that hand messages raw to the queues subscribed to them.

Source: Amazon SNS Developer Guide and API Reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tests.support.cloud.errors import NotEmulated, Refused, only
from tests.support.cloud.sqs import SQS, check_batch
from tests.support.deployment import Subscription, queue_url
from tests.support.event_filter import passes

Params = dict[str, Any]

MAX_BYTES = 256 * 1024


class SNS:
    """The service, in front of an SQS; `told` hear of every message that a topic took."""

    def __init__(
        self, sqs: SQS, topics: Sequence[str], subscriptions: Sequence[Subscription]
    ) -> None:
        self.told: list[Callable[[str], None]] = []
        self._sqs = sqs
        self._topics = topics
        self._subscriptions = subscriptions

    def call(self, operation: str, params: Params) -> Params:
        """Carries out one operation. Raises Refused, and NotEmulated for what it does not know."""
        if operation != "PublishBatch":
            raise NotEmulated(f"sns {operation}")
        only(params, "TopicArn", "PublishBatchRequestEntries")
        topic, entries = params["TopicArn"], params["PublishBatchRequestEntries"]
        if topic not in self._topics:
            raise Refused("NotFound", "Topic does not exist", status=404)
        check_batch(entries, prefix="")
        if sum(map(_size, entries)) > MAX_BYTES:
            raise Refused("BatchRequestTooLong", "The batch is longer than 262144 bytes")
        for entry in entries:
            only(entry, "Id", "Message", "MessageAttributes")
            self._deliver(topic, entry)
        return {"Successful": [{"Id": entry["Id"]} for entry in entries], "Failed": []}

    def _deliver(self, topic: str, entry: Params) -> None:
        attributes = {name: each["StringValue"] for name, each in _attributes(entry).items()}
        for told in self.told:
            told(entry["Message"])
        for each in self._subscriptions:
            if each.topic == topic and passes(attributes, [each.policy]):
                sent = {"QueueUrl": queue_url(each.queue), "MessageBody": entry["Message"]}
                self._sqs.call("SendMessage", sent)


def _attributes(entry: Params) -> Params:
    found: Params = entry.get("MessageAttributes", {})
    return found


def _size(entry: Params) -> int:
    attributes = [
        text for name, each in _attributes(entry).items() for text in (name, *each.values())
    ]
    return len("".join([entry["Message"], *attributes]).encode())
