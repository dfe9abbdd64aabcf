"""A table of buckets in the cloud in memory, where other containers come in between calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ReadTimeoutError

from functions.edge.limits.buckets import Buckets
from tests.support.cloud.dynamodb import DynamoDB, Keys
from tests.support.cloud.dynamodb import Table as Declared
from tests.support.cloud.errors import Refused
from tests.support.cloud.sdk import fast_client
from tests.support.interleave import pause

NAME = "buckets"


class Table:
    """The table; `calls` counts what was asked of it, `writes` the updates of that. `rival` is
    called before each write that no rival makes; the next `conflicts` updates meet a transaction,
    the next `losses` are carried out and not answered; `failure` is what every call meets. A call
    of its `client` is sent once."""

    def __init__(self, backend: Callable[[], DynamoDB] = DynamoDB) -> None:
        self._make = backend
        self.client = fast_client("dynamodb", self._send, lambda _: None, lambda: 0.5, 1)
        self.clear()

    def clear(self) -> None:
        """As new; a client takes longer to make than all that a test does with it."""
        self._backend, self.calls, self.writes = self._make(), 0, 0
        self.rival: Callable[[], object] | None = None
        self.conflicts = self.losses = 0
        self.failure: Exception | None = None
        self._backend.tables[NAME] = Declared(NAME, Keys({"pk": "S"}), {})

    def container(self) -> Buckets:
        """A container that knows nothing yet."""
        return Buckets(lambda deadline_ms: self.client, NAME)

    def item(self, key: str) -> dict[str, Any]:
        """What is kept of an identity."""
        answer = self.client.get_item(TableName=NAME, Key={"pk": {"S": key}})
        self.calls -= 1
        item: dict[str, Any] = answer["Item"]
        return item

    def items(self) -> list[dict[str, Any]]:
        """All that is kept."""
        answer = self.client.scan(TableName=NAME)
        self.calls -= 1
        items: list[dict[str, Any]] = answer["Items"]
        return items

    def forget(self, key: str) -> None:
        """Lets an item go, as its time to live does."""
        self.client.delete_item(TableName=NAME, Key={"pk": {"S": key}})
        self.calls -= 1

    def _send(self, service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        pause()
        self.calls += 1
        self.writes += operation == "UpdateItem"
        if self.failure is not None:
            raise self.failure
        if operation == "UpdateItem" and self.conflicts:
            self.conflicts -= 1
            raise Refused("TransactionConflictException", "A transaction is under way")
        if operation in ("UpdateItem", "TransactWriteItems") and self.rival:
            rival, self.rival = self.rival, None
            rival()
            self.rival = rival
        answer = self._backend.call(operation, params)
        if operation == "UpdateItem" and self.losses:
            self.losses -= 1
            raise ReadTimeoutError(endpoint_url="table")
        return answer
