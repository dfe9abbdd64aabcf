"""Which hours of the bulk ledger have facts that were not compacted yet, in the table of rollups.

A mark stands under `compact#<lane>` at `<site>#<hour>`. Whoever writes facts puts it once all else
is written; whoever compacts takes it away before reading anything. So no fact goes unnoticed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from zlib import crc32

from functions.analytics.facts import MINUTE_MS

LANES = 16
"""Partitions of the marks, each good for 1,000 writes a second."""
SETTLED_MS = 10 * MINUTE_MS
"""An hour that ended so long ago has most of its facts."""


class Marks:
    """The table of rollups as far as it holds these marks."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def put(self, site: str, hour: int) -> None:
        """Marks an hour."""
        self._client.put_item(TableName=self._table, Item=_mark(site, hour))

    def remove(self, site: str, hour: int) -> None:
        """Takes the mark away."""
        self._client.delete_item(TableName=self._table, Key=_mark(site, hour))

    def settled(self, now: int) -> Iterator[tuple[str, int]]:
        """The sites and hours that are marked and ended SETTLED_MS ago, whatever their phase."""
        for lane in range(LANES):
            for item in self._items(lane):
                site, _, hour = item["sk"]["S"].rpartition("#")
                if (int(hour) + 1) * 60 * MINUTE_MS + SETTLED_MS <= now:
                    yield site, int(hour)

    def _items(self, lane: int) -> Iterator[dict[str, Any]]:
        page: dict[str, Any] = {}
        while True:
            answer = self._client.query(
                TableName=self._table,
                KeyConditionExpression="pk = :lane",
                ExpressionAttributeValues={":lane": {"S": f"compact#{lane}"}},
                **page,
            )
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


def _mark(site: str, hour: int) -> dict[str, Any]:
    name = f"{site}#{hour}"
    return {"pk": {"S": f"compact#{crc32(name.encode()) % LANES}"}, "sk": {"S": name}}
