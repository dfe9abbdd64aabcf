"""What the tests of the rate limiter ask of a stack."""

from __future__ import annotations

from typing import Any

from tests.support.http_api import Response
from tests.support.pump import Stack

OPS = {"custom:scopes": "ops ratelimiter:read ratelimiter:write"}
NEAR = {"AllowPrivateUpstreams": "yes"}
"""Parameters of a stack whose gateway may forward to the test's own host."""
LOGIN: dict[str, Any] = {
    "name": "login",
    "endpoint": "/api/login",
    "limit": 5,
    "window": "60s",
    "identifiers": ["ip"],
}
SAMPLE: list[dict[str, Any]] = [
    LOGIN,
    {"name": "free", "endpoint": "/api/search", "limit": 100, "window": "60s", "tier": "free"},
    {"name": "more", "endpoint": "/api/search", "limit": 1000, "window": "60s", "tier": "premium"},
    {"name": "upload", "endpoint": "/api/upload", "limit": 10, "window": "1d"},
]
"""The seeds' example: logins by address, searches by tier, uploads by day."""


def publish(stack: Stack, *rules: dict[str, Any], **more: Any) -> Response:
    """PUT /v1/rules"""
    body = {"rules": list(rules)}
    return stack.request(
        "PUT", "/v1/rules", **{"user": "olga", "claims": OPS, "json": body, **more}
    )


def activate(stack: Stack, version: int | str, **more: Any) -> Response:
    """POST /v1/rules/{version}/activate"""
    path = f"/v1/rules/{version}/activate"
    return stack.request("POST", path, **{"user": "olga", "claims": OPS, **more})


def hold(stack: Stack, *rules: dict[str, Any]) -> int:
    """Publishes rules and has them hold; gives their version."""
    published = publish(stack, *rules)
    assert published.status == 200, published.text
    version: int = published.json()["version"]
    assert activate(stack, version).status == 200
    return version


def check(stack: Stack, endpoint: str, claims: Any = None, **body: Any) -> Response:
    """POST /v1/check"""
    asked = {"endpoint": endpoint, **body}
    return stack.request("POST", "/v1/check", user="gateway", claims=claims, json=asked)


def adjust(stack: Stack, endpoint: str, key: str | None = None, **body: Any) -> Response:
    """POST /v1/adjust; `key` is its Idempotency-Key."""
    headers = {} if key is None else {"idempotency-key": key}
    asked = {"endpoint": endpoint, **body}
    return stack.request("POST", "/v1/adjust", user="gateway", headers=headers, json=asked)


def deny(stack: Stack, times: int = 1, endpoint: str = "/api/login", **body: Any) -> list[Response]:
    """Checks that are denied: those that the limits allow go before."""
    for _ in range(1001):
        if (answer := check(stack, endpoint, **body)).status != 200:
            return [answer, *(check(stack, endpoint, **body) for _ in range(times - 1))]
    raise AssertionError("nothing denies")


def denials(stack: Stack, claims: Any = None, **query: Any) -> Response:
    """GET /v1/denials"""
    asked = {name: str(value) for name, value in query.items()}
    return stack.request("GET", "/v1/denials", user="olga", claims=claims, query=asked)


def make_key(stack: Stack, *scopes: str, **more: Any) -> dict[str, Any]:
    """POST /v1/keys: the key as it is answered, `key` being its text."""
    body = {"name": "a key", "scopes": list(scopes), **more.pop("json", {})}
    made = stack.request(
        "POST", "/v1/keys", **{"user": "olga", "claims": OPS, "json": body, **more}
    )
    assert made.status == 201, made.text
    found: dict[str, Any] = made.json()
    return found


def set_upstream(stack: Stack, name: str, url: str, **more: Any) -> Response:
    """PUT /v1/upstreams/{name}"""
    sent = {"user": "olga", "claims": OPS, "headers": {}, **more.pop("sent", {})}
    return stack.request("PUT", f"/v1/upstreams/{name}", json={"url": url, **more}, **sent)


def through(stack: Stack, key: str | None, path: str, method: str = "GET", **more: Any) -> Response:
    """A request to the gateway, with a key's text or without."""
    headers = {**({"x-api-key": key} if key else {}), **more.pop("headers", {})}
    return stack.request(method, f"/gw/{path}", headers=headers, **more)
