"""Requests through the gateway, to a real server on this host."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.edge.limits.breaker import FAILURES
from functions.ratelimiter.forwarding import MAX_BODY
from tests.integration.ratelimiter.asking import (
    OPS,
    hold,
    make_key,
    set_upstream,
    through,
)
from tests.support.http_api import Response
from tests.support.pump import Stack
from tests.support.upstream import Upstream, said

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

HOST = "c0ffee00.execute-api.us-east-1.amazonaws.com"
ORDERS = "/gw/orders/**"


@pytest.fixture
def key(near: Stack, upstream: Upstream) -> str:
    """A key that is good for the upstream `orders`."""
    assert set_upstream(near, "orders", f"{upstream.url}/base").status == 200
    text: str = make_key(near, "gw:orders", "orders:write", json={"tier": "gold"})["key"]
    return text


def kind(answer: Response) -> tuple[int, str]:
    return answer.status, answer.json()["type"].rpartition(":")[2]


# ---- There and back ------------------------------------------------------------------------------


def test_a_request_comes_through_and_its_answer_back(
    near: Stack, upstream: Upstream, key: str
) -> None:
    upstream.answer = lambda _: said(b"made", "x-own: 1", status="201 Created", kind="text/plain")
    answer = through(
        near, key, "orders/a/b%20c/?q=%2f+x&q=2", "POST", json={"n": 1}, headers={"x-mine": "2"}
    )
    assert (answer.status, answer.body, answer.headers["x-own"]) == (201, b"made", "1")
    assert answer.headers["content-type"] == "text/plain"
    assert answer.headers["cache-control"] == "no-store"
    [seen] = upstream.seen
    assert (seen.method, seen.target, seen.body) == (
        "POST",
        "/base/a/b%20c/?q=%2f+x&q=2",
        b'{"n": 1}',
    )
    assert seen.header("x-mine") == "2"
    assert seen.header("host") == f"127.0.0.1:{upstream.port}"


@pytest.mark.parametrize("path", ["orders", "orders?x=1"])
def test_a_request_for_the_upstream_itself(
    near: Stack, upstream: Upstream, key: str, path: str
) -> None:
    assert through(near, key, path).status == 200
    assert upstream.seen[0].target == path.replace("orders", "/base")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_any_method_goes_through(near: Stack, upstream: Upstream, key: str, method: str) -> None:
    assert through(near, key, "orders/x", method).status == 200
    assert upstream.seen[0].method == method


def test_the_answer_to_head_has_the_length_and_no_body(
    near: Stack, upstream: Upstream, key: str
) -> None:
    upstream.answer = lambda _: said(b"x" * 9, 'etag: "1"').partition(b"x")[0]
    answer = through(near, key, "orders/x", "HEAD")
    assert (answer.status, answer.body, answer.headers["etag"]) == (200, b"", '"1"')
    assert through(near, key, "orders/x", "HEAD").status == 200
    assert upstream.connections == 1


def test_bytes_are_the_same_on_both_sides(near: Stack, upstream: Upstream, key: str) -> None:
    content = bytes(range(256)) * 4
    upstream.answer = lambda seen: said(seen.body[::-1], kind="application/json")
    sent = {"content-type": "application/octet-stream"}
    answer = through(near, key, "orders/x", "POST", body=content, headers=sent)
    assert upstream.seen[0].body == content
    assert answer.body == content[::-1]


def test_what_nobody_gave_a_type_is_octets(near: Stack, upstream: Upstream, key: str) -> None:
    upstream.answer = lambda _: said(b"\x00", kind="")
    assert through(near, key, "orders/x").headers["content-type"] == "application/octet-stream"


def test_a_chunked_answer_comes_whole(near: Stack, upstream: Upstream, key: str) -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    upstream.answer = lambda _: head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    answer = through(near, key, "orders/x")
    assert (answer.body, answer.headers.get("transfer-encoding")) == (b"abcde", None)


def test_a_connection_is_used_again(near: Stack, upstream: Upstream, key: str) -> None:
    for _ in range(3):
        assert through(near, key, "orders/x").status == 200
    assert (len(upstream.seen), upstream.connections) == (3, 1)


def test_a_connection_that_was_closed_is_made_anew(
    near: Stack, upstream: Upstream, key: str
) -> None:
    upstream.answer = lambda _: [said()]
    for _ in range(3):
        assert through(near, key, "orders/x").status == 200
    assert upstream.connections == 3


def test_cookies_go_both_ways_and_stay_below_the_upstream(
    near: Stack, upstream: Upstream, key: str
) -> None:
    upstream.answer = lambda _: said(
        b"", "set-cookie: a=1; Path=/; Domain=example.com; HttpOnly", "set-cookie: b=2; Secure",
        "set-cookie: __Host-c=3; Path=/; Secure",
    )  # fmt: skip
    answer = through(near, key, "orders/x", headers={"cookie": "a=1; b=2"})
    assert upstream.seen[0].header("cookie") == "a=1; b=2"
    assert answer.cookies == ("a=1; HttpOnly; Path=/gw/orders", "b=2; Secure; Path=/gw/orders")
    assert "set-cookie" not in answer.headers


def test_a_header_that_comes_twice_is_one_list(near: Stack, upstream: Upstream, key: str) -> None:
    upstream.answer = lambda _: said(b"", "vary: a", "vary: b", "link: </x>")
    headers = through(near, key, "orders/x").headers
    assert (headers["vary"], headers["link"]) == ("a, b", "</x>")


def test_a_redirect_is_an_answer(near: Stack, upstream: Upstream, key: str) -> None:
    upstream.answer = lambda _: said(b"", "location: /base/there?a=1", status="302 Found")
    answer = through(near, key, "orders/x")
    assert (answer.status, answer.headers["location"]) == (302, "/gw/orders/there?a=1")
    assert len(upstream.seen) == 1


def test_the_gateway_says_who_asks_and_believes_nobody(
    near: Stack, upstream: Upstream, key: str
) -> None:
    lies = {
        "x-forwarded-for": "1.2.3.4",
        "x_forwarded_for": "1.2.3.4",
        "forwarded": "for=1.2.3.4",
        "x-real-ip": "1.2.3.4",
        "x-millrace-scopes": "everything",
        "x-millrace-key": "somebody",
        "host": HOST,
        "connection": "close, x-secret",
        "x-secret": "hop",
        "te": "trailers",
        "via": "1.0 there",
        "x-correlation-id": "abc",
    }
    through(near, key, "orders/x", headers=lies)
    [seen] = upstream.seen
    names = [name for name, _ in seen.headers]
    assert not {"x-real-ip", "x_forwarded_for", "x-secret", "te", "connection"} & set(names)
    assert seen.header("x-api-key") is None
    assert seen.header("x-forwarded-for") == "203.0.113.7"
    assert seen.header("forwarded") == f"for=203.0.113.7;host={HOST};proto=https"
    assert seen.header("via") == f"1.0 there, 1.1 {HOST}"
    assert seen.header("x-correlation-id") == "abc"
    assert seen.header("x-millrace-scopes") == "gw:orders orders:write"
    assert seen.header("x-millrace-tier") == "gold"
    assert len(seen.header("x-millrace-key") or "") == 20
    assert key.rpartition("_")[2] not in str(seen)


def test_an_upstreams_headers_are_added_and_never_shown(near: Stack, upstream: Upstream) -> None:
    fixed = {"x-token": "s3cret", "authorization": "Basic x"}
    set_upstream(near, "orders", upstream.url, authentication="none", headers=fixed)
    through(near, None, "orders/x", headers={"authorization": "Bearer mine"})
    assert upstream.seen[0].header("authorization") == "Basic x"
    assert upstream.seen[0].header("x-token") == "s3cret"
    shown = near.request("GET", "/v1/upstreams/orders", user="olga")
    near.drain()
    listed = near.request("GET", "/v1/upstreams", user="olga")
    assert shown.json()["headers"] == ["authorization", "x-token"]
    assert "s3cret" not in shown.text + listed.text + json.dumps(near.logs)


def test_nothing_of_an_upstream_sets_the_hosts_policy(
    near: Stack, upstream: Upstream, key: str
) -> None:
    upstream.answer = lambda _: said(
        b"<script>", "strict-transport-security: max-age=1", "clear-site-data: *",
        "service-worker-allowed: /", "alt-svc: h2=x", "x-millrace-key: me", "keep-alive: 5",
        "content-security-policy: default-src *", kind="text/html",
    )  # fmt: skip
    headers = through(near, key, "orders/x").headers
    dropped = ("strict-transport-security", "clear-site-data", "service-worker-allowed")
    for name in (*dropped, "alt-svc", "x-millrace-key", "keep-alive", "content-length"):
        assert name not in headers
    assert headers["content-security-policy"] == "default-src *, sandbox"
    assert headers["x-content-type-options"] == "nosniff"


# ---- Who may -------------------------------------------------------------------------------------


def test_without_a_key_nobody_learns_what_there_is(
    near: Stack, upstream: Upstream, key: str
) -> None:
    for path in ("orders/x", "nothing/x", "Bad_Name/x", "default~orders/x", "other~orders/x"):
        answer = through(near, None, path)
        assert kind(answer) == (401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("ApiKey ")
    assert upstream.seen == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda key: key[:-1] + ("a" if key[-1] != "a" else "b"),
        lambda key: key + "a",
        lambda key: key.upper(),
        lambda key: key.replace("mr_", "mr__", 1),
        lambda key: "mr_",
        lambda key: "mr_mrswmylvnr2a_" + "0" * 20 + "_" + "a" * 40,
        lambda key: "mr_" + "a" * 5000,
        lambda key: key.replace("_", "_\x00", 1),
        lambda key: "mr_7777_" + key.split("_", 2)[2],
    ],
)
def test_a_key_that_is_none_is_refused(
    near: Stack, upstream: Upstream, key: str, spoil: Any
) -> None:
    assert kind(through(near, spoil(key), "orders/x")) == (401, "unauthenticated")
    assert upstream.seen == []


def test_a_key_opens_what_its_scopes_say(near: Stack, upstream: Upstream, key: str) -> None:
    set_upstream(near, "users", upstream.url)
    every = make_key(near, "gw:*")["key"]
    none = make_key(near, "orders:read")["key"]
    assert [through(near, each, "users").status for each in (key, every, none)] == [403, 200, 403]
    assert kind(through(near, key, "users")) == (403, "missing_scope")
    assert kind(through(near, key, "nothing")) == (404, "not_found")


def test_an_open_upstream_needs_no_key_and_a_bad_one_is_refused(
    near: Stack, upstream: Upstream, key: str
) -> None:
    set_upstream(near, "open", upstream.url, authentication="none")
    none = make_key(near)["key"]
    paths = ("open/x", "default~open/x")
    assert [through(near, None, path).status for path in paths] == [200, 200]
    assert [through(near, none, path).status for path in paths] == [200, 200]
    assert through(near, key[:-1] + "!", "open/x").status == 401


def test_a_key_of_the_upstreams_own_goes_on_to_it(near: Stack, upstream: Upstream) -> None:
    set_upstream(near, "open", upstream.url, authentication="none")
    assert through(near, "sk_upstreams_own", "open").status == 200
    assert upstream.seen[0].header("x-api-key") == "sk_upstreams_own"


def test_a_tenants_upstreams_are_its_own(near: Stack, upstream: Upstream, key: str) -> None:
    theirs = {**OPS, "custom:tenant": "acme"}
    set_upstream(near, "open", upstream.url, authentication="none", sent={"claims": theirs})
    set_upstream(near, "shut", upstream.url, sent={"claims": theirs})
    every = make_key(near, "gw:*", claims=theirs)["key"]
    assert through(near, None, "acme~open").status == 200
    assert through(near, None, "open").status == 401
    assert [through(near, every, path).status for path in ("shut", "acme~shut")] == [200, 200]
    assert kind(through(near, every, "orders")) == (404, "not_found")
    assert kind(through(near, every, "default~orders")) == (401, "unauthenticated")
    assert kind(through(near, key, "shut")) == (404, "not_found")


def test_a_key_that_was_revoked_is_refused_within_half_a_minute(
    near: Stack, upstream: Upstream
) -> None:
    set_upstream(near, "orders", upstream.url)
    made = make_key(near, "gw:*")
    assert through(near, made["key"], "orders").status == 200
    path, headers = f"/v1/keys/{made['id']}", {"if-match": "*"}
    gone = near.request("DELETE", path, user="olga", claims=OPS, headers=headers)
    assert gone.status == 204
    near.advance(30)
    assert through(near, made["key"], "orders").status == 401


def test_a_key_ends_at_its_time_though_it_is_remembered(near: Stack, upstream: Upstream) -> None:
    set_upstream(near, "orders", upstream.url)
    near.clock.milliseconds = 1_700_000_000_000
    ends = {"expires_at": "2023-11-14T22:13:30Z"}
    text = make_key(near, "gw:*", json=ends)["key"]
    assert through(near, text, "orders").status == 200
    near.advance(9)
    assert through(near, text, "orders").status == 200
    near.advance(1)
    assert through(near, text, "orders").status == 401


def rotate(near: Stack, made: dict[str, Any], grace_seconds: int) -> str:
    """The text of a key after its first rotation."""
    answer = near.request(
        "POST", f"/v1/keys/{made['id']}/rotate", user="olga", claims=OPS,
        headers={"if-match": '"1"'}, json={"grace_seconds": grace_seconds},
    )  # fmt: skip
    text: str = answer.json()["key"]
    return text


def test_a_rotated_keys_older_secret_ends_after_its_grace(near: Stack, upstream: Upstream) -> None:
    set_upstream(near, "orders", upstream.url)
    made = make_key(near, "gw:*")
    new = rotate(near, made, grace_seconds=60)
    both = (made["key"], new)
    assert both[0] != both[1]
    assert [through(near, each, "orders").status for each in both] == [200, 200]
    near.advance(59)
    assert [through(near, each, "orders").status for each in both] == [200, 200]
    near.advance(1)
    assert [through(near, each, "orders").status for each in both] == [401, 200]


def test_a_rotated_keys_new_secret_is_good_where_the_key_is_remembered(
    near: Stack, upstream: Upstream
) -> None:
    set_upstream(near, "orders", upstream.url)
    made = make_key(near, "gw:*")
    assert through(near, made["key"], "orders").status == 200
    near.advance(1)
    new = rotate(near, made, grace_seconds=0)
    assert through(near, new, "orders").status == 200
    assert through(near, made["key"], "orders").status == 401


def test_a_wrong_secret_is_looked_up_once_a_second(near: Stack, upstream: Upstream) -> None:
    set_upstream(near, "orders", upstream.url)
    text = make_key(near, "gw:*")["key"]
    wrong = f"{text[:-1]}{'a' if text[-1] != 'a' else 'b'}"
    assert through(near, text, "orders").status == 200
    for seconds, reads in ((0, 0), (0.9, 0), (0.1, 1), (0, 0), (1, 1)):
        near.advance(seconds)
        with near.meter.operation("wrong secret") as bill:
            assert [through(near, wrong, "orders").status for _ in range(5)] == [401] * 5
        assert [each.operation for each in bill.calls] == ["Query"] * reads


def test_while_the_store_does_not_answer_nobody_goes_by_what_is_old(
    near: Stack, upstream: Upstream, key: str
) -> None:
    assert through(near, key, "orders").status == 200
    near.faults.throttle("dynamodb", "Query", times=100)
    assert through(near, key, "orders").status == 200
    near.advance(30)
    assert kind(through(near, key, "orders")) == (503, "unavailable")


# ---- How often -----------------------------------------------------------------------------------

RULE: dict[str, Any] = {
    "name": "orders", "endpoint": ORDERS, "limit": 2, "window": "60s", "identifiers": ["api_key"],
}  # fmt: skip


def test_a_keys_requests_are_counted_and_told(near: Stack, upstream: Upstream, key: str) -> None:
    hold(near, RULE)
    upstream.answer = lambda _: said(b"", "x-ratelimit-limit: 9", "retry-after: 7")
    answers = [through(near, key, "orders/x") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["1", "0", "0"]
    assert [answer.headers["retry-after"] for answer in answers] == ["7", "7", "30"]
    assert answers[0].headers["x-ratelimit-limit"] == "2"
    assert kind(answers[2]) == (429, "rate_limited")
    assert len(upstream.seen) == 2
    other = make_key(near, "gw:*")["key"]
    assert through(near, other, "orders/x").status == 200


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"identifiers": ["ip"]}, "orders/x"),
        ({"identifiers": ["tenant"]}, "orders/x"),
        ({"identifiers": ["header:x-user"]}, "orders/x"),
        ({"tier": "gold"}, "orders/x"),
        ({"methods": ["GET"]}, "orders/x"),
        ({"endpoint": "/gw/orders/x"}, "default~orders/x"),
    ],
)
def test_rules_know_a_request_by_all_that_it_is(
    near: Stack, upstream: Upstream, key: str, change: dict[str, Any], path: str
) -> None:
    hold(near, {**RULE, **change})
    user = {"x-user": "ada"}
    found = [through(near, key, path, headers=user).status for _ in range(3)]
    assert found == [200, 200, 429]


def test_what_is_not_let_through_takes_of_no_limit(
    near: Stack, upstream: Upstream, key: str
) -> None:
    hold(near, {**RULE, "identifiers": ["ip"]})
    for spoilt, path in ((key[:-1] + "!", "orders/x"), (None, "orders/x"), (key, "orders/a//b")):
        assert through(near, spoilt, path).status in (400, 401)
    assert through(near, key, "orders/x").headers["x-ratelimit-remaining"] == "1"


def test_a_failure_of_the_upstream_was_a_request_all_the_same(
    near: Stack, upstream: Upstream, key: str
) -> None:
    hold(near, RULE)
    upstream.answer = lambda _: b"nonsense\r\n\r\n"
    answer = through(near, key, "orders/x")
    assert kind(answer) == (502, "upstream_malformed")
    assert answer.headers["x-ratelimit-remaining"] == "1"


@pytest.mark.parametrize(("fail", "status"), [("open", 200), ("closed", 503)])
def test_what_cannot_be_counted_is_decided_by_the_rule(
    near: Stack, upstream: Upstream, key: str, fail: str, status: int
) -> None:
    hold(near, {**RULE, "fail": fail})
    near.faults.fail("dynamodb", "UpdateItem", "InternalServerError", times=100)
    assert through(near, key, "orders/x").status == status
    assert len(upstream.seen) == (status == 200)


# ---- What is bad ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trick",
    [
        "../secret", "a/../../secret", "%2e%2e/secret", "%252e%252e/secret", "a/%2e%2e%2fsecret",
        "./a", "a/./b", "a//b", "//evil.example/x", "%2f%2fevil.example", "\\evil", "a%5c..%5cb",
        "a%0d%0aHost:%20evil", "..;/secret", "a/..;x=1/../b", "..%253bx/y",
        "a%00b", "..", ".", "%2e", "%25252e%25252e/x", "..%2f..%2f",
    ],
)  # fmt: skip
def test_a_path_of_tricks_goes_nowhere(
    near: Stack, upstream: Upstream, key: str, trick: str
) -> None:
    assert kind(through(near, key, f"orders/{trick}")) == (400, "bad_path")
    assert upstream.seen == []


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("@evil.example/x", "/base/@evil.example/x"),
        (":80/x", "/base/:80/x"),
        ("a%3fb%23c", "/base/a"),
        ("http://evil.example", None),
        ("...", "/base/..."),
        ("a%25b", "/base/a%25b"),
        ("%C3%A9/%F0%9F%98%80", "/base/%C3%A9/%F0%9F%98%80"),
        ("a;b=1,2/(c)", "/base/a;b=1,2/(c)"),
    ],
)
def test_a_strange_path_stays_below_the_base(
    near: Stack, upstream: Upstream, key: str, path: str, target: str | None
) -> None:
    answer = through(near, key, f"orders/{path}")
    assert [seen.target for seen in upstream.seen] == ([target] if target else [])
    assert answer.status == (200 if target else 400)


def test_a_query_breaks_no_line(near: Stack, upstream: Upstream, key: str) -> None:
    through(near, key, "orders/x?a=1 HTTP/1.1\r\nx-evil: 1#f")
    [seen] = upstream.seen
    assert seen.target == "/base/x?a=1%20HTTP/1.1%0D%0Ax-evil:%201%23f"
    assert seen.header("x-evil") is None


def test_a_request_that_goes_in_a_circle_is_ended(
    near: Stack, upstream: Upstream, key: str
) -> None:
    via = {"via": f"1.1 other, 1.1  {HOST}"}
    assert kind(through(near, key, "orders/x", headers=via)) == (508, "loop")
    assert upstream.seen == []


@pytest.mark.parametrize(("size", "status"), [(MAX_BODY, 200), (MAX_BODY + 1, 413)])
def test_a_body_is_as_large_as_lambda_takes(
    near: Stack, upstream: Upstream, key: str, size: int, status: int
) -> None:
    sent = {"content-type": "application/octet-stream"}
    answer = through(near, key, "orders/x", "POST", body=b"x" * size, headers=sent)
    assert answer.status == status
    assert [len(seen.body) for seen in upstream.seen] == ([size] if status == 200 else [])


@pytest.mark.parametrize(
    ("size", "expected"), [(MAX_BODY, 200), (MAX_BODY + 1, 502), (3 * MAX_BODY, 502)]
)
def test_an_answer_is_as_large_as_lambda_returns(
    near: Stack, upstream: Upstream, key: str, size: int, expected: int
) -> None:
    upstream.answer = lambda _: said(b"x" * size)
    answer = through(near, key, "orders/x")
    assert answer.status == expected
    if expected == 200:
        # AWS Lambda Developer Guide, quotas: invocation payload, 6 MB.
        assert len(json.dumps({"body": "x" * (4 * -(-size // 3))})) + 65_536 < 6 * 1024 * 1024
    else:
        assert kind(answer) == (502, "upstream_too_large")
        # What was not read to its end is not taken for the next answer.
        upstream.answer = lambda _: said(b"next")
        assert through(near, key, "orders/x").body == b"next"


def test_more_header_fields_than_lambda_returns_are_too_many(
    near: Stack, upstream: Upstream, key: str
) -> None:
    upstream.answer = lambda _: said(b"", *(f"x-{n}: {'v' * 1000}" for n in range(40)))
    assert kind(through(near, key, "orders/x")) == (502, "upstream_too_large")


def test_a_long_header_is_counted_by_all_of_it(near: Stack, upstream: Upstream, key: str) -> None:
    hold(near, {**RULE, "limit": 1, "identifiers": ["header:authorization"]})
    tokens = ["Bearer " + "h" * 505 + name for name in ("ada", "bob", "ada", "\uff41\uff44\uff41")]
    answers = [through(near, key, "orders/x", headers={"authorization": token}) for token in tokens]
    assert [answer.status for answer in answers] == [200, 200, 429, 429]


# ---- What is in flight ------------------------------------------------------------------------


def test_what_is_in_flight_is_given_back_when_it_is_over(
    near: Stack, upstream: Upstream, key: str
) -> None:
    hold(near, {**RULE, "algorithm": "concurrency", "limit": 1})
    inside: list[int] = []

    def answer(_: object) -> bytes:
        if not inside:
            inside.append(0)
            inside[0] = through(near, key, "orders/y").status
        return said()

    upstream.answer = answer
    assert through(near, key, "orders/x").status == 200
    upstream.answer = lambda _: b"nonsense\r\n\r\n"
    assert [through(near, key, "orders/x").status for _ in range(2)] == [502, 502]
    near.faults.throttle("dynamodb", "GetItem", times=100)
    assert through(near, key, "orders/x").status == 502
    near.faults.clear()
    assert near.logs[-1]["unreleased_slots"] == 1
    assert through(near, key, "orders/x").status == 429


def test_a_table_that_does_not_answer_delays_no_answer_that_is_there(
    near: Stack, upstream: Upstream, key: str
) -> None:
    hold(near, {**RULE, "algorithm": "concurrency"})
    assert through(near, key, "orders/x").status == 200
    for operation in ("UpdateItem", "GetItem"):
        near.faults.fail("dynamodb", operation, "InternalServerError", status=500, times=1000)
    made = []
    for _ in range(FAILURES + 1):
        with near.meter.operation("through") as bill:
            assert through(near, key, "orders/x").status == 200
        made.append([call.operation for call in bill.calls])
    near.faults.clear()
    # Once each, and then the table is left alone.
    assert made == [["UpdateItem", "GetItem"]] * FAILURES + [[]]


def test_who_is_on_a_list_is_not_counted(near: Stack, upstream: Upstream, key: str) -> None:
    listed = [{"ip": "203.0.113.7"}]
    for name, statuses in (("allow", [200] * 4), ("deny", [403] * 4)):
        body = {"rules": [RULE], name: listed}
        published = near.request("PUT", "/v1/rules", user="olga", claims=OPS, json=body).json()
        near.request("POST", f"/v1/rules/{published['version']}/activate", user="olga", claims=OPS)
        near.cold_start()
        assert [through(near, key, "orders/x").status for _ in range(4)] == statuses


def test_a_denial_is_told_of_without_the_key(near: Stack, upstream: Upstream, key: str) -> None:
    hold(near, RULE)
    assert [through(near, key, "orders/x").status for _ in range(3)] == [200, 200, 429]
    near.drain()
    [told] = near.request("GET", "/v1/denials", user="olga").json()["items"]
    assert (told["rule"], told["kind"], told["endpoint"]) == ("orders", "api_key", "/gw/orders/x")
    assert told["identity"].startswith("sha256:")
