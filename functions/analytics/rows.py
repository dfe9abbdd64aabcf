"""Rows and top lists in the table of rollups, each written only over what was read.

A row stands under `row#<site>#<rollup>#<value>` at its day: `c` cells, `u` visitors, `e` epoch, `v`
version. The values of a rollup that have the most events stand under `top#<site>#<rollup>` at
their day: `b` their numbers, `v` version. A day is of UTC moved by the site's phase.
"""

from __future__ import annotations

import json
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import Any, NamedTuple, TypeVar

from functions.analytics.cells import (
    NOTHING,
    Cell,
    Row,
    counted,
    decode_cells,
    encode_cells,
)
from functions.analytics.decider import Definition
from functions.analytics.facts import day_of
from functions.analytics.hours import DAY_S
from functions.analytics.rollups import ALL, TOTAL, Tallies, Tally, Value
from functions.kernel.backoff import DEFAULT, Backoff
from functions.kernel.errors import Conflict

BATCH_GET = 100
"""BatchGetItem takes at most this many keys (DynamoDB API reference)."""
MAX_LISTED = 1000
"""Values of a rollup's top list."""
MAX_LIST = 300_000
"""Bytes of a list's values, so that it fits into an item of 400 KB."""

Key = tuple[str, str]
T = TypeVar("T")


class Entry(NamedTuple):
    """A listed value's day, and the version of the row that says so."""

    events: int
    pageviews: int
    visitors: int
    version: int


Entries = Mapping[str, Entry]


class Top(NamedTuple):
    """A rollup's top list; `version` counts the times it was written."""

    entries: Entries
    version: int = 0


