"""Quarantine: streams that keep failing, set aside so that the others go on and somebody looks."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from functions.kernel.codec import to_json

LIST = "quarantine"


class Quarantined(NamedTuple):
    """One stream: the view that failed on it last ("*" is the load), the error's type, how often it
    was given up, by whichever reader, and when first, in epoch milliseconds."""

    stream: str
    view: str
    error: str
    failures: int
    first_seen: int


class Quarantine:
    """The quarantined streams of one capability, kept in its view table."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def add(self, stream: str, view: str, error: str, now: int) -> None:
        """Sets a stream aside, or counts one more failure of one that is."""
        self._client.update_item(
            TableName=self._table,
            Key=_key(stream),
            UpdateExpression=(
                "SET #list = :list, #position = if_not_exists(#position, :position), d = :d "
                "ADD failures :one"
            ),
            ExpressionAttributeNames={"#list": "list", "#position": "position"},
            ExpressionAttributeValues={
                ":list": {"S": LIST},
                ":position": {"S": f"{now:015d}#{stream}"},
                ":d": {"S": to_json({"stream": stream, "view": view, "error": error})},
                ":one": {"N": "1"},
            },
        )

    def all(self) -> list[Quarantined]:
        """Every quarantined stream, the oldest first."""
        found: list[Quarantined] = []
        start: dict[str, Any] = {}
        while True:
            answer = self._client.query(
                TableName=self._table,
                IndexName="lists",
                KeyConditionExpression="#list = :list",
                ExpressionAttributeNames={"#list": "list"},
                ExpressionAttributeValues={":list": {"S": LIST}},
                **start,
            )
            found += map(_read, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return found
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def release(self, stream: str) -> None:
        """Takes a stream out; ring it first."""
        self._client.delete_item(TableName=self._table, Key=_key(stream))


def _key(stream: str) -> dict[str, Any]:
    return {"pk": {"S": f"quarantine#{stream}"}}


def _read(item: dict[str, Any]) -> Quarantined:
    data = json.loads(item["d"]["S"])
    return Quarantined(
        stream=data["stream"],
        view=data["view"],
        error=data["error"],
        failures=int(item["failures"]["N"]),
        first_seen=int(item["position"]["S"].partition("#")[0]),
    )
