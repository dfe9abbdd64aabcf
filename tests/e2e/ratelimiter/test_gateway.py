"""A key, an upstream and requests through the gateway on the deployed template."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.conftest import Stack
from tests.e2e.eventually import eventually
from tests.e2e.ratelimiter.test_ratelimiter import client
from tests.support.upstream import Seen, Upstream, said


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """The server that is forwarded to: it answers with the body that it got, backwards."""

    def answer(seen: Seen) -> bytes:
        return said(
            seen.body[::-1], "set-cookie: a=1; Path=/", "set-cookie: b=2", "x-own: 1", "x-own: 2",
            kind="application/octet-stream",
        )  # fmt: skip

    with Upstream() as running:
        running.answer = answer
        yield running


@pytest.fixture
def ops(stack: Stack) -> Iterator[httpx.Client]:
    """Who may do all for a tenant of its own."""
    with client(stack, f"t{uuid.uuid4().hex[:8]}", "ops ratelimiter:read") as made:
        yield made


def test_a_key_opens_an_upstream_until_it_is_revoked(
    stack: Stack, ops: httpx.Client, upstream: Upstream
) -> None:
    put = ops.put("/v1/upstreams/orders", json={"url": f"{upstream.url}/base"})
    assert put.status_code == 200, put.text
    made = ops.post("/v1/keys", json={"name": "e2e", "scopes": ["gw:orders"]})
    assert made.status_code == 201, made.text
    key = made.json()
    rule = {"name": "orders", "endpoint": "/gw/orders/**", "limit": 3, "window": "1d"}
    rule |= {"identifiers": ["api_key"], "deadline_ms": 1000}
    assert ops.put("/v1/rules", json={"rules": [rule]}).status_code == 200
    assert ops.post("/v1/rules/1/activate").status_code == 200
    content = bytes(range(256))
    with httpx.Client(base_url=stack.url, timeout=60) as anybody:
        assert anybody.get("/gw/orders/x").status_code == 401
        sent = {"x-api-key": key["key"], "x-forwarded-for": "1.2.3.4", "cookie": "c=3"}
        url = "/gw/orders/a/b%20c?q=%2F&q=2"
        answer = anybody.post(url, content=content, headers=sent)
        assert (answer.status_code, answer.content) == (200, content[::-1]), answer.text
        assert answer.headers["x-own"] == "1, 2"
        assert answer.headers["x-ratelimit-remaining"] == "2"
        cookies = answer.headers.get_list("set-cookie")
        assert cookies == ["a=1; Path=/gw/orders", "b=2; Path=/gw/orders"]
        tricks = anybody.get("/gw/orders/%2e%2e/secret", headers=sent)
        assert tricks.status_code == 400
        assert anybody.head("/gw/orders/x", headers=sent).status_code == 200
        assert anybody.delete("/gw/orders", headers=sent).status_code == 200
        assert anybody.get("/gw/orders/x", headers=sent).status_code == 429
    assert [(seen.method, seen.target) for seen in upstream.seen] == [
        ("POST", "/base/a/b%20c?q=%2F&q=2"),
        ("HEAD", "/base/x"),
        ("DELETE", "/base"),
    ]
    first = upstream.seen[0]
    assert first.header("x-forwarded-for") != "1.2.3.4"
    assert first.header("cookie") == "c=3"
    assert first.header("x-api-key") is None
    eventually(lambda: [each["id"] for each in ops.get("/v1/keys").json()["items"]], [key["id"]])
    gone = ops.delete(f"/v1/keys/{key['id']}", headers={"if-match": "*"})
    assert gone.status_code == 204
    assert ops.get(f"/v1/keys/{key['id']}").status_code == 410
