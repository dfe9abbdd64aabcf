"""A handler's world without AWS: a clock that stands, entropy that counts, lines that are kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from functions.edge.http import Answer, Request, Route, http
from functions.edge.log import LogLine
from functions.edge.runtime import Runtime
from tests.support.clock import FakeClock

SCOPE = "notes:write"


@dataclass
class World:
    """What a handler under test sees, and what it left behind."""

    env: dict[str, str] = field(default_factory=dict)
    clients: dict[str, Any] = field(default_factory=dict)
    clock: FakeClock = field(default_factory=FakeClock)
    written: list[str] = field(default_factory=list)

    @property
    def runtime(self) -> Runtime:
        return Runtime(
            env=self.env,
            client=lambda service, deadline_ms=0, region="": self.clients[service],
            now=self.clock.now,
            entropy=bytes,
            sleep=self.clock.advance,
            write=self.written.append,
        )

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.written]

    def log(self) -> LogLine:
        return LogLine(self.runtime, "notes", "request-1")


@pytest.fixture
def world() -> World:
    return World()


def event(
    body: str | None = None,
    *,
    headers: dict[str, str] | None = None,
    claims: dict[str, str] | None = None,
    base64: bool = False,
) -> dict[str, Any]:
    """A payload 2.0 event of POST /notes; without `claims` from nobody."""
    context: dict[str, Any] = {
        "requestId": "request-1",
        "domainName": "api.example.com",
        "http": {"sourceIp": "203.0.113.7"},
    }
    if claims is not None:
        context["authorizer"] = {"jwt": {"claims": claims, "scopes": None}}
    made: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "POST /notes",
        "headers": headers or {},
        "requestContext": context,
        "isBase64Encoded": base64,
    }
    return made if body is None else {**made, "body": body}


def alice(*scopes: str) -> dict[str, str]:
    """Her claims as the gateway passes them on."""
    return {"sub": "alice", "custom:scopes": f"[{' '.join(scopes)}]"}


def answer(
    world: World,
    run: Callable[[Request], Answer],
    request: dict[str, Any] | None = None,
    *,
    scope: str | None = None,
) -> dict[str, Any]:
    """What the edge answers when a route's function does `run`."""
    handler = http(world.runtime, "notes", {"POST /notes": Route(run, scope)})
    answered: dict[str, Any] = handler(request or event(), None)
    return answered


def refusal(answered: dict[str, Any]) -> dict[str, Any]:
    """The problem in an answer."""
    assert answered["headers"]["content-type"] == "application/problem+json"
    document: dict[str, Any] = json.loads(answered["body"])
    assert document["status"] == answered["statusCode"]
    return document


def raising(error: BaseException) -> Callable[[Request], Answer]:
    """A route's function that fails."""

    def run(_: Request) -> Answer:
        raise error

    return run
