"""How much of something is used up: clicks of a capped link, attempts at a password.

Counters beside the log, not in it: they would make a link's stream unbounded and hot. One
conditional update takes a unit. The counter keeps who took the last one: where an answer is slow or
lost and the SDK repeats the update, it meets its own unit and takes no other, unless somebody else
came between. So a quota may end early and never late.

That is why the redirect's hurried client is good enough. A patient one would hold up the visitor
for seconds, cost a cold start a second client, and still count a lost answer twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

CONDITION = "attribute_not_exists(used) OR used < :most AND NOT taker = :taker"
TAKER_BYTES = 8
"""No two takers of one counter are alike: 2^64 of them, and only the last one counts."""
REMEMBERED = 10_000
"""Used-up quotas that a container remembers, to answer for without a call."""


def clicks_key(stream: str, created_at: int) -> str:
    """The counter of a link's clicks. A code that is given out anew, later, begins anew."""
    return f"clicks#{stream}#{created_at}"


class Quotas:
    """The counters of one table. `entropy` gives so many random bytes."""

    def __init__(self, client: Any, table: str, entropy: Callable[[int], bytes]) -> None:
        self._client = client
        self._table = table
        self._entropy = entropy
        self._spent: dict[str, int] = {}

    def take(self, key: str, most: int, gone_at: int | None = None) -> bool:
        """Takes one of `most` units, or says that there is none left.

        `gone_at`, in epoch seconds, is when the counter may be forgotten.
        """
        if self._spent.get(key, 0) >= most:
            return False
        taker = {"B": self._entropy(TAKER_BYTES)}
        values = {":one": {"N": "1"}, ":most": {"N": str(most)}, ":taker": taker}
        expression = "ADD used :one SET taker = :taker"
        if gone_at is not None:
            values[":gone_at"] = {"N": str(gone_at)}
            expression += ", gone_at = :gone_at"
        try:
            self._client.update_item(
                TableName=self._table,
                Key={"pk": {"S": key}},
                UpdateExpression=expression,
                ConditionExpression=CONDITION,
                ExpressionAttributeValues=values,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            standing = error.response["Item"]
            if int(standing["used"]["N"]) >= most:
                self._remember(key, most)
            return bool(standing.get("taker") == taker)
        return True

    def left(self, key: str, most: int) -> bool:
        """Whether there is a unit left of `most`."""
        if self._spent.get(key, 0) >= most:
            return False
        answer = self._client.get_item(TableName=self._table, Key={"pk": {"S": key}})
        return int(answer.get("Item", {}).get("used", {"N": "0"})["N"]) < most

    def forget(self, key: str) -> None:
        """Deletes a counter."""
        self._client.delete_item(TableName=self._table, Key={"pk": {"S": key}})

    def _remember(self, key: str, most: int) -> None:
        # A counter never goes down, so what is used up of `most` stays so.
        if len(self._spent) >= REMEMBERED:
            self._spent.clear()
        self._spent[key] = most
