"""Every answer of the rate limiter is documented, and every documented answer is given."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from functions.openapi import Json
from functions.ratelimiter.openapi import OPS, RATELIMITER, READ, WRITE, Adjust, Check
from functions.ratelimiter.registering import NewKey, NewUpstream, Rotation
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


KEY: Json = {"name": "a key", "scopes": ["gw:*"]}
UPSTREAM: Json = {"url": "https://example.com"}
ANY: Json = {"if-match": "*"}
KEYS, UPSTREAMS = "/v1/keys", "/v1/upstreams"


class Rules(Walk):
    """Walks the rate limiter's routes."""

    scopes = (READ, WRITE, OPS)
    bodies: ClassVar[Mapping[type, Json]] = {
        NewRules: {"rules": []},
        Check: ASKED,
        Adjust: {**ASKED, "cost": 1},
        NewKey: KEY,
        Rotation: {},
        NewUpstream: UPSTREAM,
    }
    headers: ClassVar[Mapping[type, Json]] = {Adjust: {"idempotency-key": "a"}}
    named: Mapping[str, str] = MappingProxyType({})

    def target(self, method: str, path: str, places: Mapping[str, str]) -> str:
        """A name is free where it is to be set."""
        free = {"name": "free"} if method == "PUT" and not self.named else {}
        return super().target(method, path, {**places, **free})

    def at_name(self, key: str, status: int, kind: str = "", *, name: str, **sent: Any) -> None:
        """One request to a route of the upstream of this name."""
        self.named = {"name": name}
        self.ask(key, status, kind, at=self.named, **sent)
        self.named = {}


def keep_keys(walk: Rules) -> None:
    """Makes keys, of which one is live in the end."""
    once: Json = {"headers": {"idempotency-key": "k"}}
    rotate, one = f"POST {KEYS}/{{id}}/rotate", f"{KEYS}/{{id}}"
    ends = {**KEY, "tier": "gold", "expires_at": "2030-01-01T00:00:00Z"}
    gone = {"id": walk.ask(f"POST {KEYS}", 201, json=ends, **once).json()["id"]}
    walk.ask(f"POST {KEYS}", 422, "idempotency_key_reused", json=KEY, **once)
    walk.stack.advance(90_000)
    walk.ask(f"POST {KEYS}", 201, json=ends, **once)
    live = walk.ask(f"POST {KEYS}", 201, json=KEY).json()["id"]
    walk.stack.drain()
    walk.ask(f"GET {KEYS}", 200, query={"limit": "1"})
    walk.ask(f"GET {KEYS}", 400, "bad_cursor", query={"cursor": "forged"})
    command: Json = {"headers": {**ANY, "idempotency-key": "r"}}
    walk.ask(rotate, 200, at=gone, json={"grace_seconds": 5}, **command)
    reused = "idempotency_key_reused"
    walk.ask(rotate, 422, reused, at=gone, json={"grace_seconds": 6}, **command)
    walk.ask(f"DELETE {one}", 422, reused, at=gone, **command)
    walk.ask(f"GET {one}", 200, at=gone)
    walk.ask(f"DELETE {one}", 204, at=gone, headers=ANY)
    for status, kind, where in ((410, "gone", gone), (404, "not_found", {"id": "f" * 20})):
        walk.ask(f"GET {one}", status, kind, at=where)
        walk.ask(f"DELETE {one}", status, kind, at=where, headers=ANY)
        walk.ask(rotate, status, kind, at=where, headers=ANY, json={})
    walk.live = {**walk.live, "id": live}


def keep_upstreams(walk: Rules) -> None:
    """Sets upstreams, of which one is live in the end."""
    put, one, reused = (
        f"PUT {UPSTREAMS}/{{name}}",
        f"{UPSTREAMS}/{{name}}",
        "idempotency_key_reused",
    )
    once: Json = {"headers": {"idempotency-key": "u"}}
    other = {**UPSTREAM, "timeout_ms": 500, "headers": {"x-token": "t"}}
    for name in ("live", "gone"):
        walk.at_name(put, 200, name=name, json=UPSTREAM)
    walk.at_name(put, 200, name="once", json=UPSTREAM, **once)
    walk.at_name(put, 422, reused, name="once", json=other, **once)
    walk.at_name(put, 428, "if_match_required", name="live", json=other)
    walk.at_name(put, 412, "version_mismatch", name="live", json=other, headers={"if-match": '"9"'})
    walk.at_name(put, 404, "not_found", name="never", json=other, headers=ANY)
    walk.at_name(put, 200, name="live", json=other, headers=ANY)
    walk.stack.drain()
    walk.ask(f"GET {UPSTREAMS}", 200, query={"limit": "1"})
    walk.ask(f"GET {UPSTREAMS}", 400, "bad_cursor", query={"cursor": "forged"})
    walk.ask(f"GET {one}", 200)
    walk.ask(f"DELETE {one}", 422, reused, at={"name": "once"}, headers={**ANY, **once["headers"]})
    walk.ask(f"DELETE {one}", 204, at={"name": "gone"}, headers=ANY)
    walk.ask(f"DELETE {one}", 410, "gone", at={"name": "gone"}, headers=ANY)
    walk.ask(f"GET {one}", 410, "gone", at={"name": "gone"})
    for method in ("GET", "DELETE"):
        walk.ask(f"{method} {one}", 404, "not_found", at={"name": "never"}, headers=ANY)


def test_every_answer_is_documented_and_every_documented_answer_is_given(stack: Stack) -> None:
    walk = Rules(stack, {"version": "2", "id": "0" * 20, "name": "live"})
    keep_keys(walk)
    keep_upstreams(walk)
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
