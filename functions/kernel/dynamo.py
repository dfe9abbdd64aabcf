"""The event store on DynamoDB: one immutable item per commit, one conditional PutItem.

Item: `pk` stream, `sk` events before, `n` events after, `id`, `e` events, `m` metadata,
`s` snapshot, `r` ring. Never updated, never deleted from here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from functions.kernel.backoff import DEFAULT, Backoff
from functions.kernel.codec import from_data, to_data, to_json
from functions.kernel.errors import Conflict
from functions.kernel.store import Commit, Metadata

Item = dict[str, Any]
PAGE = 100
"""Commits per page once a backward read goes beyond its first page."""


class DynamoStore:
    """An EventStore on one capability's event table."""

    def __init__(self, client: Any, table: str, backoff: Backoff = DEFAULT) -> None:
        self._client = client
        self._table = table
        self._backoff = backoff

    def append(self, commit: Commit) -> Commit | None:
        """See EventStore.

        A plain put that meets a transaction on its item is told TransactionConflict, which the
        SDK does not retry: done here, then Conflict.
        """
        for _ in self._backoff.tries():
            try:
                self._client.put_item(
                    TableName=self._table,
                    Item=to_item(commit),
                    ConditionExpression="attribute_not_exists(pk)",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code == "TransactionConflictException":
                    continue
                if code != "ConditionalCheckFailedException":
                    raise
                standing = from_item(error.response["Item"])
                return None if standing.id == commit.id else standing
            return None
        raise Conflict(f"{commit.stream}: transactions in the way")

    def backward(
        self, stream: str, *, before: int | None = None, limit: int, consistent: bool = True
    ) -> Iterator[Commit]:
        """See EventStore."""
        condition, values = "pk = :stream", {":stream": {"S": stream}}
        if before is not None:
            condition += " AND sk < :before"
            values[":before"] = {"N": str(before)}
        page = {"Limit": limit}
        while True:
            answer = self._client.query(
                TableName=self._table,
                KeyConditionExpression=condition,
                ExpressionAttributeValues=values,
                ScanIndexForward=False,
                ConsistentRead=consistent,
                **page,
            )
            yield from map(from_item, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            page = {"Limit": PAGE, "ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def forward(self, stream: str, *, after: int = 0, limit: int) -> tuple[list[Commit], bool]:
        """See EventStore."""
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :stream AND sk >= :after",
            ExpressionAttributeValues={":stream": {"S": stream}, ":after": {"N": str(after)}},
            ConsistentRead=True,
            Limit=limit + 1,
        )
        commits = [from_item(item) for item in answer["Items"]]
        return commits[:limit], len(commits) > limit or "LastEvaluatedKey" in answer

    def heads(
        self, position: Mapping[str, Any] | None, limit: int, *, consistent: bool = False
    ) -> tuple[dict[str, int], dict[str, Any] | None]:
        """One page of a scan over the whole table, of at most `limit` commits.

        Gives the highest version that the page shows of each stream, and the position to go on
        from, which is None at the table's end.
        """
        start = {"ExclusiveStartKey": position} if position else {}
        answer = self._client.scan(
            TableName=self._table,
            ProjectionExpression="pk, n",
            Limit=limit,
            ConsistentRead=consistent,
            **start,
        )
        heads: dict[str, int] = {}
        for item in answer["Items"]:
            stream, version = item["pk"]["S"], int(item["n"]["N"])
            heads[stream] = max(version, heads.get(stream, 0))
        return heads, answer.get("LastEvaluatedKey")


def to_item(commit: Commit) -> Item:
    """A commit as DynamoDB stores it."""
    item: Item = {
        "pk": {"S": commit.stream},
        "sk": {"N": str(commit.before)},
        "n": {"N": str(commit.after)},
        "id": {"S": commit.id},
        "e": {"S": commit.events},
        "m": {"S": to_json(to_data(commit.metadata))},
    }
    if commit.snapshot is not None:
        item["s"] = {"S": commit.snapshot}
    if commit.ring:
        item["r"] = {"B": commit.ring}
    return item


def from_item(item: Item) -> Commit:
    """A commit from an item of the table or an image of its stream (binary as bytes)."""
    return Commit(
        stream=item["pk"]["S"],
        before=int(item["sk"]["N"]),
        after=int(item["n"]["N"]),
        id=item["id"]["S"],
        events=item["e"]["S"],
        metadata=from_data(Metadata, json.loads(item["m"]["S"])),
        snapshot=item["s"]["S"] if "s" in item else None,
        ring=item["r"]["B"] if "r" in item else b"",
    )
