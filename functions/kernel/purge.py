"""Purging streams that ended: the one thing that deletes commits, kept out of the store on purpose.

A stream ends by an event, its tombstone. First its history goes, oldest first, but for its first
commit and the tombstone: the newest commit tells the state at any time, and no older state can
come back as it would if commits ran out one by one; the first keeps its place, so that no new
stream begins under an old tombstone. When the tombstone's time is over, both go in one transaction,
together with the stream's rows, which would hold up those of a new stream of the same name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from functions.kernel.decider import Decider
from functions.kernel.store import Commit, EventStore, replay
from functions.kernel.views import View

S = TypeVar("S")
Item = dict[str, Any]

LONGEST_RUN_MS = 20 * 60_000
"""No function runs for longer than 15 minutes (AWS Lambda quotas), nor are clocks so far apart that
it would seem longer than this."""


def tombstone_of(
    store: EventStore, decider: Decider[Any, S, Any], stream: str
) -> tuple[Commit, S] | None:
    """The stream's newest commit, if that buried it, and the state that it tells. None where
    somebody else has ended it since: another stream may stand under its name by now."""
    newest = next(store.backward(stream, limit=1), None)
    if newest is None or not newest.stateful:
        return None
    state = replay(decider, [newest]).state
    return (newest, state) if decider.buried(state) else None


class Purge:
    """Deletes from one event table and its view table. Nobody who writes streams runs for longer
    than `longest_run_ms`."""

    def __init__(
        self, client: Any, events: str, views: str, longest_run_ms: int = LONGEST_RUN_MS
    ) -> None:
        self._client = client
        self._events = events
        self._views = views
        self._longest_run_ms = longest_run_ms

    def trim(self, tombstone: Commit, now: int, has_time: Callable[[], bool]) -> bool:
        """Deletes the commits between a stream's first and its `tombstone`, ascending. Says whether
        none is left; to be called again where `has_time()` ended it, or one is so young at `now`
        (epoch ms) that somebody who read the stream before it may still write: its place must not
        be free.

        Raises ValueError for a commit that does not tell the state: nothing may go before it.
        """
        if not tombstone.stateful:
            raise ValueError(f"{tombstone.stream}: its newest commit has no snapshot")
        while middle := self._between(tombstone):
            if max(map(_at, middle)) > now - self._longest_run_ms:
                return False
            for item in middle:
                if not has_time():
                    return False
                self._delete(item)
        return True

    def _delete(self, item: Item) -> None:
        # Where somebody else did it, another stream's commit may stand there by now.
        with suppress(self._client.exceptions.ConditionalCheckFailedException):
            self._client.delete_item(
                TableName=self._events,
                Key={"pk": item["pk"], "sk": item["sk"]},
                ConditionExpression="id = :id",
                ExpressionAttributeValues={":id": item["id"]},
            )

    def end(self, tombstone: Commit, views: Sequence[View[Any]]) -> bool:
        """Deletes a trimmed stream's last commits and its rows in `views`, all or nothing. Says
        whether it did: not where somebody else has, or the stream went on.

        Not within a day after the tombstone: a record of it that a stream still delivers would
        bring a row back.
        """
        newest: dict[str, Any] = {
            "TableName": self._events,
            "Key": _key(tombstone.stream, tombstone.before),
            "ConditionExpression": "id = :id",
            "ExpressionAttributeValues": {":id": {"S": tombstone.id}},
        }
        changes: list[dict[str, Any]] = [{"Delete": newest}]
        if tombstone.before:
            first = {"TableName": self._events, "Key": _key(tombstone.stream, 0)}
            changes.append({"Delete": first})
        changes.append(
            {
                "ConditionCheck": {
                    "TableName": self._events,
                    "Key": _key(tombstone.stream, tombstone.after),
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
            }
        )
        for view in views:
            row = {"pk": {"S": view.prefix + tombstone.stream}}
            changes.append({"Delete": {"TableName": self._views, "Key": row}})
        try:
            self._client.transact_write_items(
                # The same for each attempt: one whose answer was lost is not refused by itself.
                ClientRequestToken=blake2b(tombstone.id.encode(), digest_size=16).hexdigest(),
                TransactItems=changes,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "TransactionCanceledException":
                raise
            reasons = {each["Code"] for each in error.response["CancellationReasons"]}
            if "ConditionalCheckFailed" not in reasons:
                # Another transaction in the way: to be tried again.
                raise
            return False
        return True

    def _between(self, tombstone: Commit) -> list[Item]:
        if tombstone.before < 2:
            return []
        answer = self._client.query(
            TableName=self._events,
            KeyConditionExpression="pk = :stream AND sk BETWEEN :second AND :last",
            ExpressionAttributeValues={
                ":stream": {"S": tombstone.stream},
                ":second": {"N": "1"},
                ":last": {"N": str(tombstone.before - 1)},
            },
            ProjectionExpression="pk, sk, id, m",
            ConsistentRead=True,
        )
        # Whatever was recorded after the tombstone is of a stream that began when it was gone.
        return [each for each in answer["Items"] if _at(each) <= tombstone.metadata.at]


def _at(item: Item) -> int:
    return int(json.loads(item["m"]["S"])["at"])


def _key(stream: str, before: int) -> Item:
    return {"pk": {"S": stream}, "sk": {"N": str(before)}}
