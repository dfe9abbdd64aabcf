"""How much of something is used up: clicks of a capped link, attempts at a password.

Counters beside the log, not in it: they would make a link's stream unbounded and hot. One
conditional update takes a unit; an update whose answer is lost counts twice, so that a quota may
end early and never late.
"""

from __future__ import annotations

from typing import Any

REMEMBERED = 10_000
"""Used-up quotas that a container remembers, to answer for without a call."""


def clicks_key(stream: str, created_at: int) -> str:
    """The counter of a link's clicks. A code that is given out anew, later, begins anew."""
    return f"clicks#{stream}#{created_at}"


class Quotas:
    """The counters of one table."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table
        self._spent: dict[str, int] = {}

    def take(self, key: str, most: int, gone_at: int | None = None) -> bool:
        """Takes one of `most` units, or says that there is none left.

        `gone_at`, in epoch seconds, is when the counter may be forgotten.
        """
        if self._spent.get(key, 0) >= most:
            return False
        values = {":one": {"N": "1"}, ":most": {"N": str(most)}}
        expression = "ADD used :one"
        if gone_at is not None:
            values[":gone_at"] = {"N": str(gone_at)}
            expression += " SET gone_at = :gone_at"
        try:
            self._client.update_item(
                TableName=self._table,
                Key={"pk": {"S": key}},
                UpdateExpression=expression,
                ConditionExpression="attribute_not_exists(used) OR used < :most",
                ExpressionAttributeValues=values,
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            self._remember(key, most)
            return False
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
