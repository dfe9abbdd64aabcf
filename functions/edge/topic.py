"""The topic of domain events: sends that are checked, entry by entry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from functions.edge.runtime import Runtime
from functions.kernel.envelope import Envelope

BATCH = 10
"""PublishBatch takes at most this many entries (SNS API reference)."""
MAX_BYTES = 256 * 1024
"""And together at most so many bytes, attributes included."""
ATTRIBUTES = 256
"""Bytes to allow for the attributes of one entry."""


class PublishFailed(Exception):
    """The topic did not take every envelope."""


class Topic:
    """The topic, as one capability publishes to it; consumers filter by `capability`, `type`."""

    def __init__(self, runtime: Runtime, arn: str, capability: str) -> None:
        self._runtime = runtime
        self._arn = arn
        self._capability = capability

    def publish(self, envelopes: Sequence[Envelope]) -> None:
        """Publishes envelopes, in their order. Raises PublishFailed at the first batch that was
        not accepted whole, ClientError as usual."""
        for batch in _batches([self._entry(each) for each in envelopes]):
            entries = [{"Id": str(number), **entry} for number, entry in enumerate(batch)]
            answer = self._runtime.client("sns").publish_batch(
                TopicArn=self._arn, PublishBatchRequestEntries=entries
            )
            if answer.get("Failed"):
                raise PublishFailed(self._arn)

    def _entry(self, envelope: Envelope) -> dict[str, Any]:
        attributes = {"capability": self._capability, "type": envelope.type}
        return {
            "Message": envelope.text(),
            "MessageAttributes": {
                name: {"DataType": "String", "StringValue": value}
                for name, value in attributes.items()
            },
        }


def _batches(entries: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    room = MAX_BYTES
    for entry in entries:
        size = len(entry["Message"].encode()) + ATTRIBUTES
        if batch and (len(batch) == BATCH or size > room):
            yield batch
            batch, room = [], MAX_BYTES
        batch.append(entry)
        room -= size
    if batch:
        yield batch
