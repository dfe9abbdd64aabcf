"""DynamoDB Streams in memory: one shard per table, which forgets nothing.

Source: Amazon DynamoDB Streams API Reference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from tests.support.cloud.dynamodb import Change, DynamoDB, stream_arn
from tests.support.cloud.errors import NotEmulated, only

Params = dict[str, Any]

PAGE = 1000
"""GetRecords answers with at most this many."""
SHARD = "shardId-00000000000000000000-00000000"


class Streams:
    """The service, fed by what a DynamoDB in memory writes."""

    def __init__(self, dynamodb: DynamoDB) -> None:
        self._dynamodb = dynamodb
        self._records: defaultdict[str, list[Params]] = defaultdict(list)
        dynamodb.watch = self._keep
        self._operations: dict[str, Callable[[Params], Params]] = {
            "DescribeStream": self._describe,
            "GetShardIterator": self._iterator,
            "GetRecords": self._get,
        }

    def call(self, operation: str, params: Params) -> Params:
        """Carries out one operation. Raises NotEmulated for what it does not know."""
        if operation not in self._operations:
            raise NotEmulated(f"dynamodbstreams {operation}")
        return self._operations[operation](params)

    def _keep(self, change: Change) -> None:
        table, records = self._dynamodb.table(change.table), self._records[stream_arn(change.table)]
        record = change.record()
        record["dynamodb"] |= {
            "Keys": table.keys.cut(change.new or change.old),
            "SequenceNumber": f"{len(records):021d}",
        }
        records.append(record)

    def _describe(self, params: Params) -> Params:
        only(params, "StreamArn")
        return {"StreamDescription": {"Shards": [{"ShardId": SHARD}]}}

    def _iterator(self, params: Params) -> Params:
        only(params, "StreamArn", "ShardId", "ShardIteratorType", "SequenceNumber")
        match params["ShardIteratorType"]:
            case "TRIM_HORIZON":
                start = 0
            case "AFTER_SEQUENCE_NUMBER":
                start = int(params["SequenceNumber"]) + 1
            case kind:
                raise NotEmulated(f"an iterator of type {kind}")
        return {"ShardIterator": f"{params['StreamArn']}|{start}"}

    def _get(self, params: Params) -> Params:
        only(params, "ShardIterator")
        arn, _, place = params["ShardIterator"].rpartition("|")
        page = self._records[arn][int(place) : int(place) + PAGE]
        return {"Records": page, "NextShardIterator": f"{arn}|{int(place) + len(page)}"}
