from __future__ import annotations

from typing import Any

import pytest

from tests.integration.ratelimiter.asking import LOGIN, OPS, SAMPLE, activate, check, hold, publish
from tests.support.pump import Stack

IP = "203.0.113.7"


def read(stack: Stack, **query: str) -> dict[str, Any]:
    answer = stack.request("GET", "/v1/rules", user="olga", query=query)
    assert answer.status == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_what_is_published_holds_once_it_is_activated(stack: Stack) -> None:
    nothing: dict[str, Any] = {"version": None, "active": None, "versions": []}
    assert read(stack) == {**nothing, "rules": [], "allow": [], "deny": []}
    assert publish(stack, {**LOGIN, "limit": 1}).json()["version"] == 1
    assert [check(stack, "/api/login", ip=IP).status for _ in range(3)] == [200] * 3
    assert activate(stack, 1).json()["active"] == 1
    assert [check(stack, "/api/login", ip=IP).status for _ in range(2)] == [200, 200]
    stack.advance(31)
    assert [check(stack, "/api/login", ip=IP).status for _ in range(2)] == [200, 429]


def test_a_version_is_whole_and_an_earlier_one_can_be_had_again(stack: Stack) -> None:
    for limit in (1, 2, 3):
        hold(stack, {**LOGIN, "limit": limit})
    assert read(stack)["rules"][0]["limit"] == 3
    assert activate(stack, 1).json()["rules"][0]["limit"] == 1
    found = read(stack)
    assert (found["active"], found["rules"][0]["limit"]) == (1, 1)
    assert [each["version"] for each in found["versions"]] == [1, 2, 3]
    assert [read(stack, version=str(n))["rules"][0]["limit"] for n in (1, 2, 3)] == [1, 2, 3]
    table = stack.functions["RatelimiterRules"].env["EVENTS_TABLE"]
    events = stack.client("dynamodb").scan(TableName=table)["Items"]
    assert sum("RulesRolledBack" in each["e"]["S"] for each in events) == 1


def test_the_same_rules_are_the_same_version(stack: Stack) -> None:
    versions = [publish(stack, LOGIN).json()["version"] for _ in range(2)]
    versions.append(publish(stack, {**LOGIN, "window": "1m"}).json()["version"])
    assert versions == [1, 1, 1]
    assert publish(stack, {**LOGIN, "window": "2m"}).json()["version"] == 2
    assert activate(stack, 1).json() == activate(stack, 1).json()


def test_a_repeat_says_what_the_first_did(stack: Stack) -> None:
    once = {"headers": {"idempotency-key": "k"}}
    first = publish(stack, LOGIN)
    again = [publish(stack, {**LOGIN, "limit": 9}, **once).json()["version"] for _ in range(2)]
    assert publish(stack, LOGIN).json()["version"] == 3
    assert publish(stack, {**LOGIN, "limit": 9}, **once).json()["version"] == 2
    assert (first.json()["version"], again) == (1, [2, 2])


def test_fifty_versions_can_be_had_again(stack: Stack) -> None:
    for limit in range(1, 53):
        publish(stack, {**LOGIN, "limit": limit})
    assert [each["version"] for each in read(stack)["versions"]] == list(range(3, 53))
    assert activate(stack, 2).status == 404
    assert activate(stack, 3).json()["rules"][0]["limit"] == 3


def test_a_tenant_has_rules_of_its_own(stack: Stack) -> None:
    hold(stack, {**LOGIN, "limit": 1})
    other = {**OPS, "custom:tenant": "other"}
    mine = stack.request("GET", "/v1/rules", user="olga", claims=other).json()
    assert (mine["active"], mine["rules"]) == (None, [])
    assert activate(stack, 1, claims=other).status == 404
    assert [check(stack, "/api/login", ip=IP).status for _ in range(2)] == [200, 429]
    assert check(stack, "/api/login", claims={"custom:tenant": "other"}, ip=IP).status == 200


@pytest.mark.parametrize("version", ["0", "7", "-1", "1.0", "x", "1" * 30, "\u0661"])
def test_what_is_no_version_is_not_found(stack: Stack, version: str) -> None:
    hold(stack, LOGIN)
    assert activate(stack, version).status == 404


def test_the_seeds_example_can_be_published(stack: Stack) -> None:
    hold(stack, *SAMPLE)
    assert [rule["window"] for rule in read(stack)["rules"]] == [60, 60, 60, 86_400]


def test_as_many_rules_as_are_taken_can_be_kept(stack: Stack) -> None:
    for window in range(1, 4):
        rules = [
            {**LOGIN, "name": f"{n:02}{'r' * 40}", "endpoint": f"/{n:02}{'e' * 30}", "tier": f"{n}"}
            for n in range(95)
        ]
        rules[0]["window"] = window
        hold(stack, *rules)
    assert len(read(stack)["rules"]) == 95


