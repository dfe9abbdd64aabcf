"""API keys over HTTP: made, told once, listed, rotated, revoked."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from functions.edge.validation import to_text
from tests.integration.ratelimiter.asking import OPS, make_key
from tests.support.http_api import Response
from tests.support.pump import Stack

DAY = 86_400


def ask(stack: Stack, method: str, path: str = "", **more: Any) -> Response:
    """A request about keys, by who may do all."""
    return stack.request(method, f"/v1/keys{path}", **{"user": "olga", "claims": OPS, **more})


def rotate(stack: Stack, key: dict[str, Any], match: str = "*", **body: Any) -> Response:
    headers = {"if-match": match}
    return ask(stack, "POST", f"/{key['id']}/rotate", headers=headers, json=body)


def revoke(stack: Stack, key: dict[str, Any], match: str = "*") -> Response:
    return ask(stack, "DELETE", f"/{key['id']}", headers={"if-match": match})


def stored(stack: Stack) -> str:
    """All that is kept, as text."""
    env = stack.functions["RatelimiterProject"].env
    client = stack.client("dynamodb")
    tables = [env["EVENTS_TABLE"], env["VIEWS_TABLE"]]
    return repr([client.scan(TableName=table)["Items"] for table in tables])


def test_a_key_is_told_when_it_is_made_and_never_kept(stack: Stack) -> None:
    answer = ask(stack, "POST", json={"name": "a key", "scopes": ["gw:*", "x"], "tier": "gold"})
    made = answer.json()
    text = made.pop("key")
    assert made == {
        "id": made["id"],
        "name": "a key",
        "scopes": ["gw:*", "x"],
        "tier": "gold",
        "created_at": to_text(stack.clock.now()),
        "expires_at": None,
        "rotated_at": None,
        "older_until": [],
        "version": 1,
    }
    assert (answer.headers["etag"], answer.status) == ('"1"', 201)
    assert answer.headers["location"].endswith(f"/v1/keys/{made['id']}")
    prefix, tenant, key, secret = text.split("_")
    assert (prefix, key) == ("mr", made["id"])
    assert base64.b32decode(tenant.upper() + "=" * (-len(tenant) % 8)) == b"default"
    # Of 32 letters each: five bits.
    assert len(secret) * 5 >= 160
    stack.drain()
    assert ask(stack, "GET", f"/{key}").json() == made
    assert ask(stack, "GET").json()["items"] == [made]
    assert secret not in stored(stack) + json.dumps(stack.logs)


def test_a_repeat_is_told_the_same_key_for_a_day(stack: Stack) -> None:
    once: dict[str, Any] = {"headers": {"idempotency-key": "k"}}
    made = make_key(stack, "gw:*", **once)
    stack.cold_start()
    assert make_key(stack, "gw:*", **once) == made
    stack.advance(DAY - 1)
    assert make_key(stack, "gw:*", **once) == made
    stack.advance(1)
    assert make_key(stack, "gw:*", **once) == {**made, "key": None}
    assert ask(stack, "POST", json={"name": "b", "scopes": []}, **once).status == 422
    other = make_key(stack, "gw:*", user="eve", **once)
    assert other["id"] != made["id"]


def test_a_lost_answer_loses_no_key(stack: Stack) -> None:
    stack.faults.lose_response("dynamodb", "PutItem")
    assert make_key(stack)["key"]
    ends = {"expires_at": to_text(stack.clock.now() + 60_000)}
    once = {"headers": {"idempotency-key": "k"}, "json": ends}
    made = make_key(stack, **once)
    stack.advance(61)
    assert make_key(stack, **once) == made


def test_no_two_keys_are_the_same(stack: Stack) -> None:
    keys = [make_key(stack)["key"] for _ in range(20)]
    assert len({part for key in keys for part in key.split("_")[2:]}) == 40


def test_a_rotation_tells_another_secret_and_lets_the_older_end(stack: Stack) -> None:
    made, now = make_key(stack), stack.clock.now()
    rotated = rotate(stack, made, '"1"')
    found = rotated.json()
    assert (rotated.status, found["version"], rotated.headers["etag"]) == (200, 2, '"2"')
    assert found["key"].rpartition("_")[0] == made["key"].rpartition("_")[0]
    assert found["key"] != made["key"]
    assert found["older_until"] == [to_text(now + DAY * 1000)]
    at_once = rotate(stack, made, grace_seconds=0).json()
    assert at_once["older_until"] == []
    assert len({made["key"], found["key"], at_once["key"]}) == 3


def test_a_key_that_has_ended_is_not_rotated(stack: Stack) -> None:
    made = make_key(stack, json={"expires_at": to_text(stack.clock.now() + 60_000)})
    sent = {"headers": {"if-match": '"1"', "idempotency-key": "r"}, "json": {}}
    rotated = ask(stack, "POST", f"/{made['id']}/rotate", **sent)
    stack.advance(60)
    assert rotate(stack, rotated.json()).status == 422
    # What was done before is told again.
    assert ask(stack, "POST", f"/{made['id']}/rotate", **sent).json() == rotated.json()


def test_a_repeated_rotation_rotates_once_and_tells_the_same(stack: Stack) -> None:
    made = make_key(stack)
    sent = {"headers": {"if-match": '"1"', "idempotency-key": "r"}, "json": {}}
    answers = [ask(stack, "POST", f"/{made['id']}/rotate", **sent).json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert ask(stack, "GET", f"/{made['id']}").json()["version"] == 2
    stack.advance(DAY)
    assert ask(stack, "POST", f"/{made['id']}/rotate", **sent).json()["key"] is None


def test_who_rotates_what_another_has_rotated_meanwhile_is_told(stack: Stack) -> None:
    made = make_key(stack)
    assert rotate(stack, made, '"1"').status == 200
    assert rotate(stack, made, '"1"').status == 412
    assert ask(stack, "POST", f"/{made['id']}/rotate", json={}).status == 428
    assert ask(stack, "DELETE", f"/{made['id']}").status == 428
    assert revoke(stack, made, '"1"').status == 412


def test_a_revoked_key_is_gone_and_leaves_the_list(stack: Stack) -> None:
    made, kept = make_key(stack), make_key(stack)
    stack.drain()
    assert revoke(stack, made).status == 204
    stack.drain()
    path = f"/{made['id']}"
    assert ask(stack, "GET", path).status == 410
    assert (rotate(stack, made).status, revoke(stack, made).status) == (410, 410)
    listed = ask(stack, "GET").json()["items"]
    assert [each["id"] for each in listed] == [kept["id"]]


def test_a_tenants_keys_are_its_own(stack: Stack) -> None:
    made = make_key(stack)
    stack.drain()
    other = {**OPS, "custom:tenant": "acme"}
    for method, path, sent in (
        ("GET", "", None),
        ("POST", "/rotate", {}),
        ("DELETE", "", None),
    ):
        headers = {"if-match": "*"}
        found = ask(stack, method, f"/{made['id']}{path}", claims=other, headers=headers, json=sent)
        assert found.status == 404
    assert ask(stack, "GET", claims=other).json()["items"] == []


@pytest.mark.parametrize("name", ["0" * 20, "0" * 19, "A" * 20, "..", "a#b", "x" * 2000])
def test_what_is_no_key_is_not_found(stack: Stack, name: str) -> None:
    assert ask(stack, "GET", f"/{name}".replace("#", "%23")).status == 404


def test_lists_go_on_where_they_stopped_newest_first(stack: Stack) -> None:
    names = []
    for _ in range(5):
        stack.advance(1)
        names.append(make_key(stack)["id"])
    stack.drain()
    found, cursor = [], None
    for _ in range(3):
        query = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = ask(stack, "GET", query=query).json()
        found += [each["id"] for each in page["items"]]
        cursor = page["next_cursor"]
    assert (found, cursor) == (names[::-1], None)
    other = {**OPS, "custom:tenant": "acme"}
    first = ask(stack, "GET", query={"limit": "2"}).json()["next_cursor"]
    assert ask(stack, "GET", query={"cursor": first}, claims=other).status == 400
    upstreams = stack.request("GET", "/v1/upstreams", user="olga", query={"cursor": first})
    assert upstreams.status == 400


BAD: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": "a\nb"}, "name"),
    ({"name": "x" * 101}, "name"),
    ({"name": None}, "name"),
    ({"scopes": ["a b"]}, "scopes.0"),
    ({"scopes": [""]}, "scopes.0"),
    ({"scopes": ["é"]}, "scopes.0"),
    ({"scopes": ["a", "a"]}, "scopes"),
    ({"scopes": [str(n) for n in range(21)]}, "scopes"),
    ({"scopes": "gw:*"}, "scopes"),
    ({"tier": ""}, "tier"),
    ({"expires_at": "soon"}, "expires_at"),
    ({"expires_at": "1999-01-01T00:00:00Z"}, "expires_at"),
    ({"expires_at": 5}, "expires_at"),
    ({"expires_at": "9999-12-31T23:59:59-01:00"}, "expires_at"),
    ({"secret": "mine"}, "secret"),
]


@pytest.mark.parametrize(("change", "field"), BAD)
def test_a_bad_key_is_refused_by_name_and_none_is_made(
    stack: Stack, change: dict[str, Any], field: str
) -> None:
    answer = ask(stack, "POST", json={"name": "a key", "scopes": [], **change})
    assert (answer.status, answer.json()["errors"][0]["field"]) == (422, field)
    stack.drain()
    assert ask(stack, "GET").json()["items"] == []


@pytest.mark.parametrize("grace", [-1, 30 * DAY + 1, 0.5, "1d", True])
def test_a_grace_is_of_thirty_days_at_most(stack: Stack, grace: Any) -> None:
    made = make_key(stack)
    answer = rotate(stack, made, grace_seconds=grace)
    assert (answer.status, answer.json()["errors"][0]["field"]) == (422, "grace_seconds")
    assert rotate(stack, made, grace_seconds=30 * DAY).status == 200


def test_who_may_not_change_keys_may_look_at_them(stack: Stack) -> None:
    made = make_key(stack)
    reads = {"custom:scopes": "ratelimiter:read ratelimiter:write"}
    assert ask(stack, "GET", claims=reads).status == 200
    assert ask(stack, "GET", f"/{made['id']}", claims=reads).status == 200
    sent: dict[str, Any] = {"claims": reads, "headers": {"if-match": "*"}}
    for method, path, body in (
        ("POST", "", {"name": "a", "scopes": []}),
        ("POST", f"/{made['id']}/rotate", {}),
        ("DELETE", f"/{made['id']}", None),
    ):
        assert ask(stack, method, path, json=body, **sent).status == 403
