"""DynamoDB in memory: conditional writes, transactions, paged reads, streams, and stale reads.

Sources: Amazon DynamoDB API Reference and Developer Guide, "Quotas in Amazon DynamoDB", "Read
consistency", "Paginating table query results", "Change data capture for DynamoDB Streams".
"""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.support.cloud.errors import NotEmulated, Refused, invalid, only
from tests.support.cloud.expressions import (
    Placeholders,
    assigned,
    attributes,
    holds,
    scalar,
    updated,
)
from tests.support.item_size import item_size

Item = dict[str, dict[str, Any]]
Params = dict[str, Any]

MAX_ITEM = 400 * 1024
MAX_BATCH_WRITE = 25
MAX_BATCH_GET = 100
MAX_TRANSACTION = 100
TOKEN_MS = 600_000
"""How long a ClientRequestToken is known (API reference, TransactWriteItems)."""
PAGE = 1024 * 1024
FOREVER = float("inf")

_KEY_CONDITION = re.compile(r"(#?\w+) = (:\w+)( AND .+)?")


class Key(NamedTuple):
    """An item's place in a table: its hash key, and its range key or 0."""

    hash: Any
    range: Any = 0


@dataclass(frozen=True)
class Keys:
    """The key attributes of a table or an index, name to type; the first is the hash key."""

    types: Mapping[str, str]

    @property
    def hash(self) -> str:
        return next(iter(self.types))

    @property
    def schema(self) -> list[dict[str, str]]:
        """As DescribeTable tells it."""
        kinds = zip(self.types, ("HASH", "RANGE"), strict=False)
        return [{"AttributeName": name, "KeyType": kind} for name, kind in kinds]

    def of(self, item: Mapping[str, Any]) -> Key:
        return Key(*(scalar(item[name]) for name in self.types))

    def cut(self, item: Mapping[str, Any]) -> Item:
        return {name: item[name] for name in self.types}


class Change(NamedTuple):
    """One write, as a table's stream and our watchers see it; an absent item is empty."""

    table: str
    old: Item
    new: Item

    def record(self) -> dict[str, Any]:
        """What a stream of new images says of it."""
        kind = "REMOVE" if not self.new else "MODIFY" if self.old else "INSERT"
        image = {"NewImage": self.new} if self.new else {}
        return {"eventName": kind, "dynamodb": image}


class Version(NamedTuple):
    """What an item was from a moment on, and its size."""

    since: float
    item: Item
    size: int


class Seen(NamedTuple):
    """An item on a page: where it stands in the page's order, and its size."""

    place: tuple[Any, ...]
    item: Item
    size: int


NOTHING = Version(0.0, {}, 0)


