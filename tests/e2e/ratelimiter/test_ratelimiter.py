"""Rules and checks over HTTP on the deployed template."""

from __future__ import annotations

import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Stack
from tests.e2e.eventually import eventually

LIMIT, AT_ONCE = 20, 8
RULE = {"name": "search", "endpoint": "/api/search", "limit": LIMIT, "window": "1d"}
# A busy emulator is late at times: then nobody is let through, and somebody gets less.
LATE = {"deadline_ms": 1000, "fail": "closed"}
RULE |= LATE
FLIGHT: dict[str, Any] = {
    "name": "flight",
    "endpoint": "/api/upload",
    "limit": 2,
    "window": "5m",
    "algorithm": "concurrency",
    **LATE,
}


@pytest.fixture
def tenant(stack: Stack) -> str:
    """A tenant with two rules and a list, which hold."""
    return holding(stack, {"rules": [RULE, FLIGHT], "deny": [{"ip": "203.0.113.0/24"}]})


def holding(stack: Stack, rules: dict[str, Any]) -> str:
    """A new tenant with rules, which hold."""
    name = f"t{uuid.uuid4().hex[:8]}"
    with client(stack, name, "ops ratelimiter:read") as ops:
        published = ops.put("/v1/rules", json=rules)
        assert published.status_code == 200, published.text
        version = published.json()["version"]
        assert ops.post(f"/v1/rules/{version}/activate").status_code == 200
        assert ops.get("/v1/rules").json()["active"] == version
    return name


def client(stack: Stack, tenant: str, scopes: str) -> httpx.Client:
    token = stack.token(f"u{uuid.uuid4().hex[:8]}", tenant=tenant, scopes=scopes)
    headers = {"authorization": f"Bearer {token}"}
    return httpx.Client(base_url=stack.url, headers=headers, timeout=60)


def test_of_sixty_checks_eight_at_a_time_twenty_are_allowed(stack: Stack, tenant: str) -> None:
    asked = {"endpoint": "/api/search", "user": "ada"}
    with client(stack, tenant, "ratelimiter:write") as gateway, ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: gateway.post("/v1/check", json=asked), range(60)))
        last = gateway.post("/v1/check", json=asked)
    found = Counter(answer.status_code for answer in answers)
    assert found.keys() <= {200, 429, 503}
    assert LIMIT - found[503] <= found[200] <= LIMIT
    assert last.headers["x-ratelimit-remaining"] == "0"
    assert int(last.headers["retry-after"]) > 0


def test_who_is_denied_stands_in_the_list_of_denials(stack: Stack, tenant: str) -> None:
    asked = {"endpoint": "/api/search", "user": "eve", "cost": LIMIT + 1}
    with client(stack, tenant, "ratelimiter:read ratelimiter:write") as gateway:
        assert gateway.post("/v1/check", json=asked).status_code == 429

        def listed() -> list[tuple[str, str, int]]:
            items = gateway.get("/v1/denials", params={"user": "eve"}).json()["items"]
            return [(each["rule"], each["identity"], each["denied"]) for each in items]

        eventually(listed, [("search", "eve", 1)])


def test_who_may_not_change_rules_may_not(stack: Stack, tenant: str) -> None:
    with client(stack, tenant, "ratelimiter:read ratelimiter:write") as gateway:
        assert gateway.put("/v1/rules", json={"rules": []}).status_code == 403
        assert gateway.post("/v1/rules/1/activate").status_code == 403


def test_what_is_given_back_twice_is_there_once(stack: Stack, tenant: str) -> None:
    asked = {"endpoint": "/api/search", "user": "eve"}
    with client(stack, tenant, "ratelimiter:write") as gateway:
        key = {"idempotency-key": "refund"}
        adjusted = [
            gateway.post("/v1/adjust", json={**asked, "cost": cost}, headers=headers)
            for cost, headers in ((LIMIT, {"idempotency-key": "charge"}), (-3, key), (-3, key))
        ]
        other = gateway.post("/v1/adjust", json={**asked, "cost": -4}, headers=key)
        found = Counter(gateway.post("/v1/check", json=asked).status_code for _ in range(5))
    assert [each.status_code for each in adjusted] == [200] * 3
    assert [each.json()["limits"][0]["remaining"] for each in adjusted] == [0, 3, 3]
    assert other.status_code == 422
    # What answered late may have taken.
    assert found[200] <= 3


def test_of_many_at_a_time_two_are_in_flight_and_room_is_made_by_who_ends(
    stack: Stack, tenant: str
) -> None:
    asked = {"endpoint": "/api/upload", "user": "ada"}
    with client(stack, tenant, "ratelimiter:write") as gateway, ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: gateway.post("/v1/check", json=asked), range(AT_ONCE)))
        slots = [each.json()["slot"] for each in answers if each.status_code == 200]
        freed = [gateway.post("/v1/adjust", json={**asked, "slot": slot}) for slot in slots * 2]
        again = gateway.post("/v1/check", json=asked)
    assert 1 <= len(slots) <= FLIGHT["limit"]
    assert {each.status_code for each in freed} == {200}
    late = sum(each.status_code == 503 for each in answers)
    assert freed[-1].json()["limits"][0]["remaining"] >= FLIGHT["limit"] - late
    assert again.status_code == 200 or late


def test_who_is_denied_is_denied(stack: Stack, tenant: str) -> None:
    asked = {"endpoint": "/api/search", "user": "ada", "ip": "203.0.113.7"}
    with client(stack, tenant, "ratelimiter:write") as gateway:
        refused = gateway.post("/v1/check", json=asked)
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:millrace:problem:denied")
