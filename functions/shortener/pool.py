"""Codes made beforehand, handed out a batch at a time.

The pool is a fixed number of slots. An item `pool#<slot>` holds `n`, how often the slot was filled,
and `codes` while it is full. A claim takes `codes` away and leaves the item, so a filling that the
SDK repeats after the claim meets a newer `n` and is refused: no batch comes back. Slots are never
deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from functions.shortener import codes

BATCH = 100
"""Codes in a slot: with its key below 1 KB, so one write unit fills it and one empties it."""
PROBES = 8
"""Slots tried before the pool is taken to be empty; a slot found empty costs a write unit too."""
REFUSED = "ConditionalCheckFailedException"


class Pool:
    """The slots that hold `size` codes together; size is 100 to 10,000."""

    def __init__(self, client: Any, table: str, size: int, entropy: Callable[[int], bytes]) -> None:
        self._client = client
        self._table = table
        self._slots = size // BATCH
        self._entropy = entropy

    def claim(self) -> list[str]:
        """A batch that nobody else gets, ever; empty if no slot tried was full.

        What a claim takes and its caller never hears of is lost.
        """
        first = int.from_bytes(self._entropy(4))
        for step in range(min(PROBES, self._slots)):
            try:
                answer = self._client.update_item(
                    TableName=self._table,
                    Key=_key((first + step) % self._slots),
                    UpdateExpression="REMOVE codes",
                    ConditionExpression="attribute_exists(codes)",
                    ReturnValues="ALL_OLD",
                )
            except ClientError as error:
                if error.response["Error"]["Code"] != REFUSED:
                    raise
            else:
                batch: str = answer["Attributes"]["codes"]["S"]
                return batch.split()
        return []

    def fill(self) -> int:
        """Fills the slots that are empty, and tells how many codes that took.

        Repeats and racing runs do no harm: a slot is filled from one state of it at most once.
        """
        return BATCH * sum(self._put(slot, filled) for slot, filled in self._empty())

    def _empty(self) -> Iterator[tuple[int, int]]:
        """The slots that seem empty, each with how often it was filled."""
        answer = self._client.batch_get_item(
            RequestItems={self._table: {"Keys": [_key(slot) for slot in range(self._slots)]}}
        )
        found = {item["pk"]["S"]: item for item in answer["Responses"][self._table]}
        for slot in range(self._slots):
            # One that was not processed looks like one never filled: the put's condition tells.
            item = found.get(_name(slot), {"n": {"N": "0"}})
            if "codes" not in item:
                yield slot, int(item["n"]["N"])

    def _put(self, slot: int, filled: int) -> bool:
        batch = " ".join(codes.random(self._entropy) for _ in range(BATCH))
        try:
            self._client.put_item(
                TableName=self._table,
                Item={
                    **_key(slot),
                    "n": {"N": str(filled + 1)},
                    "codes": {"S": batch},
                },
                ConditionExpression="attribute_not_exists(pk) OR n = :filled",
                ExpressionAttributeValues={":filled": {"N": str(filled)}},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != REFUSED:
                raise
            return False
        return True


class Pooled:
    """This container's batch of the pool, and random codes where the pool has none.

    `report` hears `pool_empty` or `pool_down` once for each batch that the pool did not give.
    """

    def __init__(
        self, pool: Pool, entropy: Callable[[int], bytes], report: Callable[[str], None]
    ) -> None:
        self._pool = pool
        self._entropy = entropy
        self._report = report
        self._batch: list[str] = []

    def code(self, length: int) -> str:
        """A code that nobody else gets; one longer than those of the pool gets a random end."""
        if not self._batch:
            self._batch = self._claim() or [codes.random(self._entropy) for _ in range(BATCH)]
        code = self._batch.pop()
        return code + codes.random(self._entropy, length - len(code))

    def _claim(self) -> list[str]:
        try:
            batch = self._pool.claim()
        except (BotoCoreError, ClientError):
            self._report("pool_down")
            return []
        if not batch:
            self._report("pool_empty")
        return batch


def _name(slot: int) -> str:
    return f"pool#{slot}"


def _key(slot: int) -> dict[str, Any]:
    return {"pk": {"S": _name(slot)}}
