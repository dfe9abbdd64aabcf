"""Who was denied how often, by day: a row for each identity and rule, the sum of its samples.

Items of one table: of an identity's samples of a day the `pk` is the same; `sk` is `row`, or
`sample#<id>` of each that is in it already. A sample's mark is put if absent, in one transaction
with the row that it makes of the one that has `seen` one fewer: so a sample that comes twice, late
or out of order counts once, and costs the same however many came before.

Identities are personal data: everything goes `gone_at`, epoch seconds, a number of days after its
own. No event holds any of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from functions.edge.limits.rules import bucket
from functions.kernel.backoff import DEFAULT, Backoff
from functions.kernel.codec import to_json
from functions.kernel.errors import Conflict
from functions.ratelimiter.denials import Denial

Sort = Literal["last_at", "denied"]
INDEXES: Mapping[Sort, str] = {"last_at": "recent", "denied": "most"}
ROW, SAMPLE = "row", "sample#"
ROWS, QUERIES = 200, 5
"""How far a request looks that asks for some alone: so many queries of so many rows."""

Item = dict[str, Any]
Position = tuple[int, str]
"""Where a list goes on: what it is sorted by, and a row's `pk`."""


class Tally(NamedTuple):
    """What one rule denied one identity on one day; times in epoch ms, `method` and `endpoint` of
    the last. Nobody's name is known of samples that came by way of the log."""

    rule: str
    kind: str
    identity: str | None
    shadow: bool
    denied: int
    samples: int
    first_at: int
    last_at: int
    method: str
    endpoint: str | None


class Found(NamedTuple):
    """A page; `next` is the position to go on after, None at the end."""

    tallies: list[Tally]
    next: Position | None


class Tallies:
    """The table. `now` gives epoch ms; what it keeps goes `retention_days` after its day."""

    def __init__(
        self,
        client: Any,
        table: str,
        now: Callable[[], int],
        retention_days: int = 0,
        backoff: Backoff = DEFAULT,
    ) -> None:
        self._client = client
        self._table = table
        self._now = now
        self._retention = timedelta(days=retention_days + 1)
        self._backoff = backoff

    def keep(self, denial: Denial) -> bool:
        """Adds a sample to its row: a read and a transaction. False, and nothing is kept, for one
        whose day is so long ago that it would be gone. Raises Conflict, and what the client raises.
        """
        day = day_of(denial.at)
        gone_at = round((datetime.fromisoformat(f"{day}T00Z") + self._retention).timestamp())
        if gone_at <= self._now() // 1000:
            return False
        key = _key(denial, day)
        mark = {"pk": {"S": key}, "sk": {"S": SAMPLE + denial.id}, "gone_at": _n(gone_at)}
        for _ in self._backoff.tries():
            tally = added(self._row(key), denial)
            row = {
                "pk": {"S": key},
                "sk": {"S": ROW},
                "d": {"S": to_json(tally._asdict())},
                "list": {"S": _list(denial.tenant, day)},
                "last_at": _n(tally.last_at),
                "denied": _n(tally.denied),
                "seen": _n(tally.samples),
                "gone_at": _n(gone_at),
            }
            if self._written(mark, row):
                return True
        raise Conflict(key)

    def look(
        self,
        tenant: str,
        day: str,
        sort: Sort,
        fits: Callable[[Tally], bool] | None,
        limit: int,
        after: Position | None,
    ) -> Found:
        """At most `limit` rows of a day that fit, the highest first. It may be fewer than there
        are, even none, with a position to go on after. One query, unless it looks for some."""
        found: list[Tally] = []
        rows, queries = (limit + 1, 1) if fits is None else (ROWS, QUERIES)
        start = _start(tenant, day, sort, after) if after else None
        for _ in range(queries):
            items, start = self._page(tenant, day, sort, rows, start)
            for place, item in enumerate(items, 1):
                tally = _read(item)
                if self._lasts(item) and (fits is None or fits(tally)):
                    found.append(tally)
                if len(found) == limit:
                    more = place < len(items) or start is not None
                    return Found(found, _position(item, sort) if more else None)
            if start is None:
                break
        return Found(found, _position(start, sort) if start else None)

    def _lasts(self, item: Item) -> bool:
        # The table deletes late.
        return int(item["gone_at"]["N"]) > self._now() // 1000

    def _row(self, key: str) -> Tally | None:
        answer = self._client.get_item(
            TableName=self._table,
            Key={"pk": {"S": key}, "sk": {"S": ROW}},
            ConsistentRead=True,
        )
        return _read(answer["Item"]) if "Item" in answer else None

    def _written(self, mark: Item, row: Item) -> bool:
        """Whether the sample is in its row by now; else somebody was faster with another."""
        before = _n(int(row["seen"]["N"]) - 1)
        try:
            self._client.transact_write_items(
                TransactItems=[
                    self._put(mark, "attribute_not_exists(pk)"),
                    self._put(
                        row,
                        "attribute_not_exists(pk) OR seen = :before",
                        ExpressionAttributeValues={":before": before},
                    ),
                ]
            )
        except self._client.exceptions.TransactionCanceledException as refusal:
            marked, _ = refusal.response["CancellationReasons"]
            return bool(marked["Code"] == "ConditionalCheckFailed")
        return True

    def _put(self, item: Item, condition: str, **values: Any) -> Item:
        put = {"TableName": self._table, "Item": item, "ConditionExpression": condition}
        return {"Put": {**put, **values}}

    def _page(
        self, tenant: str, day: str, sort: Sort, rows: int, start: Item | None
    ) -> tuple[list[Item], Item | None]:
        answer = self._client.query(
            TableName=self._table,
            IndexName=INDEXES[sort],
            KeyConditionExpression="#list = :list",
            ExpressionAttributeNames={"#list": "list"},
            ExpressionAttributeValues={":list": {"S": _list(tenant, day)}},
            ScanIndexForward=False,
            Limit=rows,
            **({"ExclusiveStartKey": start} if start else {}),
        )
        return answer["Items"], answer.get("LastEvaluatedKey")


