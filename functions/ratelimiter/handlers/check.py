"""POST /v1/check: whether a request may go on, asked by whoever serves it."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from functions.edge.http import Answer, Request, Route, http
from functions.edge.limits.buckets import Buckets
from functions.edge.limits.limiter import Limiter
from functions.edge.problem import Problem
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.settings import settings
from functions.kernel.dynamo import DynamoStore
from functions.ratelimiter.answering import answer, denied
from functions.ratelimiter.asking import asked_of
from functions.ratelimiter.holding import HoldingRules

WRITE = "ratelimiter:write"


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str
    buckets_table: str


class Checks:
    """The route's function, with what one container remembers."""

    def __init__(self, runtime: Runtime, config: Settings) -> None:
        store = DynamoStore(runtime.client("dynamodb"), config.events_table)
        self._now = runtime.now
        self._rules = HoldingRules(store, runtime.now)
        self._limiter = Limiter(Buckets(partial(runtime.client, "dynamodb"), config.buckets_table))

    def check(self, request: Request) -> Answer:
        """POST"""
        if request.query:
            fault = {"field": min(request.query)[:100], "reason": "is not known"}
            raise Problem(422, "invalid", "The route takes no query.", [fault])
        asked, tenant, now = asked_of(request), request.caller.tenant, self._now()
        book = self._rules.of(tenant)
        match book.standing(asked):
            case "denied":
                request.log.count("denied")
                raise denied()
            case "allowed":
                return answer([], now)
        decisions = self._limiter.check(tenant, book.rules, asked, now)
        request.log.count("denied", sum(not decision.allows for decision in decisions))
        request.log.count("uncounted", sum(decision.verdict is None for decision in decisions))
        return answer(decisions, now)


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    checks = Checks(runtime, settings(Settings, runtime.env))
    return http(
        runtime, "ratelimiter", {"POST /v1/check": Route(checks.check, WRITE, service=True)}
    )


handler = entry(build, hurried=True)
