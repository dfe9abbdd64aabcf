from __future__ import annotations

from typing import Any

import pytest

from functions.ratelimiter.asking import IDENTITIES, MAX_HEADERS
from functions.ratelimiter.schemas import MAX_APART
from tests.integration.ratelimiter.asking import activate, adjust, check, hold, publish
from tests.support.http_api import Response
from tests.support.pump import Stack

SEARCH: dict[str, Any] = {"name": "search", "endpoint": "/api/search", "limit": 3, "window": "60s"}
FLIGHT: dict[str, Any] = {**SEARCH, "name": "flight", "algorithm": "concurrency", "limit": 2}


def statuses(stack: Stack, times: int, **body: Any) -> list[int]:
    return [check(stack, "/api/search", **{"user": "ada", **body}).status for _ in range(times)]


def remaining(answer: Response) -> list[int]:
    assert answer.status == 200, answer.text
    return [each["remaining"] for each in answer.json()["limits"]]


def test_as_many_buckets_as_one_request_may_have_are_adjusted(stack: Stack) -> None:
    names = [f"x-{n}" for n in range(MAX_HEADERS)]
    kinds = [*IDENTITIES, *(f"header:{name}" for name in names)]
    wide = [{"name": f"w{n}", "limit": 9, "window": 60 + n, "shards": 2} for n in range(MAX_APART)]
    own = [
        {"name": f"o{n}", "limit": 9, "window": 60, "identifiers": [k]} for n, k in enumerate(kinds)
    ]
    hold(stack, *wide, *own)
    whose = {"headers": dict.fromkeys(names, "ada"), "ip": "192.0.2.1"}
    whose |= dict.fromkeys(set(IDENTITIES) - {"ip"}, "ada")
    assert check(stack, "/", **whose).status == 200
    adjusted = adjust(stack, "/", "a", **whose, cost=1)
    assert len(remaining(adjusted)) == len([*wide, *own])


def test_what_is_charged_afterwards_is_gone_and_what_is_given_back_is_there(stack: Stack) -> None:
    hold(stack, SEARCH)
    now = stack.clock.now() // 1000
    assert statuses(stack, 1) == [200]
    charged = adjust(stack, "/api/search", "a", user="ada", cost=1)
    assert charged.json() == {
        "limits": [
            {
                "rule": "search",
                "shadow": False,
                "allowed": True,
                "limit": 3,
                "window_seconds": 60,
                "remaining": 1,
                "reset": now + 40,
            }
        ]
    }
    assert charged.headers["x-ratelimit-remaining"] == "1"
    assert charged.headers["ratelimit"] == '"search";r=1;t=40'
    assert statuses(stack, 2) == [200, 429]
    assert remaining(adjust(stack, "/api/search", "b", user="ada", cost=-2)) == [2]
    assert statuses(stack, 3) == [200, 200, 429]


def test_what_is_charged_beyond_the_limit_is_waited_for(stack: Stack) -> None:
    hold(stack, SEARCH)
    owing = adjust(stack, "/api/search", "a", user="ada", cost=5)
    assert (remaining(owing), owing.json()["limits"][0]["allowed"]) == ([0], False)
    assert "retry-after" not in owing.headers
    refused = check(stack, "/api/search", user="ada")
    assert (refused.status, refused.headers["retry-after"]) == (429, "60")
    stack.advance(60)
    assert statuses(stack, 2) == [200, 429]


def test_a_repeat_is_answered_and_gives_back_nothing(stack: Stack) -> None:
    hold(stack, SEARCH)
    assert statuses(stack, 3) == [200] * 3
    for _ in range(3):
        assert remaining(adjust(stack, "/api/search", "a", user="ada", cost=-1)) == [1]
    stack.advance(3600)
    assert statuses(stack, 3) == [200] * 3
    assert remaining(adjust(stack, "/api/search", "a", user="ada", cost=-1)) == [0]
    assert statuses(stack, 1) == [429]


@pytest.mark.parametrize("other", [{"cost": -2}, {"user": "bob"}, {"method": "POST"}])
def test_a_key_that_stood_for_another_request_is_refused(
    stack: Stack, other: dict[str, Any]
) -> None:
    hold(stack, {**SEARCH, "limit": 9})
    assert statuses(stack, 5) == [200] * 5
    first = {"user": "ada", "cost": -1}
    assert remaining(adjust(stack, "/api/search", "a", **first)) == [5]
    refused = adjust(stack, "/api/search", "a", **{**first, **other})
    assert refused.status == 422
    assert refused.json()["type"].endswith("idempotency_key_reused")
    assert remaining(adjust(stack, "/api/search", "a", **first)) == [5]


def test_a_key_is_of_its_caller(stack: Stack) -> None:
    hold(stack, {**SEARCH, "limit": 9})
    assert statuses(stack, 5) == [200] * 5
    body = {"endpoint": "/api/search", "user": "ada", "cost": -1}
    found = [
        remaining(
            stack.request(
                "POST", "/v1/adjust", user=user, headers={"idempotency-key": "a"}, json=body
            )
        )
        for user in ("one", "other")
    ]
    assert found == [[5], [6]]


