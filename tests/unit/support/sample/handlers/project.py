"""Writes a row per record; a note whose text is "poison" fails, alone or in its batch."""

from __future__ import annotations

from typing import Any

from functions.edge.runtime import Event, Handler, Runtime


def build(runtime: Runtime) -> Handler:
    dynamodb = runtime.client("dynamodb")
    table = runtime.env["VIEWS_TABLE"]

    def from_stream(record: Event) -> None:
        image = record["dynamodb"]["NewImage"]
        if image["text"]["S"] == "poison":
            raise ValueError("poison")
        row = {"pk": image["pk"], "list": {"S": "all"}, "position": image["pk"]}
        dynamodb.put_item(TableName=table, Item=row)

    def handler(event: Event, context: Any) -> Any:
        failures = []
        for record in event["Records"]:
            if record["eventSource"] == "aws:dynamodb":
                from_stream(record)
            elif record["body"] == "poison":
                failures.append({"itemIdentifier": record["messageId"]})
        return {"batchItemFailures": failures}

    return handler
