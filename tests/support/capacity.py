"""Capacity units of a DynamoDB call, from the sizes of the items it touched.

The backend is asked for items only, never for what it thinks they cost. Sources, all in the Amazon
DynamoDB Developer Guide: "DynamoDB read and write operations" (a failed condition costs by the
existing item, at least 1; an update by the larger of the old and the new item; Query and Scan by
all they read, before filter and projection, rounded up once per page; BatchGetItem per item),
"Using Global Secondary Indexes", section "Write capacity units" (0, 1 or 2 index writes), and
"DynamoDB transactions", section "Capacity management" (twice the units).

Two figures are our reading, since AWS states none: a cancelled transaction costs every member as
a failed condition would, doubled; and a transaction's index writes are not doubled.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.awsrequest import AWSResponse

from tests.support.item_size import Consistency, Item, item_size, read_units, write_units
from tests.support.wire import Call, Send, error_code

WRITES = {"PutItem", "UpdateItem", "DeleteItem"}
UNSUPPORTED = {"KeyConditions", "QueryFilter", "ScanFilter", "ExecuteStatement"}
"""Older ways to ask, which this project does not use and this module does not measure."""


@dataclass(frozen=True)
class Units:
    """Read units, write units of tables, write units of their indexes."""

    rcu: float = 0
    wcu: float = 0
    index_wcu: float = 0


@dataclass(frozen=True)
class Index:
    """A global secondary index; `kept` is None where it projects every attribute."""

    keys: frozenset[str]
    kept: frozenset[str] | None

    def entry(self, item: Item) -> Item:
        """What the index holds for an item; empty if a key attribute is missing."""
        if not self.keys <= item.keys():
            return {}
        return {name: item[name] for name in item if self.kept is None or name in self.kept}

    def units(self, old: Item, new: Item) -> int:
        """Write units to bring the index from one item to the next; an absent item is empty."""
        before, after = self.entry(old), self.entry(new)
        if before == after:
            return 0
        sizes = [item_size(entry) for entry in (before, after) if entry]
        if before and after and self._key(before) == self._key(after):
            return write_units(max(sizes))
        return sum(map(write_units, sizes))

    def _key(self, entry: Item) -> list[Mapping[str, Any]]:
        return [entry[name] for name in sorted(self.keys)]


@dataclass(frozen=True)
class Target:
    """An item that a write aims at."""

    table: str
    key: dict[str, Any]


class CapacityGauge:
    """Sends a call and measures it. `client` is a DynamoDB client that nobody meters."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._tables: dict[str, Any] = {}

    def measure(self, call: Call, send: Send) -> tuple[AWSResponse, Units]:
        """The answer and what it cost. Raises NotImplementedError for a call it cannot measure."""
        if UNSUPPORTED & {call.operation, *call.params}:
            raise NotImplementedError(f"no units for {call.operation} {sorted(call.params)}")
        measures: dict[str, Callable[[Call, Send], tuple[AWSResponse, Units]]] = {
            "BatchWriteItem": self._batch_write,
            "TransactWriteItems": self._transact_write,
            "GetItem": self._get,
            "BatchGetItem": self._batch_get,
            "TransactGetItems": self._transact_get,
            "Query": self._page,
            "Scan": self._page,
            **dict.fromkeys(WRITES, self._write),
        }
        if call.operation not in measures:
            return send(), Units()
        return measures[call.operation](call, send)

    # ---- Writes -------------------------------------------------------------------------------

    def _write(self, call: Call, send: Send) -> tuple[AWSResponse, Units]:
        target = self._target(call.params)
        old = self._item(target)
        response = send()
        match error_code(response):
            case None:
                return response, self._written([target], [old])
            case "ConditionalCheckFailedException":
                return response, Units(wcu=write_units(item_size(old)))
        return response, Units()

    def _batch_write(self, call: Call, send: Send) -> tuple[AWSResponse, Units]:
        targets = list(self._batch_targets(call.params["RequestItems"]))
        old = [self._item(target) for target in targets]
        response = send()
        if error_code(response):
            return response, Units()
        unprocessed = json.loads(response.content).get("UnprocessedItems", {})
        left = list(self._batch_targets(unprocessed))
        done = [pair for pair in zip(targets, old, strict=True) if pair[0] not in left]
        return response, self._written([target for target, _ in done], [item for _, item in done])

    def _batch_targets(self, requests: Mapping[str, Any]) -> Iterator[Target]:
        for table, entries in requests.items():
            for entry in entries:
                [request] = entry.values()
                yield self._target({"TableName": table, **request})

    def _transact_write(self, call: Call, send: Send) -> tuple[AWSResponse, Units]:
        members = [next(iter(entry.values())) for entry in call.params["TransactItems"]]
        targets = [self._target(member) for member in members]
        old = [self._item(target) for target in targets]
        response = send()
        match error_code(response):
            case None:
                units = self._written(targets, old)
                return response, Units(wcu=2 * units.wcu, index_wcu=units.index_wcu)
            case "TransactionCanceledException":
                return response, Units(wcu=2 * sum(write_units(item_size(item)) for item in old))
        return response, Units()

    def _written(self, targets: list[Target], before: list[Item]) -> Units:
        wcu = index_wcu = 0
        for target, old in zip(targets, before, strict=True):
            new = self._item(target)
            wcu += write_units(max(item_size(old), item_size(new)))
            index_wcu += sum(index.units(old, new) for index in self._indexes(target.table))
        return Units(wcu=wcu, index_wcu=index_wcu)

    # ---- Reads --------------------------------------------------------------------------------

    def _get(self, call: Call, send: Send) -> tuple[AWSResponse, Units]:
        response = send()
        if error_code(response):
            return response, Units()
        return response, Units(rcu=self._read(self._target(call.params), _consistency(call.params)))

    def _batch_get(self, call: Call, send: Send) -> tuple[AWSResponse, Units]:
        response = send()
        if error_code(response):
            return response, Units()
        unprocessed = json.loads(response.content).get("UnprocessedKeys", {})
        rcu = 0.0
        for table, request in call.params["RequestItems"].items():
            left = unprocessed.get(table, {}).get("Keys", [])
            for key in request["Keys"]:
                if key not in left:
                    rcu += self._read(Target(table, _unwired(key)), _consistency(request))
        return response, Units(rcu=rcu)

    def _transact_get(self, call: Call, send: Send) -> tuple[AWSResponse, Units]:
        response = send()
        if error_code(response):
            return response, Units()
        targets = [self._target(entry["Get"]) for entry in call.params["TransactItems"]]
        return response, Units(rcu=sum(self._read(target, "transactional") for target in targets))

    def _page(self, call: Call, send: Send) -> tuple[AWSResponse, Units]:
        response = send()
        if error_code(response):
            return response, Units()
        read = self._client.query if call.operation == "Query" else self._client.scan
        # The same page again, whole: a filter or projection makes an answer smaller, not cheaper.
        page = read(**_unwired(_unfiltered(call.params)))
        size = sum(map(item_size, page["Items"]))
        return response, Units(rcu=read_units(size, _consistency(call.params)))

    def _read(self, target: Target, consistency: Consistency) -> float:
        return read_units(item_size(self._item(target)), consistency)

    # ---- What is there ------------------------------------------------------------------------

    def _item(self, target: Target) -> Item:
        """The item as it is now; empty if there is none."""
        if len(target.key) < len(self._table(target.table)["KeySchema"]):
            # The backend will refuse the request; there is nothing to look up.
            return {}
        answer = self._client.get_item(TableName=target.table, Key=target.key, ConsistentRead=True)
        item: Item = answer.get("Item", {})
        return item

    def _target(self, params: Mapping[str, Any]) -> Target:
        table = params["TableName"]
        source = params["Key"] if "Key" in params else params["Item"]
        key = {name: source[name] for name in _key_names(self._table(table)) & source.keys()}
        return Target(table, _unwired(key))

    def _indexes(self, table: str) -> list[Index]:
        description = self._table(table)
        found = description.get("GlobalSecondaryIndexes", [])
        return [_index(index, _key_names(description)) for index in found]

    def _table(self, table: str) -> Any:
        if table not in self._tables:
            self._tables[table] = self._client.describe_table(TableName=table)["Table"]
        return self._tables[table]