def test_a_lost_answer_adjusts_once(stack: Stack) -> None:
    hold(stack, {**SEARCH, "limit": 9})
    assert statuses(stack, 5) == [200] * 5
    stack.faults.lose_response("dynamodb", "TransactWriteItems")
    assert remaining(adjust(stack, "/api/search", "a", user="ada", cost=-2)) == [6]
    stack.faults.lose_response("dynamodb", "TransactWriteItems", times=9)
    lost = adjust(stack, "/api/search", "b", user="ada", cost=-2)
    assert lost.status == 503
    stack.faults.clear()
    assert remaining(adjust(stack, "/api/search", "b", user="ada", cost=-2)) == [8]


def test_every_rule_that_fits_is_adjusted_in_its_own_bucket(stack: Stack) -> None:
    hold(
        stack,
        SEARCH,
        {**SEARCH, "name": "heavy", "cost": 2, "limit": 100, "algorithm": "fixed_window"},
        {**SEARCH, "name": "ours", "identifiers": ["tenant"], "limit": 50},
        {**SEARCH, "name": "shadow", "shadow": True, "limit": 10},
        {**SEARCH, "name": "other", "endpoint": "/elsewhere"},
        {**SEARCH, "name": "paid", "tier": "paid"},
        {**FLIGHT, "limit": 9},
    )
    whose = {"user": "ada", "tenant": "acme"}
    assert check(stack, "/api/search", **whose).status == 200
    charged = adjust(stack, "/api/search", "a", **whose, cost=1)
    rules = [each["rule"] for each in charged.json()["limits"]]
    assert rules == ["search", "heavy", "ours", "shadow"]
    assert remaining(charged) == [1, 96, 48, 8]
    after = check(stack, "/api/search", **whose).json()["limits"]
    assert [each["remaining"] for each in after] == [0, 94, 47, 7, 7]


def test_what_fits_no_rule_is_adjusted_nowhere_and_so_is_who_is_always_allowed(
    stack: Stack,
) -> None:
    published = publish(stack, json={"rules": [SEARCH], "allow": [{"api_key": "trusted"}]})
    assert activate(stack, published.json()["version"]).status == 200
    assert adjust(stack, "/elsewhere", "a", user="ada", cost=5).json() == {"limits": []}
    trusted = adjust(stack, "/api/search", "b", user="ada", api_key="trusted", cost=5)
    assert trusted.json() == {"limits": []}
    assert statuses(stack, 4) == [200, 200, 200, 429]


def test_a_crowd_on_one_bucket_is_told_to_come_again(stack: Stack) -> None:
    hold(stack, SEARCH)
    stack.faults.conflict("TransactWriteItems", times=100)
    answer = adjust(stack, "/api/search", "a", user="ada", cost=2)
    assert (answer.status, answer.headers["retry-after"]) == (409, "1")
    stack.faults.clear()
    assert statuses(stack, 3) == [200] * 3


def test_a_table_that_does_not_answer_is_no_adjustment(stack: Stack) -> None:
    hold(stack, {**SEARCH, "fail": "open"})
    stack.faults.throttle("dynamodb", "TransactWriteItems", times=100)
    assert adjust(stack, "/api/search", "a", user="ada", cost=2).status == 503
    stack.faults.clear()
    assert statuses(stack, 3) == [200] * 3


BAD: list[tuple[dict[str, Any], str]] = [
    ({"cost": 0}, "cost"),
    ({"cost": 1.5}, "cost"),
    ({"cost": True}, "cost"),
    ({"cost": "1"}, "cost"),
    ({"cost": None}, "cost"),
    ({"cost": 10**6 + 1}, "cost"),
    ({"cost": -(10**6) - 1}, "cost"),
    ({"cost": 10**400}, "cost"),
    ({}, ""),
    ({"cost": 1, "slot": "0123456789abcdef"}, ""),
    ({"slot": "0123456789ABCDEF"}, "slot"),
    ({"slot": "0123456789abcde"}, "slot"),
    ({"slot": "0123456789abcdef\n"}, "slot"),
    ({"slot": 7}, "slot"),
    ({"slot": None}, "slot"),
    ({"cost": 1, "nonsense": 1}, "nonsense"),
    ({"cost": 1, "endpoint": "search"}, "endpoint"),
    ({"cost": 1, "user": ""}, "user"),
    ({"cost": 1, "ip": "localhost"}, "ip"),
]


@pytest.mark.parametrize(("body", "field"), BAD)
def test_a_bad_field_is_named_and_nothing_is_adjusted(
    stack: Stack, body: dict[str, Any], field: str
) -> None:
    hold(stack, SEARCH)
    answer = adjust(stack, **{"endpoint": "/api/search", "user": "ada", "key": "a", **body})
    assert (answer.status, answer.json()["errors"][0]["field"]) == (422, field)
    assert statuses(stack, 4) == [200, 200, 200, 429]


def test_every_fault_is_named(stack: Stack) -> None:
    answer = adjust(stack, "search", "a", cost=0, slot="x", tier="", ip="y")
    fields = [error["field"] for error in answer.json()["errors"]]
    assert fields == ["", "cost", "slot", "endpoint", "tier", "ip"]