@dataclass
class Table:
    """A table; `items` keeps of each item as many versions as a stale read may still see. Of its
    `indexes` those in `bare` hold the keys alone."""

    name: str
    keys: Keys
    indexes: Mapping[str, Keys]
    streamed: bool = False
    bare: frozenset[str] = frozenset()
    items: defaultdict[Any, dict[Key, list[Version]]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    @classmethod
    def declared(cls, name: str, properties: Mapping[str, Any]) -> Table:
        """From what a template or CreateTable says."""
        types = {
            each["AttributeName"]: each["AttributeType"]
            for each in properties["AttributeDefinitions"]
        }

        def keys(schema: Sequence[Mapping[str, str]]) -> Keys:
            return Keys({each["AttributeName"]: types[each["AttributeName"]] for each in schema})

        indexes = properties.get("GlobalSecondaryIndexes", [])
        projected = {index["IndexName"]: index["Projection"]["ProjectionType"] for index in indexes}
        if not {"ALL", "KEYS_ONLY"}.issuperset(projected.values()):
            raise NotEmulated("an index that projects some attributes")
        return cls(
            name,
            keys(properties["KeySchema"]),
            {index["IndexName"]: keys(index["KeySchema"]) for index in indexes},
            streamed="StreamSpecification" in properties,
            bare=frozenset(name for name, kind in projected.items() if kind == "KEYS_ONLY"),
        )

    def current(self, key: Key) -> Item:
        versions = self.items[key.hash].get(key)
        return versions[-1].item if versions else {}

    def everything(self) -> Iterator[Item]:
        """Every item as it is now."""
        for partition in self.items.values():
            for versions in partition.values():
                if versions[-1].item:
                    yield versions[-1].item


class DynamoDB:
    """The service. `now` is a clock in milliseconds; `age` says how old a state the next eventually
    consistent look at an item sees, at most `memory`; `watch` sees every change, `stale` each old
    look."""

    def __init__(
        self,
        now: Callable[[], float] = lambda: 0.0,
        age: Callable[[], float] = lambda: 0.0,
        memory: float = 0.0,
        page: int = PAGE,
    ) -> None:
        self.tables: dict[str, Table] = {}
        self.watch: Callable[[Change], None] = lambda change: None
        self.stale: Callable[[], None] = lambda: None
        self._now = now
        self._age = age
        self._memory = memory
        self._page = page
        self._tokens: dict[str, tuple[float, Params]] = {}
        self._operations: dict[str, Callable[[Params], Params]] = {
            "CreateTable": self._create_table,
            "DeleteTable": self._delete_table,
            "DescribeTable": self._describe_table,
            "PutItem": self._put,
            "DeleteItem": self._delete,
            "UpdateItem": self._update,
            "GetItem": self._get,
            "Query": self._query,
            "Scan": self._scan,
            "BatchGetItem": self._batch_get,
            "BatchWriteItem": self._batch_write,
            "TransactWriteItems": self._transact_write,
        }

    def call(self, operation: str, params: Params) -> Params:
        """Carries out one operation. Raises Refused, and NotEmulated for what it does not know."""
        if operation not in self._operations:
            raise NotEmulated(f"dynamodb {operation}")
        return self._operations[operation](params)

    def table(self, name: str) -> Table:
        if name not in self.tables:
            raise Refused("ResourceNotFoundException", "Requested resource not found")
        return self.tables[name]

    # ---- Tables -------------------------------------------------------------------------------

    def _create_table(self, params: Params) -> Params:
        only(
            params,
            "TableName",
            "AttributeDefinitions",
            "KeySchema",
            "GlobalSecondaryIndexes",
            "BillingMode",
            "StreamSpecification",
        )
        name = params["TableName"]
        table = self.tables[name] = Table.declared(name, params)
        return {"TableDescription": {"TableName": name, "TableStatus": "ACTIVE", **_stream(table)}}

    def _delete_table(self, params: Params) -> Params:
        self.table(params["TableName"])
        del self.tables[params["TableName"]]
        return {}

    def _describe_table(self, params: Params) -> Params:
        only(params, "TableName")
        table = self.table(params["TableName"])
        indexes = [
            {
                "IndexName": name,
                "KeySchema": keys.schema,
                "Projection": {"ProjectionType": "KEYS_ONLY" if name in table.bare else "ALL"},
            }
            for name, keys in table.indexes.items()
        ]
        described = {
            "TableName": table.name,
            "TableStatus": "ACTIVE",
            "KeySchema": table.keys.schema,
            "GlobalSecondaryIndexes": indexes,
        }
        return {"Table": {**described, **_stream(table)}}

    # ---- Writes -------------------------------------------------------------------------------

    def _put(self, params: Params) -> Params:
        only(params, "Item", *_CONDITIONAL)
        table = self.table(params["TableName"])
        self._check_item(table, params["Item"])
        key = table.keys.of(params["Item"])
        self._check_condition(params, table.current(key))
        self._write(table, key, params["Item"])
        return {}

    def _delete(self, params: Params) -> Params:
        only(params, "Key", *_CONDITIONAL)
        table = self.table(params["TableName"])
        key = self._key(table, params["Key"])
        self._check_condition(params, table.current(key))
        self._write(table, key, {})
        return {}

    def _update(self, params: Params) -> Params:
        only(params, "Key", "UpdateExpression", "ReturnValues", *_CONDITIONAL)
        table, expression = self.table(params["TableName"]), params["UpdateExpression"]
        key, placeholders = self._key(table, params["Key"]), Placeholders.of(params)
        old = table.current(key)
        self._check_condition(params, old, expression)
        item = updated(expression, old or params["Key"], placeholders)
        self._check_item(table, item)
        self._write(table, key, item)
        match params.get("ReturnValues", "NONE"):
            case "NONE":
                return {}
            case "ALL_OLD":
                return {"Attributes": dict(old)} if old else {}
            case "UPDATED_NEW":
                changed = assigned(expression, placeholders)
                return {"Attributes": {name: item[name] for name in changed if name in item}}
            case other:
                raise NotEmulated(f"ReturnValues={other}")

    def _check_condition(self, params: Params, old: Item, update: str | None = None) -> None:
        condition, placeholders = params.get("ConditionExpression"), Placeholders.of(params)
        placeholders.check(condition, update)
        if holds(condition, old, placeholders):
            return
        wanted = params.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
        body: Params = {"Item": old} if wanted and old else {}
        message = "The conditional request failed"
        raise Refused("ConditionalCheckFailedException", message, **body)

    def _batch_write(self, params: Params) -> Params:
        only(params, "RequestItems")
        writes = [
            (self.table(name), kind, request)
            for name, entries in params["RequestItems"].items()
            for entry in entries
            for kind, request in entry.items()
        ]
        if not 1 <= len(writes) <= MAX_BATCH_WRITE:
            raise invalid(f"a batch takes 1 to {MAX_BATCH_WRITE} requests")
        planned = []
        for table, kind, request in writes:
            if kind == "PutRequest":
                self._check_item(table, request["Item"])
                planned.append((table, table.keys.of(request["Item"]), request["Item"]))
            else:
                planned.append((table, self._key(table, request["Key"]), {}))
        if len({(table.name, key) for table, key, _ in planned}) < len(planned):
            raise invalid("Provided list of item keys contains duplicates")
        for table, key, item in planned:
            self._write(table, key, item)
        return {"UnprocessedItems": {}}

    def _transact_write(self, params: Params) -> Params:
        only(params, "TransactItems", "ClientRequestToken")
        token = params.get("ClientRequestToken", "")
        since, former = self._tokens.get(token, (-FOREVER, {}))
        if self._now() - since < TOKEN_MS:
            if former != params:
                raise Refused("IdempotentParameterMismatchException", "The content differs")
            return {}
        members = [next(iter(entry.items())) for entry in params["TransactItems"]]
        if not 1 <= len(members) <= MAX_TRANSACTION:
            raise invalid(f"a transaction takes 1 to {MAX_TRANSACTION} items")
        planned = [self._planned(kind, member) for kind, member in members]
        if len({(table.name, key) for table, key, _ in planned}) < len(planned):
            raise invalid("Transaction request cannot include multiple operations on one item")
        reasons = [
            self._reason(member, table.current(key))
            for (_, member), (table, key, _) in zip(members, planned, strict=True)
        ]
        if any(reason["Code"] != "None" for reason in reasons):
            codes = ", ".join(reason["Code"] for reason in reasons)
            message = f"Transaction cancelled, please refer cancellation reasons [{codes}]"
            raise Refused("TransactionCanceledException", message, CancellationReasons=reasons)
        for table, key, item in planned:
            if item is not None:
                self._write(table, key, item)
        if token:
            self._tokens[token] = (self._now(), params)
        return {}

    def _planned(self, kind: str, member: Params) -> tuple[Table, Key, Item | None]:
        table = self.table(member["TableName"])
        match kind:
            case "Put":
                only(member, "Item", *_CONDITIONAL)
                self._check_item(table, member["Item"])
                return table, table.keys.of(member["Item"]), member["Item"]
            case "Delete":
                only(member, "Key", *_CONDITIONAL)
                return table, self._key(table, member["Key"]), {}
            case "Update":
                only(member, "Key", "UpdateExpression", *_CONDITIONAL)
                key = self._key(table, member["Key"])
                # What is refused is looked at before it is written.
                old, placeholders = table.current(key), Placeholders.of(member)
                if not holds(member.get("ConditionExpression"), old, placeholders):
                    return table, key, None
                item = updated(member["UpdateExpression"], old or member["Key"], placeholders)
                self._check_item(table, item)
                return table, key, item
            case "ConditionCheck":
                only(member, "Key", *_CONDITIONAL)
                return table, self._key(table, member["Key"]), None
        raise NotEmulated(f"{kind} in a transaction")

    def _reason(self, member: Params, old: Item) -> Params:
        try:
            self._check_condition(member, old, member.get("UpdateExpression"))
        except Refused as refusal:
            if refusal.code != "ConditionalCheckFailedException":
                raise
            return {"Code": "ConditionalCheckFailed", "Message": refusal.message, **refusal.body}
        return {"Code": "None"}

    def _write(self, table: Table, key: Key, item: Item) -> None:
        old = table.current(key)
        if item == old:
            return  # A write that changes nothing leaves no stream record.
        versions = table.items[key.hash].setdefault(key, [])
        versions.append(Version(self._now(), item, item_size(item)))
        while len(versions) > 1 and versions[1].since <= self._now() - self._memory:
            versions.pop(0)
        if len(versions) == 1 and not item:
            del table.items[key.hash][key]
        self.watch(Change(table.name, old, item))

    def _check_item(self, table: Table, item: Item) -> None:
        for name, kind in table.keys.types.items():
            _check_key(name, kind, item, needed=True)
        for index in table.indexes.values():
            for name, kind in index.types.items():
                _check_key(name, kind, item, needed=False)
        if item_size(item) > MAX_ITEM:
            raise invalid("Item size has exceeded the maximum allowed size")

    def _key(self, table: Table, given: Item) -> Key:
        if given.keys() != table.keys.types.keys():
            raise invalid("The provided key element does not match the schema")
        for name, kind in table.keys.types.items():
            _check_key(name, kind, given, needed=True)
        return table.keys.of(given)

    # ---- Reads --------------------------------------------------------------------------------

    def _get(self, params: Params) -> Params:
        only(params, "TableName", "Key", *_SELECTING)
        table = self.table(params["TableName"])
        key, placeholders = self._key(table, params["Key"]), Placeholders.of(params)
        placeholders.check(params.get("ProjectionExpression"))
        found = self._seen(table, key, params).item
        return {"Item": _projected(params, found)} if found else {}

    def _batch_get(self, params: Params) -> Params:
        only(params, "RequestItems")
        requests = params["RequestItems"]
        if not 1 <= sum(len(request["Keys"]) for request in requests.values()) <= MAX_BATCH_GET:
            raise invalid(f"a batch takes 1 to {MAX_BATCH_GET} keys")
        responses: dict[str, list[Item]] = {}
        for name, request in requests.items():
            only(request, "Keys", *_SELECTING)
            table = self.table(name)
            keys = [self._key(table, key) for key in request["Keys"]]
            if len(set(keys)) < len(keys):
                raise invalid("Provided list of item keys contains duplicates")
            found = (self._seen(table, key, request).item for key in keys)
            responses[name] = [_projected(request, item) for item in found if item]
        return {"Responses": responses, "UnprocessedKeys": {}}

    def _query(self, params: Params) -> Params:
        only(params, "KeyConditionExpression", "ScanIndexForward", "IndexName", *_PAGED)
        table, condition = self.table(params["TableName"]), params["KeyConditionExpression"]
        index = params.get("IndexName")
        if index is not None and index not in table.indexes:
            raise invalid(f"The table does not have the specified index: {index}")
        if index is not None and params.get("ConsistentRead"):
            raise invalid("Consistent reads are not supported on global secondary indexes")
        keys = table.keys if index is None else table.indexes[index]
        placeholders = Placeholders.of(params)
        match = _KEY_CONDITION.fullmatch(condition)
        if match is None:
            raise NotEmulated(f"key condition {condition!r}")
        if placeholders.names.get(match[1], match[1]) != keys.hash:
            raise invalid(f"Query condition missed key schema element: {keys.hash}")
        seen, wanted = [], placeholders.values[match[2]]
        for key in self._candidates(table, index, wanted):
            version = self._seen(table, key, params)
            # The hash key first: to an index, every item of the table is a candidate.
            if (
                version.item.get(keys.hash) == wanted
                and keys.types.keys() <= version.item.keys()
                and holds(condition, version.item, placeholders)
            ):
                place = tuple(key[1:]) if index is None else (*keys.of(version.item)[1:], *key)
                seen.append(Seen(place, version.item, version.size))
        backward = not params.get("ScanIndexForward", True)
        cut = Keys({**keys.types, **table.keys.types})
        if index in table.bare:
            seen = [Seen(s.place, kept := cut.cut(s.item), item_size(kept)) for s in seen]

        def order(start: Item) -> tuple[Any, ...]:
            own = table.keys.of(start)
            return tuple(own[1:]) if index is None else (*keys.of(start)[1:], *own)

        return self._paged(params, seen, order, backward, cut)

    def _candidates(self, table: Table, index: str | None, wanted: Mapping[str, Any]) -> list[Key]:
        if index is None:
            return list(table.items[scalar(wanted)])
        return [key for partition in table.items.values() for key in partition]

    def _scan(self, params: Params) -> Params:
        only(params, *_PAGED)
        table = self.table(params["TableName"])

        def place(key: Key) -> tuple[Any, ...]:
            return (zlib.crc32(str(key.hash).encode()), *key)

        seen = []
        for partition in list(table.items.values()):
            for key in partition:
                version = self._seen(table, key, params)
                if version.item:
                    seen.append(Seen(place(key), version.item, version.size))
        return self._paged(
            params, seen, lambda start: place(table.keys.of(start)), False, table.keys
        )

    def _paged(
        self,
        params: Params,
        seen: list[Seen],
        order: Callable[[Item], tuple[Any, ...]],
        backward: bool,
        cut: Keys,
    ) -> Params:
        placeholders, wanted = Placeholders.of(params), params.get("FilterExpression")
        placeholders.check(
            params.get("KeyConditionExpression"), wanted, params.get("ProjectionExpression")
        )
        seen.sort(key=lambda each: each.place, reverse=backward)
        if (start := params.get("ExclusiveStartKey")) is not None:
            if start.keys() != cut.types.keys():
                raise invalid("The provided starting key is invalid")
            place = order(start)
            seen = [s for s in seen if (s.place < place if backward else s.place > place)]
        limit, size, taken = params.get("Limit", FOREVER), 0, 0
        for each in seen:
            size += each.size
            if taken == limit or (taken and size > self._page):
                break
            taken += 1
        page = [each.item for each in seen[:taken]]
        shown = [_projected(params, item) for item in page if holds(wanted, item, placeholders)]
        answer: Params = {"Items": shown, "Count": len(shown), "ScannedCount": taken}
        # A page that its limit ends tells where, even if nothing follows.
        if taken and (taken < len(seen) or taken == limit):
            answer["LastEvaluatedKey"] = cut.cut(page[-1])
        return answer

    def _seen(self, table: Table, key: Key, params: Params) -> Version:
        """An item as this read sees it: now, or as it was some time ago."""
        versions = table.items[key.hash].get(key)
        if not versions:
            return NOTHING
        if params.get("ConsistentRead") or not self._memory:
            return versions[-1]
        moment = self._now() - self._age()
        if versions[-1].since > moment:
            self.stale()
        return next((each for each in reversed(versions) if each.since <= moment), NOTHING)


def stream_arn(table: str) -> str:
    """The ARN of a table's stream."""
    return f"arn:aws:dynamodb:us-east-1:123456789012:table/{table}/stream/2026-11-01T00:00:00.000"


def _stream(table: Table) -> Params:
    return {"LatestStreamArn": stream_arn(table.name)} if table.streamed else {}


def _check_key(name: str, kind: str, item: Mapping[str, Any], *, needed: bool) -> None:
    if name not in item:
        if needed:
            raise invalid(f"Missing the key {name} in the item")
        return
    [(given, content)] = item[name].items()
    if given != kind:
        raise invalid(f"Type mismatch for key {name}: expected {kind}, actual {given}")
    if content in ("", b""):
        raise invalid(f"The attribute value of key {name} cannot be empty")


def _projected(params: Params, item: Item) -> Item:
    expression = params.get("ProjectionExpression")
    if expression is None:
        return dict(item)
    wanted = attributes(expression, Placeholders.of(params))
    return {name: item[name] for name in wanted if name in item}


_CONDITIONAL = (
    "TableName",
    "ConditionExpression",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "ReturnValuesOnConditionCheckFailure",
)
_SELECTING = ("ProjectionExpression", "ExpressionAttributeNames", "ConsistentRead")
_PAGED = (
    "TableName",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "FilterExpression",
    "ProjectionExpression",
    "ConsistentRead",
    "Limit",
    "ExclusiveStartKey",
)
