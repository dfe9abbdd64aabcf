"""Upstreams over HTTP: set, listed, removed; and what is none."""

from __future__ import annotations

from typing import Any

import pytest

from functions.edge.validation import to_text
from tests.integration.ratelimiter.asking import OPS, set_upstream
from tests.support.http_api import Response
from tests.support.pump import Stack

URL = "https://orders.example.com/api"
ANY = {"headers": {"if-match": "*"}}


def ask(stack: Stack, method: str, name: str = "", **more: Any) -> Response:
    """A request about upstreams, by who may do all."""
    path = f"/v1/upstreams/{name}".rstrip("/")
    return stack.request(method, path, **{"user": "olga", "claims": OPS, **more})


def test_an_upstream_is_set_shown_and_listed(stack: Stack) -> None:
    answer = set_upstream(stack, "orders", URL.upper().replace("API", "api") + "/", timeout_ms=500)
    expected = {
        "name": "orders",
        "url": URL,
        "timeout_ms": 500,
        "authentication": "key",
        "headers": [],
        "created_at": to_text(stack.clock.now()),
        "version": 1,
    }
    assert (answer.status, answer.json(), answer.headers["etag"]) == (200, expected, '"1"')
    stack.drain()
    assert ask(stack, "GET", "orders").json() == expected
    assert ask(stack, "GET").json() == {"items": [expected], "next_cursor": None}


def test_what_is_there_is_changed_under_its_version_alone(stack: Stack) -> None:
    set_upstream(stack, "orders", URL)
    assert set_upstream(stack, "orders", URL, timeout_ms=500).status == 428
    stale = {"headers": {"if-match": '"7"'}}
    assert set_upstream(stack, "orders", URL, timeout_ms=500, sent=stale).status == 412
    right = {"headers": {"if-match": '"1"'}}
    changed = set_upstream(stack, "orders", URL, timeout_ms=500, sent=right)
    assert (changed.json()["version"], changed.json()["timeout_ms"]) == (2, 500)
    same = set_upstream(stack, "orders", URL, timeout_ms=500, sent=ANY)
    assert same.json()["version"] == 2
    assert set_upstream(stack, "nothing", URL, sent=ANY).status == 404


def test_a_repeat_says_what_the_first_did(stack: Stack) -> None:
    once = {"headers": {"idempotency-key": "k"}}
    first = set_upstream(stack, "orders", URL, sent=once).json()
    ask(stack, "DELETE", "orders", **ANY)
    assert set_upstream(stack, "orders", URL, sent=once).json() == first
    assert set_upstream(stack, "orders", f"{URL}/2", sent=once).status == 422
    again = {"headers": {"idempotency-key": "l"}}
    second = set_upstream(stack, "orders", f"{URL}/2", sent=again).json()
    assert set_upstream(stack, "orders", f"{URL}/2", sent=again).json() == second
    assert second["version"] == 3


def test_a_removed_upstream_is_gone_and_its_name_is_free(stack: Stack) -> None:
    set_upstream(stack, "orders", URL, headers={"x-token": "s3cret"})
    assert ask(stack, "DELETE", "orders").status == 428
    assert ask(stack, "DELETE", "orders", **ANY).status == 204
    assert ask(stack, "GET", "orders").status == 410
    assert ask(stack, "DELETE", "orders", **ANY).status == 410
    stack.drain()
    assert ask(stack, "GET").json()["items"] == []
    stack.advance(60)
    again = set_upstream(stack, "orders", URL)
    assert (again.status, again.json()["version"], again.json()["headers"]) == (200, 3, [])
    assert again.json()["created_at"] == to_text(stack.clock.now())
    stack.drain()
    assert [each["name"] for each in ask(stack, "GET").json()["items"]] == ["orders"]


def test_a_tenants_upstreams_are_its_own(stack: Stack) -> None:
    set_upstream(stack, "orders", URL)
    stack.drain()
    other = {**OPS, "custom:tenant": "acme"}
    assert ask(stack, "GET", "orders", claims=other).status == 404
    assert ask(stack, "DELETE", "orders", claims=other, **ANY).status == 404
    assert ask(stack, "GET", claims=other).json()["items"] == []
    assert set_upstream(stack, "orders", URL, sent={"claims": other}).json()["version"] == 1


def test_who_may_not_change_upstreams_may_look_at_them(stack: Stack) -> None:
    set_upstream(stack, "orders", URL)
    reads = {"custom:scopes": "ratelimiter:read ratelimiter:write"}
    assert ask(stack, "GET", "orders", claims=reads).status == 200
    assert ask(stack, "DELETE", "orders", claims=reads, **ANY).status == 403
    assert set_upstream(stack, "new", URL, sent={"claims": reads}).status == 403


