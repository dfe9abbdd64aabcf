"""Salts of visitors' ids: one for all sites in each period, deleted when it is over.

Item: `pk` the period, `salt` 32 bytes, `gone_at` epoch seconds. The table has no backup, so that
what is deleted is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from functions.analytics.visitors import Identity, Period, period_at

SALT_BYTES = 32
GRACE_MS = 3_600_000
"""How long a salt outlives its period: for containers whose clocks differ, and late clicks."""


class Salts:
    """The salts that one container knows. `now` gives epoch ms, `entropy` random bytes."""

    def __init__(
        self, client: Any, table: str, now: Callable[[], int], entropy: Callable[[int], bytes]
    ) -> None:
        self._client = client
        self._table = table
        self._now = now
        self._entropy = entropy
        self._known: dict[Period, bytes] = {}

    def at(self, identity: Identity, at: int) -> bytes | None:
        """The salt of the period that a time in epoch ms is in, made if nobody had one yet; None
        if the period is over, and its salt deleted."""
        period = period_at(identity, at)
        gone = [each for each in self._known if self._over(each)]
        for each in gone:
            del self._known[each]
        if self._over(period):
            return None
        if period not in self._known:
            self._known[period] = self._read(period) or self._make(period)
        return self._known[period]

    def _over(self, period: Period) -> bool:
        return period.end + GRACE_MS <= self._now()

    def _read(self, period: Period) -> bytes | None:
        answer = self._client.get_item(
            TableName=self._table, Key={"pk": {"S": period.name}}, ConsistentRead=True
        )
        return _salt(answer["Item"]) if "Item" in answer else None

    def _make(self, period: Period) -> bytes:
        """Puts a salt if there is none; of several containers at once all get the first one's."""
        salt = self._entropy(SALT_BYTES)
        try:
            self._client.put_item(
                TableName=self._table,
                Item={
                    "pk": {"S": period.name},
                    "salt": {"B": salt},
                    "gone_at": {"N": str((period.end + GRACE_MS) // 1000)},
                },
                ConditionExpression="attribute_not_exists(pk)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            return _salt(error.response["Item"])
        return salt


def delete_old(client: Any, table: str, now: int) -> int:
    """Deletes the salts whose time has come, and says how many. TTL alone may be days late."""
    deleted = 0
    page: dict[str, Any] = {}
    while True:
        answer = client.scan(TableName=table, ProjectionExpression="pk, gone_at", **page)
        for item in answer["Items"]:
            if int(item["gone_at"]["N"]) * 1000 <= now:
                client.delete_item(TableName=table, Key={"pk": item["pk"]})
                deleted += 1
        if "LastEvaluatedKey" not in answer:
            return deleted
        page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


def _salt(item: dict[str, Any]) -> bytes:
    salt: bytes = item["salt"]["B"]
    return salt
