"""The exact ledger: every fact once, whatever is sent again, however late and by whatever clock.

Item: `pk` bucket, `sk` the event's id, `f` the fact, `gone_at` epoch seconds. An event whose time
was corrected leaves, where its own clock would have put it, a pointer: `to` the time that was
chosen first. A pointer is no fact, and whoever reads a bucket passes it over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from functions.analytics.decider import Definition
from functions.analytics.facts import (
    Fact,
    Sighting,
    bucket,
    decode,
    encode,
    lane_of,
    lanes_at,
    minute_of,
)

DAY_S = 86_400
Outcome = Literal["kept", "repeated", "conflicting"]
"""New; known already; another event's body under a known event's id, of which the first stays."""


class ExactLedger:
    """The facts' table."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def keep(self, sighting: Sighting, site: Definition) -> Outcome:
        """Keeps a fact, unless it is kept already. One write; two if its time was corrected, and
        three if the site's lanes have grown, too."""
        fact, sent_as = sighting
        if minute_of(fact.at) != minute_of(sent_as):
            standing = self._point(fact, sent_as, site)
        else:
            standing = self._keep(fact, site)
            if standing is None:
                return "kept"
        if standing is not None and "f" in standing:
            return _compared(fact, standing)
        if standing is not None:
            fact = fact._replace(at=int(standing["to"]["N"]))
        standing = self._keep(fact, site)
        return "kept" if standing is None else _compared(fact, standing)

    def read(self, key: str, *, consistent: bool = True) -> Iterator[Fact]:
        """The facts of a bucket as they are now, or as they were a second ago, at half the cost."""
        page: dict[str, Any] = {}
        while True:
            answer = self._client.query(
                TableName=self._table,
                KeyConditionExpression="pk = :bucket",
                ExpressionAttributeValues={":bucket": {"S": key}},
                ProjectionExpression="f",
                ConsistentRead=consistent,
                **page,
            )
            yield from (decode(item["f"]["S"]) for item in answer["Items"] if "f" in item)
            if "LastEvaluatedKey" not in answer:
                return
            page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def _keep(self, fact: Fact, site: Definition) -> dict[str, Any] | None:
        """Puts a fact; gives what stands there."""
        lanes = lanes_at(site.lanes, minute_of(fact.at))
        return self._put(fact, fact.at, {"f": {"S": encode(fact)}}, site, lanes)

    def _point(self, fact: Fact, sent_as: int, site: Definition) -> dict[str, Any] | None:
        """Puts a pointer where facts of the sender's time belong; gives what stands there.

        That time may be yet to come, and have more lanes when the repeat comes. So there is a
        second pointer in the lane that it was in before any growth, and that one counts. It says
        what the first does: whoever put that may have died before the second.
        """
        content = {"to": {"N": str(fact.at)}}
        lanes, first = lanes_at(site.lanes, minute_of(sent_as)), site.lanes[0][1]
        standing = self._put(fact, sent_as, content, site, lanes)
        if lane_of(fact.id, first) == lane_of(fact.id, lanes) or "f" in (standing or {}):
            return standing
        if standing is not None:
            content = {"to": standing["to"]}
        return self._put(fact, sent_as, content, site, first) or standing

    def _put(
        self, fact: Fact, at: int, content: dict[str, Any], site: Definition, lanes: int
    ) -> dict[str, Any] | None:
        """Puts an item where facts of the time `at` belong, with so many lanes; gives the one that
        stands there."""
        minute = minute_of(at)
        lane = lane_of(fact.id, lanes)
        try:
            self._client.put_item(
                TableName=self._table,
                Item={
                    "pk": {"S": bucket(fact.site, minute, lane)},
                    "sk": {"S": fact.id},
                    "gone_at": {"N": str(fact.at // 1000 + site.retention_days * DAY_S)},
                    **content,
                },
                ConditionExpression="attribute_not_exists(pk)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            standing: dict[str, Any] = error.response["Item"]
            return standing
        return None


def _compared(fact: Fact, standing: dict[str, Any]) -> Outcome:
    if "f" not in standing:
        # A pointer: an event of this id was sent as of this time, and its fact is elsewhere.
        return "conflicting"
    # The time may have been corrected otherwise, and the visitor's salt have changed since.
    first = decode(standing["f"]["S"])._replace(at=fact.at, visitor=fact.visitor)
    return "repeated" if first == fact else "conflicting"
