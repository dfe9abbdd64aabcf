from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.ratelimiter.asking import LOGIN, activate, check, hold, publish
from tests.support.pump import Stack

IP = "203.0.113.7"
ONE = {**LOGIN, "limit": 1}


def hold_lists(stack: Stack, **lists: Any) -> None:
    """Has one login a minute hold, with these lists."""
    body = {"rules": [ONE], **lists}
    published = publish(stack, json=body)
    assert published.status == 200, published.text
    assert activate(stack, published.json()["version"]).status == 200
    stack.advance(31)


def statuses(stack: Stack, **body: Any) -> list[int]:
    return [check(stack, "/api/login", **{"ip": IP, **body}).status for _ in range(2)]


def test_who_is_denied_is_refused_without_a_call_but_for_its_sample(stack: Stack) -> None:
    hold_lists(stack, deny=[{"user": "mallory"}])
    assert statuses(stack, user="ada") == [200, 429]
    before = len(stack.meter.calls)
    answer = check(stack, "/api/login", ip="203.0.113.8", user="mallory")
    assert (answer.status, answer.json()["type"]) == (403, "urn:millrace:problem:denied")
    assert stack.logs[-1]["denied"] == 1
    assert check(stack, "/api/login", ip="203.0.113.8", user="mallory").status == 403
    assert [call.name for call in stack.meter.calls[before:]] == ["sqs:SendMessage"]
    assert statuses(stack, ip="203.0.113.8") == [200, 429]


def test_who_is_allowed_is_neither_counted_nor_looked_up(stack: Stack) -> None:
    hold_lists(stack, allow=[{"ip": "203.0.113.0/24"}])
    assert statuses(stack, ip="198.51.100.1") == [200, 429]
    before = len(stack.meter.calls)
    answer = check(stack, "/api/login", ip=IP)
    assert (answer.status, answer.json()) == (200, {"allowed": True, "limits": []})
    assert len(stack.meter.calls) == before
    assert statuses(stack) == [200, 200]


def test_deny_wins_over_allow(stack: Stack) -> None:
    hold_lists(stack, allow=[{"ip": "203.0.113.0/24"}], deny=[{"ip": IP}])
    assert statuses(stack) == [403, 403]
    assert statuses(stack, ip="203.0.113.8") == [200, 200]


@pytest.mark.parametrize(
    ("entry", "body"),
    [
        ({"user": "mallory"}, {"user": "mallory"}),
        ({"api_key": "k1"}, {"api_key": "k1"}),
        ({"tenant": "acme"}, {"tenant": "acme"}),
        ({"header:x-bot": "1"}, {"headers": {"X-Bot": "1"}}),
        ({"user": "caf\u00e9"}, {"user": "cafe\u0301"}),
        ({"ip": IP}, {"ip": f" {IP}"}),
        ({"ip": IP}, {"ip": f"::ffff:{IP}"}),
        ({"ip": "2001:DB8::/32"}, {"ip": "2001:db8:ffff::1"}),
        # Not its whole /64, which is what a limit counts.
        ({"ip": "2001:db8:1:2::9"}, {"ip": "2001:db8:1:2:0::9"}),
    ],
)
def test_somebody_is_known_in_any_spelling(
    stack: Stack, entry: dict[str, str], body: dict[str, Any]
) -> None:
    hold_lists(stack, deny=[entry])
    assert statuses(stack, **body) == [403, 403]
    assert statuses(stack, ip="2001:db9:1:2::8", user="ada") == [200, 429]


def test_one_address_of_a_network_is_not_the_others(stack: Stack) -> None:
    hold_lists(stack, deny=[{"ip": "2001:db8:1:2::9"}])
    assert statuses(stack, ip="2001:db8:1:2::8") == [200, 429]


def test_lists_hold_with_their_version_and_go_with_it(stack: Stack) -> None:
    hold_lists(stack)
    hold_lists(stack, deny=[{"ip": IP}])
    assert statuses(stack) == [403, 403]
    shown = stack.request("GET", "/v1/rules", user="olga").json()
    assert (shown["active"], shown["allow"], shown["deny"]) == (2, [], [{"ip": IP}])
    assert activate(stack, 1).json()["deny"] == []
    stack.advance(31)
    assert statuses(stack) == [200, 429]