BAD: list[tuple[dict[str, Any], str]] = [
    ({"limit": 0}, "rules.0.limit"),
    ({"limit": -5}, "rules.0.limit"),
    ({"limit": 1.5}, "rules.0.limit"),
    ({"limit": True}, "rules.0.limit"),
    ({"limit": 10**9}, "rules.0.limit"),
    ({"window": "0s"}, "rules.0.window"),
    ({"window": "1 minute"}, "rules.0.window"),
    ({"window": "31d"}, "rules.0.window"),
    ({"window": 0}, "rules.0.window"),
    ({"window": None}, "rules.0.window"),
    ({"name": "Log in"}, "rules.0.name"),
    ({"name": ""}, "rules.0.name"),
    ({"endpoint": "api/login"}, "rules.0.endpoint"),
    ({"endpoint": "/a b"}, "rules.0.endpoint"),
    ({"endpoint": "/a?b=c"}, "rules.0.endpoint"),
    ({"endpoint": "/" + "a" * 300}, "rules.0.endpoint"),
    ({"endpoint": "/**/login"}, "rules.0"),
    ({"identifiers": []}, "rules.0.identifiers"),
    ({"identifiers": ["shoe_size"]}, "rules.0.identifiers.0"),
    ({"identifiers": ["header:X Y"]}, "rules.0.identifiers.0"),
    ({"methods": ["BREW"]}, "rules.0.methods.0"),
    ({"algorithm": "dice"}, "rules.0.algorithm"),
    ({"algorithm": "sliding_log", "limit": 101}, "rules.0"),
    ({"algorithm": "fixed_window", "burst": 5}, "rules.0"),
    ({"algorithm": "concurrency", "limit": 101}, "rules.0"),
    ({"algorithm": "concurrency", "cost": 2}, "rules.0"),
    ({"algorithm": "concurrency", "burst": 5}, "rules.0"),
    ({"burst": 0}, "rules.0.burst"),
    ({"cost": 0}, "rules.0.cost"),
    ({"cost": 6}, "rules.0"),
    ({"fail": "sideways"}, "rules.0.fail"),
    ({"shadow": "yes"}, "rules.0.shadow"),
    ({"nonsense": 1}, "rules.0.nonsense"),
]


@pytest.mark.parametrize(("change", "field"), BAD)
def test_a_bad_rule_is_refused_by_name_and_nothing_is_published(
    stack: Stack, change: dict[str, Any], field: str
) -> None:
    answer = publish(stack, {**LOGIN, **change})
    assert (answer.status, answer.json()["errors"][0]["field"]) == (422, field)
    assert read(stack)["versions"] == []


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ([LOGIN, {**LOGIN, "window": "1h"}], "names are given twice: login"),
        (
            [LOGIN, {**LOGIN, "name": "again", "limit": 9}],
            "rules differ in nothing but their name and limit: again, login",
        ),
        ([{**LOGIN, "name": f"r{n}", "window": n} for n in range(1, 102)], "at most 100"),
        (
            [{**LOGIN, "name": f"r{n}", "window": n, "shadow": True} for n in range(1, 52)],
            "more than 50 rules are shadows or have shards",
        ),
        (
            [{**LOGIN, "name": f"r{n}", "window": n, "shards": 2} for n in range(1, 50)]
            + [{**LOGIN, "name": f"r{n}", "window": n, "shadow": True} for n in range(50, 52)],
            "more than 50 rules are shadows or have shards",
        ),
        (
            [
                {**LOGIN, "name": f"r{n}", "endpoint": f"/{'x' * 190}{n}", "window": n}
                for n in range(1, 101)
            ],
            "the rules and lists are above 20000 bytes",
        ),
    ],
)
def test_rules_that_make_no_sense_together_are_refused(
    stack: Stack, rules: list[dict[str, Any]], reason: str
) -> None:
    answer = publish(stack, *rules)
    assert answer.status == 422
    assert reason in answer.json()["errors"][0]["reason"]
    assert read(stack)["versions"] == []


def test_all_that_is_wrong_with_a_rule_is_named_and_with_rules_together(stack: Stack) -> None:
    answer = publish(stack, {**LOGIN, "algorithm": "fixed_window", "burst": 5, "endpoint": "/**/x"})
    [error] = answer.json()["errors"]
    assert error["reason"] == "burst is of buckets alone; * is a whole segment, and ** the last one"
    search = {**LOGIN, "name": "search", "limit": 9}
    answer = publish(stack, LOGIN, search, {**LOGIN, "window": "1h"})
    [error] = answer.json()["errors"]
    assert error["reason"] == (
        "names are given twice: login;"
        " rules differ in nothing but their name and limit: login, search"
    )


@pytest.mark.parametrize(
    "endpoint", ["/api/x**", "/api/v*", "/api/***", "/api/*.json", "/**/x", "/api/v%2A"]
)
def test_a_star_that_would_fit_nothing_is_refused(stack: Stack, endpoint: str) -> None:
    answer = publish(stack, {**LOGIN, "endpoint": endpoint})
    [error] = answer.json()["errors"]
    assert error["reason"] == "* is a whole segment, and ** the last one"
    assert publish(stack, {**LOGIN, "endpoint": "/*/x/**"}).status == 200


def test_every_fault_is_named(stack: Stack) -> None:
    answer = publish(stack, {**LOGIN, "limit": 0}, {**LOGIN, "name": "two", "window": "x"})
    fields = [error["field"] for error in answer.json()["errors"]]
    assert fields == ["rules.0.limit", "rules.1.window"]