URLS = [
    "", "orders", "//orders.example.com", "ftp://orders.example.com", "https://", "https:///x",
    "https:orders.example.com", "http://orders.example.com", "https://u@orders.example.com",
    "https://u:p@orders.example.com", "https://orders.example.com?x=1",
    "https://orders.example.com?", "https://orders.example.com/#f", "https://orders.example.com#",
    "https://orders.example.com:0", "https://orders.example.com:",
    "https://orders.example.com:99999", "https://or ders.example.com",
    "https://orders.example.com\\@evil.example", "https://orders.example.com/../x",
    "https://orders.example.com/a/./b", "https://orders.example.com/%2e%2e/x",
    "https://orders.example.com//x", "https://orders.example.com/a b", "https://örders.example.com",
    "https://orders.example.com/\r\nx: y", "https://orders.example.com/\x00",
    "https://.example.com", "https://example..com", "https://-a.example.com",
    "https://" + "a" * 64 + ".example.com", "https://orders.example.com/" + "a" * 500,
    "https://orders.example.com.", "https://[::1", "https://[::1]", "https://[::ffff:10.0.0.1]",
    "https://[fe80::1%25eth0]", "https://[fc00::1]", "https://127.0.0.1", "https://127.1",
    "https://0x7f.1", "https://2130706433", "https://0177.0.0.1", "https://10.0.0.1",
    "https://192.168.0.1", "https://169.254.169.254/latest/meta-data", "https://0.0.0.0",
    "https://224.0.0.1", "https://100.100.100.200", "https://localhost", "https://a.localhost",
    "https://intranet", "https://a.local", "https://a.internal", "https://[64:ff9b::a9fe:a9fe]",
    "https://[2002:7f00:1::]", "https://[::]", "https://1.2.3",
]  # fmt: skip


@pytest.mark.parametrize("url", URLS)
def test_what_is_no_public_base_url_is_refused(stack: Stack, url: str) -> None:
    answer = set_upstream(stack, "orders", url)
    assert (answer.status, answer.json()["errors"][0]["field"]) == (422, "url")
    assert ask(stack, "GET", "orders").status == 404


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8080",
        "http://127.0.0.1:9/x",
        "https://10.0.0.1",
        "http://[::1]:80",
        "http://intranet/x",
        "https://orders.internal",
    ],
)
def test_a_deployment_may_allow_its_own_network(near: Stack, url: str) -> None:
    assert set_upstream(near, "orders", url).status == 200


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254",
        "http://0.0.0.0",
        "http://[fe80::1]",
        "http://[fd00:ec2::254]",
        "http://224.0.0.1",
        "http://2130706433",
    ],
)
def test_some_hosts_are_nobodys_upstream(near: Stack, url: str) -> None:
    assert set_upstream(near, "orders", url).status == 422


BAD: list[tuple[dict[str, Any], str]] = [
    ({"timeout_ms": 99}, "timeout_ms"),
    ({"timeout_ms": 25_001}, "timeout_ms"),
    ({"timeout_ms": 1.5}, "timeout_ms"),
    ({"authentication": "basic"}, "authentication"),
    ({"headers": {"Host": "x"}}, "headers"),
    ({"headers": {"host": "x"}}, "headers"),
    ({"headers": {"x-api-key": "x"}}, "headers"),
    ({"headers": {"x-forwarded-for": "1.2.3.4"}}, "headers"),
    ({"headers": {"x-millrace-key": "x"}}, "headers"),
    ({"headers": {"transfer-encoding": "chunked"}}, "headers"),
    ({"headers": {"content-length": "5"}}, "headers"),
    ({"headers": {"a b": "x"}}, "headers"),
    ({"headers": {"": "x"}}, "headers"),
    ({"headers": {"x": "a\r\nb: c"}}, "headers.x"),
    ({"headers": {"x": "é"}}, "headers.x"),
    ({"headers": {"x": "v" * 2001}}, "headers.x"),
    ({"headers": {f"x-{n}": "1" for n in range(21)}}, "headers"),
    ({"headers": []}, "headers"),
    ({"nonsense": 1}, "nonsense"),
]


@pytest.mark.parametrize(("change", "field"), BAD)
def test_a_bad_upstream_is_refused_by_name(
    stack: Stack, change: dict[str, Any], field: str
) -> None:
    answer = set_upstream(stack, "orders", URL, **change)
    assert (answer.status, answer.json()["errors"][0]["field"]) == (422, field)
    assert ask(stack, "GET", "orders").status == 404


@pytest.mark.parametrize("name", ["Orders", "-x", "a~b", "a_b", "a.b", "x" * 41, "%20", "a%23b"])
def test_a_bad_name_is_refused_and_never_found(stack: Stack, name: str) -> None:
    answer = set_upstream(stack, name, URL)
    assert (answer.status, answer.json()["errors"][0]["field"]) == (422, "name")
    assert ask(stack, "GET", name).status == 404
    assert ask(stack, "DELETE", name, **ANY).status == 404
