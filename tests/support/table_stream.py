"""A table's stream as Lambda would hand it on, with moto's slips put right.

On AWS a write that changes nothing leaves no record; moto leaves a MODIFY. An UpdateItem that makes
an item leaves one INSERT; moto leaves two, the first with the key alone. A cancelled transaction
makes moto forget the shard that an older iterator reads, so each look takes a new iterator.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from unittest.mock import patch

from moto.core.botocore_stubber import BotocoreStubber

Record = dict[str, Any]

_SERVICE = "DynamoDB_20120810."


class Writes:
    """How often each table was written to, so that nobody looks for records in vain."""

    def __init__(self) -> None:
        self.of: Counter[str] = Counter()

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Meanwhile every request to moto is looked at, whoever makes it."""
        answer = BotocoreStubber.process_request

        def process_request(stubber: BotocoreStubber, request: Any) -> Any:
            target = request.headers.get("X-Amz-Target", b"").decode()
            if target.startswith(_SERVICE):
                self.of.update(_written(target.removeprefix(_SERVICE), json.loads(request.body)))
            return answer(stubber, request)

        with patch.object(BotocoreStubber, "process_request", process_request):
            yield


def _written(operation: str, request: Mapping[str, Any]) -> set[str]:
    match operation:
        case "PutItem" | "UpdateItem" | "DeleteItem":
            return {request["TableName"]}
        case "BatchWriteItem":
            return set(request["RequestItems"])
        case "TransactWriteItems":
            members = (member for each in request["TransactItems"] for member in each.values())
            return {member["TableName"] for member in members}
    return set()


class TableStream:
    """Reads one table's stream from its beginning, by a dynamodbstreams client."""

    def __init__(self, client: Any, table: str, arn: str, writes: Writes) -> None:
        self.table = table
        self._client = client
        self._arn = arn
        self._writes = writes
        self._seen = 0
        self._position: str | None = None
        self._images: dict[str, Any] = {}

    def take(self) -> list[Record]:
        """The records since the last look, in the order of the writes."""
        if self._seen == self._writes.of[self.table]:
            return []
        self._seen = self._writes.of[self.table]
        taken: list[Record] = []
        for raw in self._raw():
            record = _wired(raw)
            image, key = record["dynamodb"].get("NewImage"), _key(record)
            if record["eventName"] == "MODIFY" and image == self._images.get(key):
                continue
            if record["eventName"] == "INSERT" and taken and _twice(taken[-1], record):
                taken.pop()
            self._images[key] = image
            taken.append({**record, "eventVersion": "1.1", "eventSourceARN": self._arn})
        return taken

    def _raw(self) -> Iterator[Mapping[str, Any]]:
        iterator = self._iterator()
        while True:
            page = self._client.get_records(ShardIterator=iterator)
            if not page["Records"]:
                return
            yield from page["Records"]
            self._position = page["Records"][-1]["dynamodb"]["SequenceNumber"]
            iterator = page["NextShardIterator"]

    def _iterator(self) -> str:
        description = self._client.describe_stream(StreamArn=self._arn)
        start = (
            {"ShardIteratorType": "TRIM_HORIZON"}
            if self._position is None
            else {
                "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                "SequenceNumber": self._position,
            }
        )
        shard = description["StreamDescription"]["Shards"][0]["ShardId"]
        answer = self._client.get_shard_iterator(StreamArn=self._arn, ShardId=shard, **start)
        return str(answer["ShardIterator"])


def _key(record: Record) -> str:
    return json.dumps(record["dynamodb"]["Keys"], sort_keys=True)


def _twice(former: Record, latter: Record) -> bool:
    return former["eventName"] == "INSERT" and _key(former) == _key(latter)


def _wired(value: Any) -> Any:
    """As it stands in Lambda's JSON: binary in base64, times as epoch seconds."""
    match value:
        case Mapping():
            return {name: _wired(element) for name, element in value.items()}
        case list():
            return [_wired(element) for element in value]
        case bytes():
            return base64.b64encode(value).decode()
        case datetime():
            return value.timestamp()
    return value