@pytest.mark.parametrize(
    ("key", "status"), [(None, 428), ("a b", 400), ("", 400), ("k" * 256, 400)]
)
def test_without_a_key_no_cost_is_adjusted(stack: Stack, key: str | None, status: int) -> None:
    hold(stack, SEARCH)
    assert adjust(stack, "/api/search", key, user="ada", cost=2).status == status
    assert statuses(stack, 4) == [200, 200, 200, 429]


# ---- What is in flight --------------------------------------------------------------------------


def test_who_is_served_makes_room(stack: Stack) -> None:
    hold(stack, FLIGHT)
    first = check(stack, "/api/search", user="ada").json()
    slot = first["slot"]
    assert first["limits"][0]["slot"] == slot
    assert len(bytes.fromhex(slot)) == 8
    assert check(stack, "/api/search", user="ada").json()["slot"] != slot
    refused = check(stack, "/api/search", user="ada")
    assert (refused.status, refused.headers["retry-after"]) == (429, "60")
    policy = '"flight";q=2;w=60;qu="concurrent-requests"'
    assert refused.headers["ratelimit-policy"] == policy
    for left in (1, 1):
        assert remaining(adjust(stack, "/api/search", user="ada", slot=slot)) == [left]
    assert statuses(stack, 2) == [200, 429]


def test_a_holder_that_died_is_forgotten_after_the_window(stack: Stack) -> None:
    hold(stack, FLIGHT)
    slots = [check(stack, "/api/search", user="ada").json()["slot"] for _ in range(2)]
    stack.advance(59)
    assert statuses(stack, 1) == [429]
    stack.advance(1)
    assert statuses(stack, 3) == [200, 200, 429]
    # Late, and theirs no more.
    assert [remaining(adjust(stack, "/api/search", user="ada", slot=slot)) for slot in slots] == [
        [0],
        [0],
    ]
    assert statuses(stack, 1) == [429]


def test_nobody_frees_anothers_slot(stack: Stack) -> None:
    hold(stack, FLIGHT)
    slots = [check(stack, "/api/search", user="ada").json()["slot"] for _ in range(2)]
    assert remaining(adjust(stack, "/api/search", user="bob", slot=slots[0])) == [2]
    assert remaining(adjust(stack, "/api/search", user="ada", slot="0" * 16)) == [0]
    other = stack.request(
        "POST",
        "/v1/adjust",
        user="gateway",
        claims={"custom:tenant": "other"},
        json={"endpoint": "/api/search", "user": "ada", "slot": slots[0]},
    )
    assert other.json() == {"limits": []}
    assert statuses(stack, 1) == [429]


def test_what_another_limit_refuses_takes_no_slot(stack: Stack) -> None:
    hold(stack, FLIGHT, {**FLIGHT, "name": "shadow", "shadow": True}, {**SEARCH, "limit": 1})
    taken = check(stack, "/api/search", user="ada").json()
    assert [each.get("slot") for each in taken["limits"]] == [taken["slot"]] * 2 + [None]
    assert statuses(stack, 3) == [429] * 3
    freed = adjust(stack, "/api/search", user="ada", slot=taken["slot"])
    assert remaining(freed) == [2, 2]


def test_a_shadow_counts_what_is_in_flight_and_its_slot_is_told_and_freed(stack: Stack) -> None:
    hold(stack, {**FLIGHT, "shadow": True, "limit": 1})
    first, second = (check(stack, "/api/search", user="ada").json() for _ in range(2))
    assert "slot" not in second
    assert second["limits"][0]["allowed"] is False
    assert remaining(adjust(stack, "/api/search", user="ada", slot=first["slot"])) == [1]


def test_a_request_takes_as_many_slots_as_it_costs(stack: Stack) -> None:
    hold(stack, FLIGHT)
    slot = check(stack, "/api/search", user="ada", cost=2).json()["slot"]
    assert statuses(stack, 1) == [429]
    assert statuses(stack, 1, cost=3) == [429]
    assert remaining(adjust(stack, "/api/search", user="ada", slot=slot)) == [2]


def test_who_could_not_be_counted_may_give_back_what_was_taken_all_the_same(
    stack: Stack,
) -> None:
    hold(stack, FLIGHT)
    stack.faults.lose_response("dynamodb", "UpdateItem")
    uncounted = check(stack, "/api/search", user="ada").json()
    assert uncounted["limits"][0]["allowed"] is None
    assert statuses(stack, 2) == [200, 429]
    assert remaining(adjust(stack, "/api/search", user="ada", slot=uncounted["slot"])) == [1]
    assert statuses(stack, 2) == [200, 429]


def test_a_slot_whose_freeing_is_lost_is_freed(stack: Stack) -> None:
    hold(stack, FLIGHT)
    slot = check(stack, "/api/search", user="ada").json()["slot"]
    stack.faults.lose_response("dynamodb", "UpdateItem")
    assert remaining(adjust(stack, "/api/search", user="ada", slot=slot)) == [2]