def added(tally: Tally | None, denial: Denial) -> Tally:
    """What a row comes to with one more sample of the same rule, identity and day."""
    if tally is None:
        tally = Tally(
            rule=denial.rule,
            kind=denial.kind,
            identity=denial.identity,
            shadow=denial.shadow,
            denied=0,
            samples=0,
            first_at=denial.at,
            last_at=denial.at,
            method=denial.method,
            endpoint=denial.endpoint,
        )
    if denial.at >= tally.last_at:
        tally = tally._replace(method=denial.method, endpoint=denial.endpoint)
    return tally._replace(
        denied=tally.denied + denial.denied,
        samples=tally.samples + 1,
        first_at=min(tally.first_at, denial.at),
        last_at=max(tally.last_at, denial.at),
    )


def day_of(at: int) -> str:
    """The day of UTC that a time in epoch ms is in, as YYYY-MM-DD."""
    return datetime.fromtimestamp(at / 1000, UTC).date().isoformat()


def _key(denial: Denial, day: str) -> str:
    shadow = ("shadow",) if denial.shadow else ()
    return bucket(denial.tenant, denial.kind, denial.identity or "", day, denial.rule, *shadow)


def _list(tenant: str, day: str) -> str:
    return f"{tenant}#{day}"


def _position(item: Item, sort: Sort) -> Position:
    return int(item[sort]["N"]), item["pk"]["S"]


def _start(tenant: str, day: str, sort: Sort, position: Position) -> Item:
    value, pk = position
    return {
        "pk": {"S": pk},
        "sk": {"S": ROW},
        "list": {"S": _list(tenant, day)},
        sort: _n(value),
    }


def _read(item: Item) -> Tally:
    data = json.loads(item["d"]["S"])
    return Tally(**{name: data[name] for name in Tally._fields if name in data})


def _n(number: int) -> dict[str, str]:
    return {"N": str(number)}