def as_before(item: Any) -> dict[str, Any]:
    """A commit's events and state with rules that are a list."""

    def listed(rules: str) -> str:
        return rules if rules == "[]" else json.dumps(json.loads(rules)["rules"])

    events = json.loads(item["e"]["S"])
    for _, _, data in events:
        data["rules"] = listed(data["rules"])
    changed = {"e": {"S": json.dumps(events)}}
    if "s" in item:
        schema, state = json.loads(item["s"]["S"])
        state.update(newest=listed(state["newest"]), holding=listed(state["holding"]))
        changed["s"] = {"S": json.dumps([schema, state])}
    return changed


def test_rules_that_were_stored_before_there_were_lists_hold_on(stack: Stack) -> None:
    hold(stack, ONE)
    table = stack.functions["RatelimiterRules"].env["EVENTS_TABLE"]
    dynamodb = stack.client("dynamodb")
    for item in dynamodb.scan(TableName=table)["Items"]:
        dynamodb.put_item(TableName=table, Item={**item, **as_before(item)})
    assert statuses(stack) == [200, 429]
    assert stack.request("GET", "/v1/rules", user="olga").json()["deny"] == []


def test_full_lists_can_be_kept(stack: Stack) -> None:
    for third in range(3):
        hold_lists(
            stack,
            allow=[{"user": f"{n:011}"} for n in range(200)],
            deny=[{"ip": f"10.{third}.{n}.0/24"} for n in range(200)],
        )
    assert statuses(stack, ip="10.2.199.9") == [403, 403]
    assert statuses(stack, user=f"{199:011}") == [200, 200]


BAD: list[tuple[Any, str]] = [
    ([{"ip": "10.0.0.1/8"}], "deny.0"),
    ([{"ip": "localhost"}], "deny.0"),
    ([{"ip": "::ffff:10.0.0.1"}], "deny.0"),
    ([{"ip": IP}, {"ip": "10.0.0.0/255.0.0.0"}], "deny.1"),
    ([{}], "deny.0"),
    ([{"user": "ada", "ip": IP}], "deny.0"),
    ([{"shoe_size": "44"}], "deny.0.shoe_size.[key]"),
    ([{"header:X Y": "1"}], "deny.0.header:X Y.[key]"),
    ([{"user": ""}], "deny.0.user"),
    ([{"user": "a" * 513}], "deny.0.user"),
    ([{"user": 7}], "deny.0.user"),
    ([{"user": None}], "deny.0.user"),
    (["ada"], "deny.0"),
    ([{"user": f"{n}"} for n in range(201)], "deny"),
    ({"user": "ada"}, "deny"),
    (None, "deny"),
]


@pytest.mark.parametrize(("deny", "field"), BAD)
def test_a_bad_entry_is_refused_by_name_and_nothing_is_published(
    stack: Stack, deny: Any, field: str
) -> None:
    answer = publish(stack, json={"rules": [ONE], "deny": deny})
    assert (answer.status, answer.json()["errors"][0]["field"]) == (422, field)
    assert stack.request("GET", "/v1/rules", user="olga").json()["versions"] == []


def test_every_fault_is_named(stack: Stack) -> None:
    body = {"rules": [{**ONE, "limit": 0}], "allow": [{"ip": "x"}], "deny": [{"ip": "y"}]}
    fields = [error["field"] for error in publish(stack, json=body).json()["errors"]]
    assert fields == ["rules.0.limit", "allow.0", "deny.0"]


@pytest.mark.parametrize(
    ("letter", "stored"), [('"', 4), ("\\", 4), ("\x01", 7), ("\u20ac", 3), ("a", 1)]
)
def test_lists_that_no_commit_could_hold_are_refused(
    stack: Stack, letter: str, stored: int
) -> None:
    def deny(size: int, first: str) -> list[dict[str, str]]:
        number = size // (500 * stored)
        return [{"user": f"{first}{n:02}" + letter * 500} for n in range(number)]

    answer = publish(stack, json={"rules": [ONE], "deny": deny(22_000, "x")})
    assert answer.status == 422
    assert answer.json()["errors"][0]["reason"] == "the rules and lists are above 20000 bytes"
    for version in "abc":
        hold_lists(stack, deny=deny(19_000, version))
