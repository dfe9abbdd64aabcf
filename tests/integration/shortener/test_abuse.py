"""What the public tries on a shortener: each refused with its field and reason, nothing stored."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.edge.validation import to_text
from tests.support.pump import Stack

GOOD = "https://example.com/"
URLS = {
    "script": "javascript:alert(1)",
    "data": "data:text/html,hi",
    "file": "file:///etc/passwd",
    "vbscript": "vbscript:x",
    "tab in the scheme": "java\tscript:alert(1)",
    "newline in the scheme": "ht\ntp://example.com/",
    "user name before the host": "https://bank.example@evil.example/",
    "header injection": "https://example.com/\r\nSet-Cookie: a=b",
    "backslash": "https://example.com\\@evil.example/",
    "own host": "https://sho.rt/abc",
    "IPv4 in octal": "http://0177.0.0.1/",
    "IPv4 in decimal": "http://2130706433/",
    "IPv4 in hex": "http://0x7f000001/",
    "IPv4 shortened": "http://127.1/",
    "IPv4 in fullwidth digits": "http://\uff11\uff12\uff17.\uff10.\uff10.\uff11/",
    "IPv6-mapped": "http://[::ffff:127.0.0.1]/",
    "loopback": "http://127.0.0.1/",
    "metadata service": "http://169.254.169.254/latest/meta-data/",
    "private IPv6": "http://[fd00::1]/",
    "mixed scripts": "https://p\u0430ypal.com/",
    "mixed scripts in punycode": "https://xn--pypal-4ve.com/",
    "right-to-left override": "https://example.com/\u202etxt.exe",
    "zero-width": "https://exam\u200bple.com/",
    "too long": GOOD.ljust(2049, "x"),
    "no host": "https:///path",
    "empty": "",
}
FIELDS: dict[str, tuple[str, dict[str, Any]]] = {
    "reserved alias": ("alias", {"alias": "v1"}),
    "reserved alias in capitals": ("alias", {"alias": "Robots.TXT"}),
    "alias with a slash": ("alias", {"alias": "a/b"}),
    "alias with an encoded slash": ("alias", {"alias": "a%2Fb"}),
    "alias of look-alikes": ("alias", {"alias": "p\u0430ypal"}),
    "alias with a control character": ("alias", {"alias": "a\u202eb"}),
    "expiry in the past": ("expires_at", {"expires_at": "2001-01-01T00:00:00Z"}),
    "expiry in the year 9999": ("expires_at", {"expires_at": "9999-12-31T23:59:59Z"}),
    "expiry without a zone": ("expires_at", {"expires_at": "2027-01-01T00:00:00"}),
    "expiry as a number": ("expires_at", {"expires_at": 1}),
    "start before the year 1": ("not_before", {"not_before": "0001-01-01T00:00:00+01:00"}),
    "start after the year 9999": ("not_before", {"not_before": "9999-12-31T23:59:59-01:00"}),
    "status that is no redirect": ("redirect_status", {"redirect_status": 200}),
    "status as text": ("redirect_status", {"redirect_status": "302"}),
    "unknown field": ("owner", {"owner": "somebody"}),
    "dedupe as text": ("dedupe", {"dedupe": "yes"}),
}

BODIES = {
    "no JSON": (400, "{"),
    "not a number": (422, '{"long_url": NaN}'),
    "lone surrogate": (400, '{"long_url": "https://example.com/\\ud800"}'),
    "deeply nested": (400, "[" * 30_000),
    "a list": (422, "[]"),
    "nothing": (400, ""),
    "an item of 400 KB": (413, json.dumps({"long_url": GOOD.ljust(400_000, "x")})),
}


@pytest.fixture
def stack(stack: Stack) -> Stack:
    """A stack whose short URLs start with https://sho.rt."""
    for name, function in stack.functions.items():
        if "PUBLIC_URL" in function.env:
            env = {**function.env, "PUBLIC_URL": "https://sho.rt"}
            stack.functions[name] = type(function)(**{**vars(function), "env": env})
    return stack


