"""An event table and a view table in the cloud in memory, for what the kernel does to tables."""

from __future__ import annotations

from typing import Any

from functions.kernel.dynamo import DynamoStore
from functions.kernel.views import ViewTable
from tests.support.cloud.dynamodb import Change, DynamoDB, Item
from tests.support.cloud.sdk import fast_client
from tests.support.faults import Crash

EVENTS, VIEWS = "events", "views"


class Cloud:
    """Both tables, their changes, and the last `calls`; dies before the call that `dies_at` counts
    to."""

    def __init__(self, page: int = 1024 * 1024) -> None:
        self.dynamodb = DynamoDB(page=page)
        self.client = fast_client("dynamodb", self._send, lambda seconds: None, float)
        self.calls: list[str] = []
        self.changes: list[Change] = []
        self.dies_at: int | None = None
        _make(self.client, EVENTS, {"pk": "S", "sk": "N"}, {})
        index = {"due": {"lane": "S", "due": "N"}}
        _make(self.client, VIEWS, {"pk": "S"}, index)
        self.store = DynamoStore(self.client, EVENTS)
        self.views = ViewTable(self.client, VIEWS)
        self.dynamodb.watch = self.changes.append
        self.calls.clear()

    def items(self, table: str) -> list[Item]:
        """Everything in a table."""
        return list(self.dynamodb.tables[table].everything())

    def places(self) -> list[int]:
        """Where the event table has commits."""
        return sorted(int(item["sk"]["N"]) for item in self.items(EVENTS))

    def _send(self, service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        if self.dies_at == len(self.calls):
            self.dies_at = None
            raise Crash(operation)
        self.calls.append(operation)
        return self.dynamodb.call(operation, params)


def _make(client: Any, name: str, keys: dict[str, str], indexes: dict[str, dict[str, str]]) -> None:
    types = {
        **keys,
        **{attribute: t for index in indexes.values() for attribute, t in index.items()},
    }
    described = {
        "GlobalSecondaryIndexes": [
            {
                "IndexName": index,
                "KeySchema": _schema(attributes),
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
            for index, attributes in indexes.items()
        ]
    }
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": attribute, "AttributeType": t} for attribute, t in types.items()
        ],
        KeySchema=_schema(keys),
        **(described if indexes else {}),
    )


def _schema(attributes: dict[str, str]) -> list[dict[str, str]]:
    kinds = zip(attributes, ("HASH", "RANGE"), strict=False)
    return [{"AttributeName": name, "KeyType": kind} for name, kind in kinds]
