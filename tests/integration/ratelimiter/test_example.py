"""The rules in examples/ratelimiter, published as they are: each holds exactly up to its edge."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from millrace.cli import app
from tests.integration.api_wire import Wire
from tests.integration.ratelimiter.asking import LOGIN, check, hold
from tests.support.handlers import ROOT
from tests.support.pump import Stack

EXAMPLE = ROOT / "examples" / "ratelimiter" / "rules.yaml"
TRAFFIC = ROOT / "examples" / "ratelimiter" / "traffic.ndjson"
IP = "203.0.113.7"
Rules = Callable[..., Result]


@pytest.fixture
def rules(stack: Stack) -> Rules:
    """Runs a verb of `millrace rules` on the stack."""
    return lambda *verb: CliRunner().invoke(app, ["rules", *map(str, verb)], obj=Wire(stack))


@pytest.fixture
def example(stack: Stack, rules: Rules) -> Stack:
    """A stack where the example holds."""
    assert rules("put", EXAMPLE).exit_code == 0
    assert rules("activate", 1).exit_code == 0
    return stack


def asked(stack: Stack, number: int, **asked: Any) -> list[int]:
    return [check(stack, **asked).status for _ in range(number)]


@pytest.mark.parametrize(
    ("rule", "limit", "seconds", "request_"),
    [
        ("login", 5, 60, {"endpoint": "/api/login", "method": "POST", "ip": IP}),
        ("search-free", 100, 0.6, {"endpoint": "/api/search", "ip": IP}),
        ("search-premium", 1000, 0.06, {"endpoint": "/api/search", "ip": IP, "tier": "premium"}),
        ("upload", 10, 86_400, {"endpoint": "/api/upload", "method": "PUT", "ip": IP}),
        ("user", 100, 60.6, {"endpoint": "/elsewhere", "user": "ada"}),
        ("key-second", 10, 0.1, {"endpoint": "/api/v1/orders", "api_key": "k"}),
    ],
)
def test_a_rule_lets_through_its_limit_and_after_its_time_again(
    example: Stack, rule: str, limit: int, seconds: float, request_: dict[str, Any]
) -> None:
    assert asked(example, limit, **request_) == [200] * limit
    refused = check(example, **request_)
    assert (refused.status, [each["field"] for each in refused.json()["errors"]]) == (429, [rule])
    example.advance(seconds - 0.001)
    assert asked(example, 1, **request_) == [429]
    example.advance(0.001)
    assert asked(example, 2, **request_)[0] == 200


def test_ten_a_second_last_for_ten_seconds_of_a_minute(example: Stack) -> None:
    order = {"endpoint": "/api/v1/orders", "api_key": "k"}
    for _ in range(10):
        assert asked(example, 10, **order) == [200] * 10
        example.advance(1)
    refused = check(example, **order)
    assert [each["field"] for each in refused.json()["errors"]] == ["key-minute"]


def test_everything_that_a_free_user_does_counts_and_nothing_of_a_premium_user(
    example: Stack,
) -> None:
    for endpoint in ("/api/search", "/elsewhere"):
        assert asked(example, 50, endpoint=endpoint, user="ada") == [200] * 50
    assert asked(example, 1, endpoint="/third", user="ada") == [429]
    assert asked(example, 150, endpoint="/third", user="bob", tier="premium") == [200] * 150


def test_nobody_logs_in_while_nothing_can_be_counted_and_all_else_goes_on(example: Stack) -> None:
    check(example, "/elsewhere", ip=IP)
    example.faults.throttle("dynamodb", "UpdateItem", times=100)
    assert asked(example, 1, endpoint="/api/login", method="POST", ip=IP) == [503]
    assert asked(example, 1, endpoint="/api/search", ip=IP) == [200]


def test_the_verbs_say_what_they_did(stack: Stack, rules: Rules) -> None:
    assert "version 1 is published: `millrace rules activate 1`" in rules("put", EXAMPLE).stdout
    assert "version 1 (1 kept); nothing holds yet" in rules("show", 1).stdout
    assert "version 1 holds" in rules("activate", 1).stdout
    shown = rules("show").stdout
    assert "version 1 (1 kept); it holds" in shown
    assert "search-premium  1000 in 60 s" in shown
    names = [each["name"] for each in json.loads(rules("show", "--json").stdout)["rules"]]
    assert names[0] == "login"
    assert rules("show", 7).exit_code == 1
    assert rules("activate", 7).exit_code == 1


def test_what_is_published_twice_is_one_version(stack: Stack, rules: Rules) -> None:
    versions = [json.loads(rules("put", EXAMPLE, "--json").stdout)["version"] for _ in range(2)]
    assert versions == [1, 1]


def test_a_file_with_a_fault_is_not_published(stack: Stack, rules: Rules, tmp_path: Any) -> None:
    bad = tmp_path / "rules.json"
    bad.write_text('{"rules": [{"name": "a", "limit": 0, "window": 1}]}')
    result = rules("put", bad)
    assert result.exit_code == 1
    assert "rules.json:1: rules.0.limit" in result.stderr
    assert rules("show").stdout.startswith("nothing is published yet")


def test_what_holds_is_a_baseline(stack: Stack, rules: Rules) -> None:
    hold(stack, {**LOGIN, "limit": 3, "methods": ["POST"], "algorithm": "sliding_log"})
    result = rules("test", EXAMPLE, "--traffic", TRAFFIC, "--baseline", "active", "--json")
    outcome = json.loads(result.stdout)
    # Of two minutes' guesses, two more in each go through.
    assert outcome["newly_allowed"] == 4
    assert outcome["newly_denied"] == sum(
        each["denied"] for each in outcome["rules"] if each["rule"] != "login"
    )
