from __future__ import annotations

import json
from typing import Any

import pytest

from functions.edge.limits.guard import DEFAULT
from functions.edge.limits.rules import Asked, Rule, Rulebook, encode, fitting
from functions.edge.limits.validity import guarding

GIVEN = {"name": "reads", "endpoint": "/v1/**", "limit": 5, "window": 60}


def guard(**more: Any) -> tuple[Rule, ...]:
    return guarding(json.dumps([{**GIVEN, **more}]))


def test_what_is_encoded_is_read() -> None:
    rules = (
        *DEFAULT,
        Rule("few", "/v1/*/x", 9, 60, ("GET", "ANY"), ("tenant",), "paid", burst=20, cost=2),
        Rule("more", "/", 9, 60, closed=True, deadline=20, shadow=True, lease=4),
        Rule("many", "/", 9, 60, shards=3),
        Rule("log", "/", 9, 60, algorithm="sliding_log"),
    )
    assert guarding(encode(Rulebook(rules))) == rules
    assert guard() == (Rule("reads", "/v1/**", 5, 60),)
    assert guarding("[]") == ()


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"limit": 0}, "limit is not a whole number from 1 to 1000000"),
        ({"limit": "5"}, "limit is not a whole number"),
        ({"limit": True}, "limit is not a whole number"),
        ({"window": 0}, "window is not a whole number from 1 to 2592000"),
        ({"window": "1m"}, "window is not a whole number"),
        ({"burst": 0}, "burst is not"),
        ({"cost": 1001}, "cost is not"),
        ({"deadline": 5}, "deadline is not a whole number from 20 to 1000"),
        ({"lease": -1}, "lease is not"),
        ({"shards": 21}, "shards is not"),
        ({"endpoint": "v1"}, "endpoint is not"),
        ({"endpoint": "/v1/x**"}, r"\* is a whole segment, and \*\* the last one"),
        ({"algorithm": "token-bucket"}, "algorithm is not one of token_bucket, leaky_bucket"),
        ({"algorithm": "concurrency"}, "algorithm is not one of"),
        ({"identifiers": "user"}, "identifiers is not a list of some of user, tenant, ip, service"),
        ({"identifiers": ["users"]}, "identifiers is not"),
        ({"identifiers": []}, "identifiers is not"),
        ({"methods": ["get"]}, "methods is not"),
        ({"methods": "GET"}, "methods is not"),
        ({"tier": ""}, "tier is not"),
        ({"closed": "yes"}, "closed is not true or false"),
        ({"shadow": 1}, "shadow is not true or false"),
        ({"fail": "closed"}, "fail is not known"),
        ({"tiers": "free", "burts": 9}, "burts is not known; rule 'reads': tiers is not known"),
        ({"cost": 6}, "a request costs more than is ever there"),
        ({"shards": 6}, "there are more shards than the limit"),
        ({"algorithm": "fixed_window", "lease": 2}, "leases and shards are of a token_bucket"),
        ({"algorithm": "leaky_bucket", "shards": 2}, "leases and shards are of a token_bucket"),
        ({"algorithm": "fixed_window", "burst": 9}, "burst is of buckets alone"),
    ],
)
def test_what_would_guard_otherwise_than_it_says_is_refused(
    given: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueError, match=f"rule 'reads': {reason}"):
        guard(**given)


def test_every_fault_is_told_with_its_rule() -> None:
    text = json.dumps([{**GIVEN, "limit": 0}, {"endpoint": "/"}])
    with pytest.raises(ValueError, match="rule number 2: name") as refused:
        guarding(text)
    assert str(refused.value) == (
        "rule 'reads': limit is not a whole number from 1 to 1000000; rule number 2: name is"
        " missing; rule number 2: limit is missing; rule number 2: window is missing"
    )


def test_a_name_is_one_rules() -> None:
    with pytest.raises(ValueError, match="rule 'reads': its name is given twice"):
        guarding(json.dumps([GIVEN, {**GIVEN, "limit": 9}]))


@pytest.mark.parametrize("text", ["5", "[5]", "{}", '{"rules": 5}', '{"rules": [], "allow": []}'])
def test_what_is_no_list_of_rules_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no list of rules"):
        guarding(text)


def test_a_route_of_any_method_is_of_any() -> None:
    assert fitting(guard(methods=["ANY"]), Asked("/v1/x", "ANY", {"ip": "192.0.2.1"}))
