"""How often a user may use a route of the deployed template."""

from __future__ import annotations

import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.e2e.conftest import Stack
from tests.support.deployed import AT_ONCE, GUARDED

ASKED, TOGETHER = 12, 6


def test_a_user_is_refused_on_a_route_that_was_used_too_often(stack: Stack) -> None:
    token = stack.token(f"u{uuid.uuid4().hex[:8]}", tier=GUARDED, scopes="shortener:read ops")
    headers = {"authorization": f"Bearer {token}"}
    with (
        httpx.Client(base_url=stack.url, headers=headers, timeout=60) as client,
        ThreadPoolExecutor(TOGETHER) as pool,
    ):
        answers = list(pool.map(lambda _: client.get("/v1/links"), range(ASKED)))
        last = client.get("/v1/links")
        other = client.get("/v1/bans")
    found = Counter(answer.status_code for answer in answers)
    assert found.keys() <= {200, 429, 503}
    assert AT_ONCE - found[503] <= found[200] <= AT_ONCE
    assert last.status_code == 429
    assert last.json()["errors"][0]["field"] == "few"
    assert int(last.headers["retry-after"]) > 0
    assert other.headers["x-ratelimit-limit"] == str(AT_ONCE)
