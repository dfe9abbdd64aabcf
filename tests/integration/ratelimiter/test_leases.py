from __future__ import annotations

from typing import Any

import pytest

from tests.integration.ratelimiter.asking import adjust, check, hold, publish
from tests.support.pump import Stack

HOT: dict[str, Any] = {"name": "hot", "endpoint": "/api/search", "limit": 100, "window": "100s"}
LEASED = {**HOT, "lease": 20}
SHARDED = {**HOT, "shards": 4}


def checks(stack: Stack, times: int, **body: Any) -> tuple[list[int], int]:
    """Statuses, and how many calls they took."""
    before = len(stack.meter.calls)
    found = [check(stack, "/api/search", user="ada", **body).status for _ in range(times)]
    return found, len(stack.meter.calls) - before


def test_a_warm_check_of_a_leased_rule_makes_no_call(stack: Stack) -> None:
    hold(stack, LEASED)
    checks(stack, 11)
    before = check(stack, "/api/search", user="ada")
    found, calls = checks(stack, 4)
    after = check(stack, "/api/search", user="ada")
    assert (found, calls) == ([200] * 4, 0)
    left = [int(answer.headers["x-ratelimit-remaining"]) for answer in (before, after)]
    assert left == [88, 83]


def test_no_more_than_the_limit_are_served_by_leases_of_one_container_after_the_other(
    stack: Stack,
) -> None:
    hold(stack, LEASED)
    allowed = 0
    for _ in range(10):
        found, _ = checks(stack, 15)
        allowed += found.count(200)
        stack.cold_start()
    # A container that is gone keeps what it had taken ahead.
    assert 60 <= allowed <= 100


def test_where_one_rule_does_not_lease_every_check_is_a_write(stack: Stack) -> None:
    hold(stack, LEASED, {**HOT, "name": "slow", "window": "1h"})
    checks(stack, 11)
    assert checks(stack, 5) == ([200] * 5, 5)


def test_a_shadow_leases_for_itself(stack: Stack) -> None:
    hold(stack, {**LEASED, "shadow": True})
    checks(stack, 12)
    assert checks(stack, 4) == ([200] * 4, 0)


def test_an_edited_rule_does_not_serve_from_what_was_leased_before(stack: Stack) -> None:
    hold(stack, LEASED)
    checks(stack, 12)
    hold(stack, {**LEASED, "lease": 5})
    stack.advance(31)
    # The rules and an update.
    assert checks(stack, 1)[1] == 2


def test_where_the_table_does_not_answer_a_lease_does(stack: Stack) -> None:
    hold(stack, {**LEASED, "fail": "closed"})
    checks(stack, 12)
    stack.faults.fail("dynamodb", "UpdateItem", "InternalServerError", times=100)
    assert checks(stack, 5)[0] == [200] * 4 + [503]
    stack.faults.clear()


def test_a_limit_in_shards_is_the_limit(stack: Stack) -> None:
    hold(stack, SHARDED)
    found, _ = checks(stack, 110)
    assert found.count(200) == 100
    refused = check(stack, "/api/search", user="ada")
    assert (refused.status, refused.headers["retry-after"]) == (429, "4")
    stack.advance(4)
    assert check(stack, "/api/search", user="ada").status == 200
    table = stack.functions["RatelimiterCheck"].env["BUCKETS_TABLE"]
    assert len(stack.client("dynamodb").scan(TableName=table)["Items"]) == 4


def test_what_costs_more_than_a_shard_has_says_so(stack: Stack) -> None:
    hold(stack, SHARDED)
    refused = check(stack, "/api/search", user="ada", cost=26)
    reason = "costs more than the 25 that are ever there"
    assert refused.json()["errors"] == [{"field": "hot", "reason": reason}]


@pytest.mark.parametrize("rule", [LEASED, SHARDED])
def test_what_is_charged_and_given_back_counts(stack: Stack, rule: dict[str, Any]) -> None:
    hold(stack, rule)
    assert adjust(stack, "/api/search", "charge", user="ada", cost=5).status == 200
    assert checks(stack, 110)[0].count(200) == 95
    assert adjust(stack, "/api/search", "back", user="ada", cost=-10).status == 200
    assert checks(stack, 20)[0].count(200) == 10


def test_what_a_rule_may_take_ahead_is_shown(stack: Stack) -> None:
    shown = publish(stack, LEASED, {**SHARDED, "name": "wide", "tier": "paid"}, {
        **HOT, "name": "plain", "tier": "free", "shards": 1,
    }).json()["rules"]  # fmt: skip
    found = [(rule["lease"], rule["shards"]) for rule in shown]
    assert found == [(20, 1), (0, 4), (0, 1)]


ALONE = "leases and shards are of a token_bucket alone"
HALF = "a lease is 2 tokens at least, and half of the burst at most"


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"lease": -1}, "rules.0.lease", "greater than or equal to 0"),
        ({"lease": 1001, "limit": 10_000}, "rules.0.lease", "less than or equal to 1000"),
        ({"lease": 1}, "rules.0", HALF),
        ({"lease": 51}, "rules.0", HALF),
        ({"lease": 20, "burst": 39}, "rules.0", HALF),
        ({"lease": 2, "algorithm": "leaky_bucket"}, "rules.0", ALONE),
        ({"lease": 2, "algorithm": "fixed_window"}, "rules.0", ALONE),
        ({"shards": 2, "algorithm": "sliding_log"}, "rules.0", ALONE),
        ({"shards": 2, "algorithm": "concurrency"}, "rules.0", ALONE),
        ({"lease": 2, "shards": 2}, "rules.0", "a rule leases or has shards"),
        ({"shards": 0}, "rules.0.shards", "greater than or equal to 1"),
        ({"shards": 21}, "rules.0.shards", "less than or equal to 20"),
        ({"shards": 3, "limit": 2, "burst": 9}, "rules.0", "there are more shards than"),
        ({"shards": 3, "burst": 2}, "rules.0", "there are more shards than"),
        ({"shards": 4, "cost": 26}, "rules.0", "a request costs more than is ever in a shard"),
        ({"lease": True}, "rules.0.lease", "valid integer"),
    ],
)
def test_what_cannot_be_leased_or_spread_is_refused_with_the_reason(
    stack: Stack, change: dict[str, Any], field: str, reason: str
) -> None:
    answer = publish(stack, {**HOT, **change})
    assert answer.status == 422
    [error] = answer.json()["errors"]
    assert error["field"] == field
    assert reason in error["reason"]
