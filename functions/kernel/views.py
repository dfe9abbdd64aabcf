"""Views are functions of state: a stream record only says that a stream moved.

`row = render(stream)` is written if it is newer than what stands there, so records may
come twice, late, out of order or never: the newest state wins, and the sweep rings what is behind.
Rows are never deleted; a resource that is gone keeps its row and leaves the lists.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from zlib import crc32

from functions.kernel.backoff import DEFAULT, Backoff
from functions.kernel.codec import to_json
from functions.kernel.errors import Conflict
from functions.kernel.store import Stream

S = TypeVar("S")

BATCH_GET = 100
"""BatchGetItem takes at most this many keys (DynamoDB API reference)."""
BATCH_WRITE = 25
"""BatchWriteItem takes at most this many requests (DynamoDB API reference)."""
LANES = 4
"""Partitions of the index `due`, each good for 1,000 writes a second."""


def lane(number: int) -> str:
    """The name of a lane."""
    return f"due#{number}"


@dataclass(frozen=True)
class Row:
    """What a view keeps of one stream. Without `list` it is in no list.

    `position` orders a list; it must be unique within it. `due` is when time does something to the
    stream, in epoch ms (see timers.py).
    """

    data: Mapping[str, Any] = field(default_factory=dict)
    list: str | None = None
    position: str | None = None
    due: int | None = None


@dataclass(frozen=True)
class View(Generic[S]):
    """A read model: `render(stream)` gives the row. Pure."""

    name: str
    render: Callable[[Stream[S]], Row]
    generation: int = 1

    @property
    def prefix(self) -> str:
        """What every key of this generation starts with."""
        return f"{self.name}@{self.generation}#"


@dataclass(frozen=True)
class Page:
    """Rows of a list, in its order; `next` is the position to go on after, None at the end."""

    rows: list[dict[str, Any]]
    next: str | None


class ViewTable:
    """A capability's view table: `pk` view and stream, `v` version, `d` data, for the index `lists`
    the attributes `list` and `position`, for the index `due` the attributes `lane` and `due`."""

    def __init__(self, client: Any, table: str, backoff: Backoff = DEFAULT) -> None:
        self._client = client
        self._table = table
        self._backoff = backoff

    def put(self, view: View[Any], stream: str, version: int, row: Row) -> bool:
        """Writes the row unless a newer one stands there; says whether it was written."""
        item = {
            "pk": {"S": view.prefix + stream},
            "v": {"N": str(version)},
            "d": {"S": to_json(row.data)},
        }
        if row.list is not None and row.position is not None:
            item["list"] = {"S": view.prefix + row.list}
            item["position"] = {"S": row.position}
        if row.due is not None:
            item["lane"] = {"S": lane(crc32(stream.encode()) % LANES)}
            item["due"] = {"N": str(row.due)}
        try:
            self._client.put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression="attribute_not_exists(pk) OR v < :v",
                ExpressionAttributeValues={":v": {"N": str(version)}},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def row(
        self, view: View[Any], stream: str, *, consistent: bool = False
    ) -> tuple[int, dict[str, Any]] | None:
        """The version and the data of a stream's row, or None."""
        answer = self._client.get_item(
            TableName=self._table,
            Key={"pk": {"S": view.prefix + stream}},
            ConsistentRead=consistent,
        )
        if "Item" not in answer:
            return None
        return int(answer["Item"]["v"]["N"]), json.loads(answer["Item"]["d"]["S"])

    def newest(self, view: View[Any], list: str, *, limit: int, below: str | None = None) -> Page:
        """One query: at most `limit` rows of a list, highest position first, under `below`."""
        condition, values = "#list = :list", {":list": {"S": view.prefix + list}}
        names = {"#list": "list"}
        if below is not None:
            condition += " AND #position < :below"
            values[":below"] = {"S": below}
            names["#position"] = "position"
        answer = self._client.query(
            TableName=self._table,
            IndexName="lists",
            KeyConditionExpression=condition,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
            ScanIndexForward=False,
            Limit=limit + 1,
        )
        items = answer["Items"]
        more = len(items) > limit or "LastEvaluatedKey" in answer
        shown = items[:limit]
        return Page(
            rows=[json.loads(item["d"]["S"]) for item in shown],
            next=shown[-1]["position"]["S"] if more and shown else None,
        )

    def due(
        self, lane: str, since: int, until: int, position: Mapping[str, Any] | None
    ) -> tuple[list[str], Mapping[str, Any] | None]:
        """One query: the streams of a lane that are due from `since` to `until`, oldest first, and
        the position to go on from, None at the end."""
        answer = self._client.query(
            TableName=self._table,
            IndexName="due",
            KeyConditionExpression="lane = :lane AND due BETWEEN :since AND :until",
            ExpressionAttributeValues={
                ":lane": {"S": lane},
                ":since": {"N": str(since)},
                ":until": {"N": str(until)},
            },
            **({"ExclusiveStartKey": position} if position else {}),
        )
        keys = [item["pk"]["S"].partition("#")[2] for item in answer["Items"]]
        # The same stream in two generations is one.
        return list(dict.fromkeys(keys)), answer.get("LastEvaluatedKey")

    def versions(
        self, view: View[Any], streams: Sequence[str], *, consistent: bool = False
    ) -> dict[str, int]:
        """The version of each stream's row. Absent: no row, or throttled to the last attempt;
        either way the stream is rung, which a row that is new enough survives unharmed."""
        found: dict[str, int] = {}
        for start in range(0, len(streams), BATCH_GET):
            keys = [{"pk": {"S": view.prefix + s}} for s in streams[start : start + BATCH_GET]]
            for item in self._batch_get(keys, consistent):
                found[item["pk"]["S"].removeprefix(view.prefix)] = int(item["v"]["N"])
        return found

    def _batch_get(self, keys: list[dict[str, Any]], consistent: bool) -> Iterable[dict[str, Any]]:
        for _ in self._backoff.tries():
            request = {"Keys": keys, "ProjectionExpression": "pk, v", "ConsistentRead": consistent}
            answer = self._client.batch_get_item(RequestItems={self._table: request})
            yield from answer["Responses"].get(self._table, [])
            keys = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
            if not keys:
                return

    def mark(self, name: str) -> Any:
        """A note that a keeper of views left itself with `set_mark`, or None."""
        answer = self._client.get_item(
            TableName=self._table, Key={"pk": {"S": f"mark#{name}"}}, ConsistentRead=True
        )
        return json.loads(answer["Item"]["d"]["S"]) if "Item" in answer else None

    def set_mark(self, name: str, value: Any) -> None:
        """Leaves a note; the last one to write it wins."""
        self._client.put_item(TableName=self._table, Item=_mark(name, value))

    def swap_mark(self, name: str, old: Any, new: Any) -> bool:
        """Leaves a note in the place of `old` (None: of none), unless another stands there."""
        expected: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if old is not None:
            expected = {
                "ConditionExpression": "d = :old",
                "ExpressionAttributeValues": {":old": {"S": to_json(old)}},
            }
        try:
            self._client.put_item(TableName=self._table, Item=_mark(name, new), **expected)
        except self._client.exceptions.ConditionalCheckFailedException:
            # Our own put, if its answer was lost and the SDK repeated it.
            return bool(self.mark(name) == new)
        return True

    def rows(
        self, view: View[Any], after: str | None = None
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every row of a view as stream and data, in no order, going on after a stream.

        It scans the whole table page by page, at half a unit per 4 KB; a row that is written
        meanwhile may be given as it was.
        """
        page: dict[str, Any] = {}
        if after is not None:
            page = {"ExclusiveStartKey": {"pk": {"S": view.prefix + after}}}
        while True:
            answer = self._client.scan(
                TableName=self._table,
                ProjectionExpression="pk, d",
                FilterExpression="begins_with(pk, :prefix)",
                ExpressionAttributeValues={":prefix": {"S": view.prefix}},
                **page,
            )
            for item in answer["Items"]:
                yield item["pk"]["S"].removeprefix(view.prefix), json.loads(item["d"]["S"])
            if "LastEvaluatedKey" not in answer:
                return
            page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def drop(
        self, prefix: str, position: Mapping[str, Any] | None
    ) -> tuple[int, Mapping[str, Any] | None]:
        """One scan page: deletes its rows whose key starts so. Gives how many, and the position to
        go on from, None at the table's end."""
        answer = self._client.scan(
            TableName=self._table,
            ProjectionExpression="pk",
            FilterExpression="begins_with(pk, :prefix)",
            ExpressionAttributeValues={":prefix": {"S": prefix}},
            **({"ExclusiveStartKey": position} if position else {}),
        )
        rows = [{"DeleteRequest": {"Key": item}} for item in answer["Items"]]
        for start in range(0, len(rows), BATCH_WRITE):
            self._batch_write(rows[start : start + BATCH_WRITE])
        return len(rows), answer.get("LastEvaluatedKey")

    def _batch_write(self, requests: list[dict[str, Any]]) -> None:
        for _ in self._backoff.tries():
            answer = self._client.batch_write_item(RequestItems={self._table: requests})
            requests = answer.get("UnprocessedItems", {}).get(self._table, [])
            if not requests:
                return
        raise Conflict(f"{self._table} takes no more writes")


def _mark(name: str, value: Any) -> dict[str, Any]:
    return {"pk": {"S": f"mark#{name}"}, "d": {"S": to_json(value)}}