def _index(description: Mapping[str, Any], table_keys: frozenset[str]) -> Index:
    keys = _key_names(description)
    projection = description["Projection"]
    if projection["ProjectionType"] == "ALL":
        return Index(keys, None)
    return Index(keys, keys | table_keys | frozenset(projection.get("NonKeyAttributes", [])))


def _key_names(description: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(key["AttributeName"] for key in description["KeySchema"])


def _consistency(params: Mapping[str, Any]) -> Consistency:
    return "strong" if params.get("ConsistentRead") else "eventual"


_NARROWING = {"FilterExpression", "ProjectionExpression", "Select", "AttributesToGet"}
_PLACEHOLDERS = ("ExpressionAttributeNames", "ExpressionAttributeValues")


def _unfiltered(params: Mapping[str, Any]) -> dict[str, Any]:
    """The request for the whole items of the same page."""
    whole = {name: value for name, value in params.items() if name not in _NARROWING}
    # AWS refuses placeholders that no expression uses.
    used = set(re.findall(r"[#:]\w+", params.get("KeyConditionExpression", "")))
    for kind in _PLACEHOLDERS:
        kept = {name: value for name, value in whole.pop(kind, {}).items() if name in used}
        if kept:
            whole[kind] = kept
    return whole


def _unwired(value: Any) -> Any:
    """Parameters off the wire as botocore takes them: binary as bytes, not base64."""
    if isinstance(value, list):
        return [_unwired(element) for element in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"B": str(text)} if len(value) == 1:
            return {"B": base64.b64decode(text)}
        case {"BS": [str(), *_] as texts} if len(value) == 1:
            return {"BS": [base64.b64decode(text) for text in texts]}
    return {name: _unwired(element) for name, element in value.items()}
