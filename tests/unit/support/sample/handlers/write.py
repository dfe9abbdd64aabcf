"""Appends what it is sent, once per stream and number, and says which container it ran in."""

from __future__ import annotations

import json
from typing import Any

from functions.edge.runtime import Event, Handler, Runtime


def build(runtime: Runtime) -> Handler:
    dynamodb = runtime.client("dynamodb")
    table = runtime.env["EVENTS_TABLE"]
    container = {"container": runtime.entropy(4).hex()}

    def handler(event: Event, context: Any) -> Any:
        note = json.loads(event["body"])
        runtime.write(json.dumps({"note": note["id"], "at": runtime.now()}))
        try:
            dynamodb.put_item(
                TableName=table,
                Item={
                    "pk": {"S": note["id"]},
                    "sk": {"N": str(note.get("number", 0))},
                    "text": {"S": note["text"]},
                },
                ConditionExpression="attribute_not_exists(pk)",
            )
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return {"statusCode": 409, "headers": container}
        authorizer = json.dumps(event["requestContext"]["authorizer"])
        return {"statusCode": 201, "headers": container, "body": authorizer}

    return handler
