"""What calls to the cloud in memory cost, told as they happen.

tests/support/capacity.py asks a backend for every item once more; here the sizes are at hand, and a
million calls can be billed. The rules are the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from tests.support.cloud.dynamodb import DynamoDB, Item, Keys, Params, Seen, Table, Version
from tests.support.cloud.errors import Refused
from tests.support.item_size import Consistency, read_units, write_units

WRITES = {"PutItem", "UpdateItem", "DeleteItem"}


class MeteredDynamoDB(DynamoDB):
    """The service, and a counter of `rcu`, `wcu` and calls by operation. Indexes and transactions
    are not billed: a call that needs them raises NotImplementedError."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.bill: defaultdict[str, float] = defaultdict(float)
        self._sizes: list[int] = []
        self._page_size = 0

    def call(self, operation: str, params: Params) -> Params:
        """Carries out one operation and bills it."""
        self.bill[operation] += 1
        if operation in WRITES:
            return self._billed_write(operation, params)
        if operation == "BatchWriteItem":
            return self._billed_deletions(params)
        self._sizes.clear()
        answer = super().call(operation, params)
        self.bill["rcu"] += self._units(operation, params)
        return answer

    def _units(self, operation: str, params: Params) -> float:
        match operation:
            case "GetItem":
                return sum(read_units(size, _consistency(params)) for size in self._sizes)
            case "BatchGetItem":
                [request] = params["RequestItems"].values()
                return sum(read_units(size, _consistency(request)) for size in self._sizes)
            case "Query" | "Scan":
                return read_units(self._page_size, _consistency(params))
        raise NotImplementedError(f"no units for {operation}")

    def _billed_write(self, operation: str, params: Params) -> Params:
        table = self.table(params["TableName"])
        if table.indexes:
            raise NotImplementedError("no units for indexes")
        key = table.keys.of(params.get("Item") or params["Key"])
        before = _size(table, key)
        try:
            answer = super().call(operation, params)
        except Refused:
            self.bill["wcu"] += write_units(before)
            raise
        self.bill["wcu"] += write_units(max(before, _size(table, key)))
        return answer

    def _billed_deletions(self, params: Params) -> Params:
        [(name, requests)] = params["RequestItems"].items()
        table = self.table(name)
        for request in requests:
            key = table.keys.of(request["DeleteRequest"]["Key"])
            self.bill["wcu"] += write_units(_size(table, key))
        return super().call("BatchWriteItem", params)

    def _seen(self, table: Table, key: Any, params: Params) -> Version:
        version = super()._seen(table, key, params)
        self._sizes.append(version.size)
        return version

    def _paged(
        self,
        params: Params,
        seen: list[Seen],
        order: Callable[[Item], tuple[Any, ...]],
        backward: bool,
        cut: Keys,
    ) -> Params:
        answer = super()._paged(params, seen, order, backward, cut)
        # By now `seen` is in order; a page begins after the key that it was asked to start from.
        if (start := params.get("ExclusiveStartKey")) is not None:
            place = order(start)
            seen = [s for s in seen if (s.place < place if backward else s.place > place)]
        self._page_size = sum(each.size for each in seen[: answer["ScannedCount"]])
        return answer


def _size(table: Table, key: Any) -> int:
    versions = table.items[key.hash].get(key)
    return versions[-1].size if versions else 0


def _consistency(params: Params) -> Consistency:
    return "strong" if params.get("ConsistentRead") else "eventual"
