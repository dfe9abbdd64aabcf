"""POST /v1/check and POST /v1/adjust: whether a request may go on, and what it came to cost, asked
and told by whoever serves it."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import NamedTuple

from functions.edge.http import Answer, Request, Route, http
from functions.edge.limits.adjuster import Adjuster
from functions.edge.limits.buckets import Once
from functions.edge.problem import Problem
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.settings import settings
from functions.kernel.dynamo import DynamoStore
from functions.ratelimiter.answering import adjusted, answer
from functions.ratelimiter.asking import adjustment_of, asked_of
from functions.ratelimiter.checking import Checking
from functions.ratelimiter.holding import HoldingRules
from functions.ratelimiter.regions import WHOLE, buckets

WRITE = "ratelimiter:write"
ONCE_S = 2 * 86_400
"""Seconds for which a repeat of an adjustment is known as one."""


class Settings(NamedTuple):
    """What the function is told by its environment; a buckets' table by its ARN may be another
    region's."""

    events_table: str
    buckets_table: str
    denials_queue_url: str
    region_share: int = WHOLE


class Checks:
    """The routes' functions, with what one container remembers."""

    def __init__(self, runtime: Runtime, config: Settings) -> None:
        store = DynamoStore(runtime.client("dynamodb"), config.events_table)
        shared = buckets(runtime, config.buckets_table)
        self._runtime = runtime
        self._rules = HoldingRules(store, runtime.now, config.region_share)
        self._checking = Checking(runtime, shared, config.denials_queue_url)
        self._adjuster = Adjuster(shared, runtime.backoff())

    def check(self, request: Request) -> Answer:
        """POST /v1/check"""
        _without_query(request)
        asked, tenant = asked_of(request), request.caller.tenant
        # The time after the read, which may last.
        book, now = self._rules.of(tenant), self._runtime.now()
        decisions = self._checking.decide(tenant, book, asked, now, request.log)
        return answer(decisions, now)

    def adjust(self, request: Request) -> Answer:
        """POST /v1/adjust"""
        _without_query(request)
        asked, tenant = adjustment_of(request), request.caller.tenant
        if not asked.cost:
            rules, now = self._rules.of(tenant).rules, self._runtime.now()
            return adjusted(self._adjuster.release(tenant, rules, asked, now), now)
        once = _once(request, self._runtime.now())
        book, now = self._rules.of(tenant), self._runtime.now()
        # Who is always allowed has taken nothing.
        rules = () if book.standing(asked) == "allowed" else book.rules
        return adjusted(self._adjuster.adjust(tenant, rules, asked, once, now), now)


def _without_query(request: Request) -> None:
    if request.query:
        fault = {"field": min(request.query)[:100], "reason": "is not known"}
        raise Problem(422, "invalid", "The route takes no query.", [fault])


def _once(request: Request, now: int) -> Once:
    """What a repeat of a request is known by. Raises 400 and 428 Problems."""
    # A check need not know of commands, nor load what they are made of.
    from functions.edge.command import idempotency_key

    key, caller = idempotency_key(request), request.caller
    if key is None:
        detail = "Idempotency-Key is required: what was given back twice could not be told."
        raise Problem(428, "idempotency_key_required", detail)
    return Once(
        f"once#{_digest([caller.tenant, caller.user, key])}",
        _digest(json.loads(request.body())),
        now // 1000 + ONCE_S,
    )


def _digest(value: object) -> str:
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:40]


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    checks = Checks(runtime, settings(Settings, runtime.env))
    routes = {
        "POST /v1/check": Route(checks.check, WRITE, service=True),
        "POST /v1/adjust": Route(checks.adjust, WRITE, service=True),
    }
    return http(runtime, "ratelimiter", routes)


handler = entry(build, hurried=True)