class Rows:
    """The table of rollups as far as it holds rows and top lists."""

    def __init__(self, client: Any, table: str, backoff: Backoff = DEFAULT) -> None:
        self._client = client
        self._table = table
        self._backoff = backoff

    # ---- Writing ------------------------------------------------------------------------------

    def count(self, site: Definition, hour: int, version: int, tallies: Tallies, late: bool) -> int:
        """Brings every row and top list up to an hour as tallied at that version, the total last:
        that it was counted says that all was that came with it. Gives how many rows changed.
        Raises Conflict if others keep writing the same ones."""
        day, place = day_of(hour), hour % 24
        until = gone_at(day, site.retention_days)
        rollups = dict.fromkeys(rollup for rollup, _ in tallies if rollup != ALL)
        keys = {value: _row(site.id, value, day) for value in tallies}
        lists = {rollup: _top(site.id, rollup, day) for rollup in rollups}
        # What a replica has not heard of yet costs a conflict at most.
        items = self._batch_get([*keys.values(), *lists.values()])
        before = {value: _read_row(items.get(key)) for value, key in keys.items()}

        def write(value: Value) -> Row:
            return self._write(
                keys[value],
                before[value],
                _read_row,
                lambda row: counted(row, place, version, tallies[value], late),
                lambda row: _row_item(row, until),
            )

        rows = {value: write(value) for value in tallies if value != TOTAL}
        offers: defaultdict[str, dict[str, Entry]] = defaultdict(dict)
        for (rollup, value), row in rows.items():
            # Of those, too, that did not change: whoever wrote them may have died thereafter.
            offers[rollup][value] = Entry(*row.total, row.version)
        for rollup, key in lists.items():
            self._write(
                key,
                _read_top(items.get(key)),
                _read_top,
                lambda top, offered=offers[rollup]: listed(top, offered),  # type: ignore[misc]
                lambda top: _top_item(top, until),
            )
        rows |= {TOTAL: write(TOTAL)} if TOTAL in tallies else {}
        return sum(row.version != before[value].version for value, row in rows.items())

    def _write(
        self,
        key: Key,
        current: T,
        read: Callable[[Mapping[str, Any] | None], T],
        change: Callable[[T], T],
        item: Callable[[T], dict[str, Any]],
    ) -> T:
        """Puts what `change` makes of the current content, read again as often as another writer
        was faster. Gives what stands there now."""
        for _ in self._backoff.tries():
            changed = change(current)
            if changed is current:
                return current
            content = {**_wired(key), **item(changed)}
            if self._put(content, int(content["v"]["N"]) - 1):
                return changed
            answer = self._client.get_item(
                TableName=self._table, Key=_wired(key), ConsistentRead=True
            )
            current = read(answer.get("Item"))
        raise Conflict(key[0])

    def _put(self, item: Mapping[str, Any], version: int) -> bool:
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if version:
            condition = {
                "ConditionExpression": "v = :v",
                "ExpressionAttributeValues": {":v": {"N": str(version)}},
            }
        try:
            self._client.put_item(TableName=self._table, Item=item, **condition)
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _batch_get(self, keys: list[Key]) -> dict[Key, dict[str, Any]]:
        found = {}
        for start in range(0, len(keys), BATCH_GET):
            wanted = [_wired(key) for key in keys[start : start + BATCH_GET]]
            for item in self._batch(wanted):
                found[item["pk"]["S"], item["sk"]["S"]] = item
        return found

    def _batch(self, keys: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for _ in self._backoff.tries():
            answer = self._client.batch_get_item(RequestItems={self._table: {"Keys": keys}})
            yield from answer["Responses"].get(self._table, [])
            keys = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
            if not keys:
                return
        raise Conflict(f"{self._table} takes no more reads")

    # ---- Reading ------------------------------------------------------------------------------

    def days(self, site: str, value: Value, first: str, last: str) -> dict[str, Row]:
        """One query: a value's rows of the days from `first` to `last`, which is included."""
        pk = _row(site, value, "")[0]
        return {item["sk"]["S"]: _read_row(item) for item in self._between(pk, first, last)}

    def tops(self, site: str, rollup: str, first: str, last: str) -> dict[str, Entries]:
        """One query: a rollup's top lists of those days, without values that count no more."""
        pk = _top(site, rollup, "")[0]
        items = self._between(pk, first, last)
        return {
            item["sk"]["S"]: {
                value: entry for value, entry in _read_top(item).entries.items() if entry.events
            }
            for item in items
        }

    def total(self, site: str, hour: int) -> Cell:
        """One read: all that was counted of an hour."""
        rows = self.day(site, [TOTAL], day_of(hour))
        return rows.get(TOTAL, Row()).cells.get(hour % 24, NOTHING)

    def vanished(self, site: Definition, hour: int, tallies: Tallies) -> Tallies:
        """The listed values that were counted in an hour and are no more, each as nothing. A
        hundred of those that are not tallied are one read."""
        day, place = day_of(hour), hour % 24
        lists = {_top(site.id, rollup, day): rollup for rollup in site.rollups if rollup != ALL}
        values = (
            (lists[key], value)
            for key, item in self._batch_get(list(lists)).items()
            for value in _read_top(item).entries
        )
        rows = self.day(site.id, (value for value in values if value not in tallies), day)
        return {
            value: Tally() for value, row in rows.items() if any(row.cells.get(place, NOTHING)[1:4])
        }

    def day(self, site: str, values: Iterable[Value], day: str) -> dict[Value, Row]:
        """A hundred values' rows of a day are one call."""
        keys = {_row(site, value, day): value for value in values}
        found = self._batch_get(list(keys))
        return {keys[key]: _read_row(item) for key, item in found.items()}

    def _between(self, pk: str, first: str, last: str) -> Iterator[dict[str, Any]]:
        page: dict[str, Any] = {}
        while True:
            answer = self._client.query(
                TableName=self._table,
                KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
                ExpressionAttributeValues={
                    ":pk": {"S": pk},
                    ":first": {"S": first},
                    ":last": {"S": last},
                },
                **page,
            )
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


def listed(top: Top, offered: Entries) -> Top:
    """The list with those of the offered values that belong on it, each as its newest row says;
    the same list if nothing changes.

    A value's events only grow, and with each its row is offered: so the list is that of all values
    that ever were, in whatever order they came. (But for a new epoch, in which numbers may fall:
    who then left the list is offered again by the hours of that day.)
    """
    entries = dict(top.entries)
    for value, entry in offered.items():
        if value not in entries or entries[value].version < entry.version:
            entries[value] = entry
    kept = dict(_most(entries))
    return top if kept == dict(top.entries) else Top(kept, top.version + 1)


def _most(entries: Entries) -> Iterator[tuple[str, Entry]]:
    size = 0
    ranked = sorted(entries.items(), key=lambda pair: (-pair[1].events, pair[0]))
    for value, entry in ranked[:MAX_LISTED]:
        size += len(value.encode()) + 30
        if size > MAX_LIST:
            return
        yield value, entry


def _row(site: str, value: Value, day: str) -> Key:
    return f"row#{site}#{value[0]}#{value[1]}", day


def _top(site: str, rollup: str, day: str) -> Key:
    return f"top#{site}#{rollup}", day


def _wired(key: Key) -> dict[str, Any]:
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


def gone_at(day: str, retention_days: int) -> int:
    """When a day's rows go, in epoch seconds: when the last of its facts do."""
    return ((date.fromisoformat(day) - date(1970, 1, 1)).days + retention_days + 1) * DAY_S


def _row_item(row: Row, gone_at: int) -> dict[str, Any]:
    item = {
        "c": {"B": encode_cells(row.cells)},
        "u": {"B": row.visitors},
        "v": {"N": str(row.version)},
        "gone_at": {"N": str(gone_at)},
    }
    if row.epoch:
        item["e"] = {"N": str(row.epoch)}
    return item


def _read_row(item: Mapping[str, Any] | None) -> Row:
    if item is None:
        return Row()
    return Row(
        decode_cells(item["c"]["B"]),
        item["u"]["B"],
        int(item["e"]["N"]) if "e" in item else 0,
        int(item["v"]["N"]),
    )


def _top_item(top: Top, gone_at: int) -> dict[str, Any]:
    text = json.dumps(top.entries, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    return {
        "b": {"B": zlib.compress(text.encode())},
        "v": {"N": str(top.version)},
        "gone_at": {"N": str(gone_at)},
    }


def _read_top(item: Mapping[str, Any] | None) -> Top:
    if item is None:
        return Top({})
    entries = json.loads(zlib.decompress(item["b"]["B"]))
    version = int(item["v"]["N"])
    return Top({value: Entry(*numbers) for value, numbers in entries.items()}, version)
