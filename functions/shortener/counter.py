"""Codes that count: numbers from one item, a block at a time, each permuted under the secret.

No two containers get the same number, so no two codes of a length are equal, and nobody without
the key can tell the next one. What a container has not used when it ends is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from functions.shortener import codes
from functions.shortener.permutation import permuted

BLOCK = 1000
"""Numbers that one write unit takes."""
ITEM = "block#codes"
"""The one sequence, whatever the domain: a number never used twice tells one domain nothing of
another."""


class Counted:
    """This container's share of the sequence. `key` gives the permutation's key."""

    def __init__(self, client: Any, table: str, key: Callable[[], bytes]) -> None:
        self._client = client
        self._table = table
        self._key = key
        self._block: Iterator[int] = iter(())

    def code(self, length: int) -> str:
        """A code made of the next number; longer than `length` once the numbers are."""
        number = next(self._block, None)
        if number is None:
            self._block = self._take()
            number = next(self._block)
        length = max(length, len(codes.encode(number)))
        size = len(codes.ALPHABET) ** length
        return codes.encode(permuted(self._key(), number, size), length)

    def _take(self) -> Iterator[int]:
        # If the answer is lost, the SDK asks again and the first block is never used.
        answer = self._client.update_item(
            TableName=self._table,
            Key={"pk": {"S": ITEM}},
            UpdateExpression="ADD n :block",
            ExpressionAttributeValues={":block": {"N": str(BLOCK)}},
            ReturnValues="UPDATED_NEW",
        )
        end = int(answer["Attributes"]["n"]["N"])
        return iter(range(end - BLOCK, end))
