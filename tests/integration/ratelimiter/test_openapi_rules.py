"""Every answer of the rate limiter is documented, and every documented answer is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from functions.openapi import Json
from functions.ratelimiter.openapi import OPS, RATELIMITER, READ, WRITE, Adjust, Check
from functions.ratelimiter.schemas import NewRules
from tests.integration.contract import Walk, documented
from tests.integration.ratelimiter.asking import LOGIN
from tests.support.pump import Stack

PUBLISH, READ_RULES = "PUT /v1/rules", "GET /v1/rules"
ACTIVATE, CHECK = "POST /v1/rules/{version}/activate", "POST /v1/check"
ADJUST = "POST /v1/adjust"
DENIALS = "GET /v1/denials"
ONE: Json = {"rules": [{**LOGIN, "limit": 1}], "deny": [{"user": "mallory"}]}
ASKED: Json = {"endpoint": "/api/login", "ip": "203.0.113.7"}


class Rules(Walk):
    """Walks the rate limiter's routes."""

    scopes = (READ, WRITE, OPS)
    bodies: ClassVar[Mapping[type, Json]] = {
        NewRules: {"rules": []},
        Check: ASKED,
        Adjust: {**ASKED, "cost": 1},
    }
    headers: ClassVar[Mapping[type, Json]] = {Adjust: {"idempotency-key": "a"}}


def test_every_answer_is_documented_and_every_documented_answer_is_given(stack: Stack) -> None:
    walk = Rules(stack, {"version": "2"})
    once: Json = {"headers": {"idempotency-key": "k"}}
    walk.ask(READ_RULES, 200)
    walk.ask(ACTIVATE, 404, "not_found")
    walk.ask(PUBLISH, 200, json=ONE, **once)
    walk.ask(PUBLISH, 422, "idempotency_key_reused", json={"rules": []}, **once)
    walk.ask(ACTIVATE, 422, "idempotency_key_reused", at={"version": "1"}, **once)
    walk.ask(ACTIVATE, 200, at={"version": "1"})
    walk.ask(CHECK, 200, json=ASKED)
    walk.ask(CHECK, 429, "rate_limited", json=ASKED)
    walk.ask(CHECK, 403, "denied", json={**ASKED, "user": "mallory"})
    walk.ask(ADJUST, 428, "idempotency_key_required", json={**ASKED, "cost": -1})
    walk.ask(ADJUST, 200, json={**ASKED, "cost": -1}, **once)
    walk.ask(ADJUST, 422, "idempotency_key_reused", json={**ASKED, "cost": -2}, **once)
    walk.ask(CHECK, 200, json=ASKED)
    walk.ask(ADJUST, 200, json={**ASKED, "slot": "0123456789abcdef"})
    stack.drain()
    assert walk.ask(DENIALS, 200).json()["items"]
    walk.ask(DENIALS, 400, "bad_cursor", query={"cursor": "forged"})
    walk.ask(READ_RULES, 404, "not_found", query={"version": "7"})
    walk.ask(PUBLISH, 200, json={"rules": [LOGIN]})
    for key, operation in RATELIMITER.operations.items():
        walk.edges(key, operation)
    assert walk.contract.seen == {
        (key, *answer)
        for key, operation in RATELIMITER.operations.items()
        for answer in documented(operation)
    }
