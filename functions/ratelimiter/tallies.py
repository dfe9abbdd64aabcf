"""Who was denied how often, by day: a row for each identity and rule, folded from its samples.

Items of one table: of an identity's samples of a day the `pk` is the same; `sk` is `fact#<id>`, put
if absent, or `row`. A row is what all facts come to and takes the place of one that has `seen`
fewer: so a sample that comes twice, late or out of order counts once. Whoever puts a fact folds
thereafter, consistently, so the last of them sees all.

Identities are personal data: everything goes `gone_at`, epoch seconds, a number of days after its
own. No event holds any of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple, TypeVar

from functions.edge.limits.rules import bucket
from functions.kernel.codec import to_json
from functions.ratelimiter.denials import Denial

Sort = Literal["last_at", "denied"]
INDEXES: Mapping[Sort, str] = {"last_at": "recent", "denied": "most"}
ROW, FACT = "row", "fact#"
ROWS, QUERIES = 200, 5
"""How far a request looks that asks for some alone: so many queries of so many rows."""

Item = dict[str, Any]
T = TypeVar("T", "Fact", "Tally")
Position = tuple[int, str]
"""Where a list goes on: what it is sorted by, and a row's `pk`."""


class Fact(NamedTuple):
    """A sample as it is kept."""

    denied: int
    at: int
    method: str
    endpoint: str | None = None


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
        self, client: Any, table: str, now: Callable[[], int], retention_days: int = 0
    ) -> None:
        self._client = client
        self._table = table
        self._now = now
        self._retention = timedelta(days=retention_days + 1)

    def keep(self, denial: Denial) -> bool:
        """Keeps a sample and folds its row anew: two writes and a read. False, and nothing is kept,
        for one whose day is so long ago that it would be gone."""
        day = day_of(denial.at)
        gone_at = round((datetime.fromisoformat(f"{day}T00Z") + self._retention).timestamp())
        if gone_at <= self._now() // 1000:
            return False
        key = _key(denial, day)
        content = {"gone_at": _n(gone_at)}
        fact = Fact(denial.denied, denial.at, denial.method, denial.endpoint)
        self._put(
            {"pk": {"S": key}, "sk": {"S": FACT + denial.id}, "d": _json(fact), **content},
            ConditionExpression="attribute_not_exists(pk)",
        )
        tally = folded(denial, self._facts(key))
        row = {
            "pk": {"S": key},
            "sk": {"S": ROW},
            "d": _json(tally),
            "list": {"S": _list(denial.tenant, day)},
            "last_at": _n(tally.last_at),
            "denied": _n(tally.denied),
            "seen": _n(tally.samples),
        }
        self._put(
            {**row, **content},
            ConditionExpression="attribute_not_exists(pk) OR seen < :seen",
            ExpressionAttributeValues={":seen": row["seen"]},
        )
        return True

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
                tally = _read(Tally, item)
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

    def _put(self, item: Item, **condition: Any) -> None:
        try:
            self._client.put_item(TableName=self._table, Item=item, **condition)
        except self._client.exceptions.ConditionalCheckFailedException:
            # It is there, or somebody was faster with more.
            return

    def _facts(self, key: str) -> Iterator[Fact]:
        page: dict[str, Any] = {}
        while True:
            answer = self._client.query(
                TableName=self._table,
                KeyConditionExpression="pk = :key AND begins_with(sk, :fact)",
                ExpressionAttributeValues={":key": {"S": key}, ":fact": {"S": FACT}},
                ProjectionExpression="d",
                ConsistentRead=True,
                **page,
            )
            for item in answer["Items"]:
                yield _read(Fact, item)
            if "LastEvaluatedKey" not in answer:
                return
            page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

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


def folded(of: Denial, facts: Iterable[Fact]) -> Tally:
    """What facts come to, of a sample that is one of them."""
    kept = sorted(facts, key=lambda fact: (fact.at, fact.denied))
    last = kept[-1]
    return Tally(
        rule=of.rule,
        kind=of.kind,
        identity=of.identity,
        shadow=of.shadow,
        denied=sum(fact.denied for fact in kept),
        samples=len(kept),
        first_at=kept[0].at,
        last_at=last.at,
        method=last.method,
        endpoint=last.endpoint,
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


def _json(record: Fact | Tally) -> dict[str, str]:
    return {"S": to_json(record._asdict())}


def _read(cls: type[T], item: Item) -> T:
    data = json.loads(item["d"]["S"])
    return cls(**{name: data[name] for name in cls._fields if name in data})


def _n(number: int) -> dict[str, str]:
    return {"N": str(number)}
