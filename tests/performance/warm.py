"""A warm handler's own CPU, beside the same botocore calls made directly. The network is a stub.

The redirect is of a hot link: one message, and a read only every few seconds.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import botocore.session
from botocore.awsrequest import AWSResponse

from functions.edge.clients import CONFIG
from functions.edge.limits.rules import Rule, Rulebook, encode
from functions.edge.runtime import Clients, Event, Handler, Runtime
from functions.shortener.handlers import create, redirect

CALLS = 100
ENV = {
    "EVENTS_TABLE": "events",
    "VIEWS_TABLE": "views",
    "COUNTERS_TABLE": "counters",
    "CLICKS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/000000000000/clicks",
    "SECRET_ARN": "secret",
    "PUBLIC_URL": "https://sho.rt",
    "DEFAULT_LIFETIME_DAYS": "730",
    # The guard counts, and lets everybody through.
    "GUARD_RULES": encode(
        Rulebook((Rule("all", "/**", 1_000_000, 1, identifiers=("user", "ip")),))
    ),
}
LINK = {
    "code": "abc1234",
    "created_at": 1,
    "domain": "default",
    "long_url": "https://example.com/some/page",
    "owner": "alice",
    "redirect_status": 302,
}
STORED = {
    "pk": {"S": "link#default#abc1234"},
    "sk": {"N": "0"},
    "n": {"N": "1"},
    "id": {"S": "000000000000000000000000"},
    "e": {"S": json.dumps([["LinkCreated", 1, LINK]])},
    "m": {"S": json.dumps({"actor": "alice", "at": 1, "correlation": "r"})},
}
ANSWERS: dict[str, Any] = {
    "PutItem": {},
    "Query": {"Items": [STORED], "Count": 1, "ScannedCount": 1},
    "Query views": {"Items": [], "Count": 0, "ScannedCount": 0},
    "GetItem": {},
    "GetSecretValue": {"SecretString": json.dumps({"root": "material"})},
    "SendMessage": {"MessageId": "m"},
}


class Body:
    """An answer's content, as botocore reads it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._content


def clients() -> Clients:
    """botocore clients whose requests are answered before the network."""
    session = botocore.session.get_session()
    session.set_credentials("key", "secret")
    made = {
        name: session.create_client(name, region_name="us-east-1", config=CONFIG)
        for name in ("dynamodb", "secretsmanager", "sqs")
    }
    for each in made.values():
        each.meta.events.register("before-send", _answer)
    return lambda service, deadline_ms=0, region="": made[service]


def _answer(request: Any, **_: Any) -> AWSResponse:
    operation = request.headers["X-Amz-Target"].decode().partition(".")[2]
    if json.loads(request.body).get("TableName") == "views" and operation == "Query":
        operation = "Query views"
    content = json.dumps(ANSWERS[operation]).encode()
    return AWSResponse(
        request.url, 200, {"content-type": "application/x-amz-json-1.0"}, Body(content)
    )


def pairs(client: Clients) -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """For each operation the handler's invocation, and the bare call that it comes down to."""
    runtime = Runtime(
        ENV, client, lambda: time.time_ns() // 10**6, os.urandom, time.sleep, lambda _: None
    )
    recorded: list[dict[str, Any]] = []
    for service in ("dynamodb", "sqs"):
        client(service).meta.events.register("provide-client-params", _recorder(recorded))
    return {
        "create": _pair(
            create.build(runtime), _create_event(), client("dynamodb").put_item, recorded
        ),
        "redirect": _pair(
            redirect.build(runtime), _redirect_event(), client("sqs").send_message, recorded
        ),
    }


def _recorder(recorded: list[dict[str, Any]]) -> Callable[..., None]:
    def record(params: dict[str, Any], **_: Any) -> None:
        recorded[:] = [params]

    return record


def _pair(
    handler: Handler, event: Event, call: Callable[..., Any], recorded: list[dict[str, Any]]
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    def served() -> None:
        # What is refused costs little.
        answer = handler(event, None)
        assert answer["statusCode"] in (201, 302), answer

    served()
    params = dict(recorded[0])
    return served, lambda: call(**params)


def rounds(runs: int) -> Iterator[dict[str, tuple[float, float]]]:
    """CPU milliseconds per call of (handler, bare call), in turn, for each operation."""
    prepared = pairs(clients())
    for _ in range(runs):
        yield {name: (_cpu(ours), _cpu(bare)) for name, (ours, bare) in prepared.items()}


def ratios(samples: list[dict[str, tuple[float, float]]]) -> dict[str, tuple[float, float, float]]:
    """Median milliseconds of handler and bare call, and the median of their ratio by round."""
    return {
        name: (
            median(each[name][0] for each in samples),
            median(each[name][1] for each in samples),
            median(each[name][0] / each[name][1] for each in samples),
        )
        for name in samples[0]
    }


def _cpu(call: Callable[[], Any]) -> float:
    start = time.process_time()
    for _ in range(CALLS):
        call()
    return (time.process_time() - start) / CALLS * 1000


def _create_event() -> Event:
    claims = {"sub": "alice", "custom:scopes": "shortener:write"}
    return {
        "routeKey": "POST /v1/links",
        "headers": {"content-type": "application/json"},
        "requestContext": {"requestId": "r", "authorizer": {"jwt": {"claims": claims}}},
        "body": json.dumps({"long_url": LINK["long_url"]}),
    }


def _redirect_event() -> Event:
    caller = {"method": "GET", "sourceIp": "192.0.2.1"}
    return {
        "routeKey": "GET /{code}",
        "headers": {"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0 Safari/537.36"},
        "pathParameters": {"code": LINK["code"]},
        "requestContext": {"requestId": "r", "domainName": "sho.rt", "http": caller},
    }
