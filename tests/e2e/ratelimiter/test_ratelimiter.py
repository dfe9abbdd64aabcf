"""Rules and checks over HTTP on the deployed template."""

from __future__ import annotations

import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.e2e.conftest import Stack

LIMIT, AT_ONCE = 20, 8
RULE = {"name": "search", "endpoint": "/api/search", "limit": LIMIT, "window": "1d"}
# A busy emulator is late at times: then nobody is let through, and somebody gets less.
RULE |= {"deadline_ms": 1000, "fail": "closed"}


@pytest.fixture
def tenant(stack: Stack) -> str:
    """A tenant with one rule, which holds."""
    name = f"t{uuid.uuid4().hex[:8]}"
    with client(stack, name, "ops ratelimiter:read") as ops:
        published = ops.put("/v1/rules", json={"rules": [RULE]})
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


def test_who_may_not_change_rules_may_not(stack: Stack, tenant: str) -> None:
    with client(stack, tenant, "ratelimiter:read ratelimiter:write") as gateway:
        assert gateway.put("/v1/rules", json={"rules": []}).status_code == 403
        assert gateway.post("/v1/rules/1/activate").status_code == 403
