"""What tests of events coming in share: visitors who send them, and the ledger."""

from __future__ import annotations

import json
from typing import Any

from functions.analytics.facts import Fact, decode
from tests.support.http_api import Response
from tests.support.pump import Stack

ORIGIN = "https://shop.example"
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36"
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000


def send(
    stack: Stack, site: str, *events: Any, sent_at: Any = None, status: int = 202, **headers: str
) -> Response:
    """A visitor's browser sends events, and must be answered so."""
    body = {"site": site, "events": list(events)}
    if sent_at is not None:
        body["sent_at"] = sent_at
    return send_text(stack, json.dumps(body), status, **headers)


def send_text(stack: Stack, body: bytes | str, status: int = 202, **headers: str) -> Response:
    """A visitor's browser sends whatever it likes."""
    given = {"origin": ORIGIN, "user-agent": CHROME, "content-type": "text/plain"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    wanted = {name: value for name, value in {**given, **named}.items() if value}
    answer = stack.request("POST", "/v1/track", body=body, headers=wanted)
    assert answer.status == status, answer.text
    return answer


def items(stack: Stack) -> list[dict[str, Any]]:
    """The ledger's items, pointers included."""
    table = stack.functions["AnalyticsIngest"].env["FACTS_TABLE"]
    found: list[dict[str, Any]] = stack.client("dynamodb").scan(TableName=table)["Items"]
    return found


def facts(stack: Stack) -> list[Fact]:
    """The facts that are kept, by id."""
    kept = [decode(item["f"]["S"]) for item in items(stack) if "f" in item]
    return sorted(kept, key=lambda fact: fact.id)


def queued(stack: Stack) -> list[Any]:
    """The messages of tracked events."""
    return [json.loads(body) for body in stack.messages("AnalyticsTracked")]


def ingest(stack: Stack, *bodies: Any) -> Any:
    """Hands messages to the function as one batch; gives the places of those that it reports."""
    records = [
        {
            "messageId": str(number),
            "receiptHandle": str(number),
            "body": body if isinstance(body, str) else json.dumps(body),
            "attributes": {"ApproximateReceiveCount": "1"},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "awsRegion": "us-east-1",
        }
        for number, body in enumerate(bodies)
    ]
    answer = stack.invoke("AnalyticsIngest", {"Records": records})
    return [int(failure["itemIdentifier"]) for failure in answer["batchItemFailures"]]


def settle(stack: Stack) -> None:
    """Takes in what is queued, and leaves the facts' stream alone: rollups have tests of their
    own."""
    url = stack.functions["AnalyticsTrack"].env["TRACKED_QUEUE_URL"]
    sqs = stack.client("sqs")
    while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        assert ingest(stack, *(message["Body"] for message in found)) == []
        for message in found:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def counted(stack: Stack, metric: str) -> int:
    """The sum of a metric over all that was logged."""
    return sum(line.get(metric, 0) for line in stack.logs)