def refused(stack: Stack, field: str, **sent: Any) -> None:
    """Asserts a problem that names the field and a reason, and an empty store."""
    answer = stack.request("POST", "/v1/links", user="mallory", **sent)
    assert answer.status == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    [error] = answer.json()["errors"]
    assert error["field"] == field
    assert error["reason"]
    table = stack.functions["ShortenerCreate"].env["EVENTS_TABLE"]
    assert stack.client("dynamodb").scan(TableName=table)["Count"] == 0


@pytest.mark.parametrize("url", URLS.values(), ids=URLS.keys())
def test_a_hostile_target_is_refused(stack: Stack, url: str) -> None:
    refused(stack, "long_url", json={"long_url": url})


@pytest.mark.parametrize(("field", "body"), FIELDS.values(), ids=FIELDS.keys())
def test_a_bad_field_is_refused(stack: Stack, field: str, body: dict[str, Any]) -> None:
    refused(stack, field, json={"long_url": GOOD, **body})


def test_among_many_links_each_bad_one_is_refused(stack: Stack) -> None:
    hostile = [("long_url", {"long_url": url}) for url in URLS.values()]
    faulty = [(field, {"long_url": GOOD, **body}) for field, body in FIELDS.values()]
    links = [link for _, link in (*hostile, *faulty)]
    answer = stack.request("POST", "/v1/links/bulk", user="mallory", json={"links": links})
    problems = [item["problem"] for item in answer.json()["items"]]
    assert [[error["field"] for error in problem["errors"]] for problem in problems] == [
        [field] for field, _ in (*hostile, *faulty)
    ]
    assert {problem["status"] for problem in problems} == {422}
    table = stack.functions["ShortenerBulk"].env["EVENTS_TABLE"]
    assert stack.client("dynamodb").scan(TableName=table)["Count"] == 0


@pytest.mark.parametrize(("status", "body"), BODIES.values(), ids=BODIES.keys())
def test_a_body_that_is_no_request_is_refused(stack: Stack, status: int, body: str) -> None:
    headers = {"content-type": "application/json"}
    answer = stack.request("POST", "/v1/links", user="mallory", body=body, headers=headers)
    assert answer.status == status, answer.text
    assert "Traceback" not in answer.text


def test_a_case_pair_is_two_links(stack: Stack) -> None:
    for alias, target in (("Sale", "https://example.com/1"), ("sale", "https://example.com/2")):
        body = {"long_url": target, "alias": alias}
        assert stack.request("POST", "/v1/links", user="alice", json=body).status == 201
        assert stack.request("GET", f"/{alias}").headers["location"] == target


@pytest.mark.parametrize(
    "path", ["/a%2Fb", "/%00", "/..%2f", "/\u202e", "/" + "x" * 65, "/-", "/a b"], ids=ascii
)
def test_what_cannot_be_a_code_is_unknown_without_a_look_up(stack: Stack, path: str) -> None:
    with stack.meter.operation("redirect") as bill:
        assert stack.request("GET", path).status in (400, 404)
    assert bill.calls == []


def test_a_link_does_not_redirect_from_its_expiry_on(stack: Stack) -> None:
    expiry = stack.clock.now() + 60_000
    body = {"long_url": GOOD, "expires_at": to_text(expiry), "redirect_status": 301}
    code = stack.request("POST", "/v1/links", user="alice", json=body).json()["code"]
    stack.advance(30)
    kept = stack.request("GET", f"/{code}").headers["cache-control"]
    assert kept == "private, max-age=30"
    stack.advance(29.999)
    assert stack.request("GET", f"/{code}").status == 301
    stack.advance(0.001)
    assert stack.request("GET", f"/{code}").status == 410
    assert stack.request("HEAD", f"/{code}").status == 410
