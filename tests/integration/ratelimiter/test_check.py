from __future__ import annotations

from typing import Any

import pytest

from functions.edge.limits.rules import Rulebook
from functions.ratelimiter.holding import HoldingRules
from tests.integration.ratelimiter.asking import SAMPLE, check, hold
from tests.support.http_api import Response
from tests.support.pump import Stack

IP = "203.0.113.7"
SEARCH: dict[str, Any] = {"name": "search", "endpoint": "/api/search", "limit": 3, "window": "60s"}


def statuses(stack: Stack, times: int, endpoint: str = "/api/search", **body: Any) -> list[int]:
    return [check(stack, endpoint, **body).status for _ in range(times)]


def test_five_logins_a_minute_and_address(stack: Stack) -> None:
    hold(stack, *SAMPLE)
    asked = {"method": "POST", "ip": IP}
    assert statuses(stack, 7, "/api/login", **asked) == [200] * 5 + [429] * 2
    assert statuses(stack, 1, "/api/login", method="POST", ip="203.0.113.8") == [200]
    assert statuses(stack, 1, "/api/elsewhere", **asked) == [200]


def test_who_waits_as_long_as_told_may_go_on(stack: Stack) -> None:
    hold(stack, SEARCH)
    assert statuses(stack, 4, user="ada") == [200, 200, 200, 429]
    refused = check(stack, "/api/search", user="ada")
    wait = int(refused.headers["retry-after"])
    assert wait == 20
    stack.advance(wait - 1)
    assert statuses(stack, 1, user="ada") == [429]
    stack.advance(1)
    assert statuses(stack, 2, user="ada") == [200, 429]


def test_a_check_is_of_the_time_at_which_its_rules_are_known(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(stack, SEARCH)
    read = HoldingRules.of

    def late(self: HoldingRules, tenant: str) -> Rulebook:
        stack.advance(3)
        return read(self, tenant)

    monkeypatch.setattr(HoldingRules, "of", late)
    [limit] = check(stack, "/api/search", user="ada").json()["limits"]
    assert limit["reset"] == stack.clock.now() // 1000 + 20


def test_a_clock_that_stepped_back_does_not_hold_on_to_rules(stack: Stack) -> None:
    hold(stack, SEARCH)
    assert statuses(stack, 1, user="ada") == [200]
    hold(stack, {**SEARCH, "name": "stricter", "limit": 1})
    stack.clock.milliseconds -= 600_000
    assert statuses(stack, 2, user="bob") == [200, 429]


def test_the_headers_say_how_the_nearest_limit_stands(stack: Stack) -> None:
    hold(stack, SEARCH, {**SEARCH, "name": "minute", "limit": 100, "window": "1m", "cost": 2})
    now = stack.clock.now() // 1000
    first = check(stack, "/api/search", user="ada")
    assert named(first) == {
        "x-ratelimit-limit": "3",
        "x-ratelimit-remaining": "2",
        "x-ratelimit-reset": str(now + 20),
        "ratelimit-policy": '"search";q=3;w=60',
        "ratelimit": '"search";r=2;t=20',
    }
    assert first.json() == {
        "allowed": True,
        "limits": [
            {
                "rule": "search",
                "shadow": False,
                "allowed": True,
                "limit": 3,
                "window_seconds": 60,
                "remaining": 2,
                "reset": now + 20,
            },
            {
                "rule": "minute",
                "shadow": False,
                "allowed": True,
                "limit": 100,
                "window_seconds": 60,
                "remaining": 98,
                "reset": now + 2,
            },
        ],
    }
    statuses(stack, 2, user="ada")
    refused = check(stack, "/api/search", user="ada")
    assert named(refused)["ratelimit"] == '"search";r=0;t=60'
    assert refused.headers["retry-after"] == "20"
    assert refused.json()["errors"] == [{"field": "search", "reason": "is used up for 20 seconds"}]


def test_who_comes_back_at_the_reset_that_is_told_is_allowed(stack: Stack) -> None:
    hold(stack, {**SEARCH, "limit": 1})
    stack.clock.milliseconds += 900 - stack.clock.milliseconds % 1000
    [limit] = check(stack, "/api/search", user="ada").json()["limits"]
    stack.clock.milliseconds = limit["reset"] * 1000
    assert statuses(stack, 1, user="ada") == [200]


def test_what_remains_is_never_more_than_the_limit_that_is_told(stack: Stack) -> None:
    hold(stack, {**SEARCH, "burst": 30})
    told = named(check(stack, "/api/search", user="ada"))
    assert (told["x-ratelimit-limit"], told["x-ratelimit-remaining"]) == ("30", "29")
    assert told["ratelimit-policy"] == '"search";q=3;w=60'


def named(answer: Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if "ratelimit" in name}


def test_ten_a_second_and_a_hundred_a_minute_hold_at_once(stack: Stack) -> None:
    second = {**SEARCH, "name": "second", "limit": 2, "window": "1s", "algorithm": "fixed_window"}
    hold(stack, second, {**SEARCH, "name": "minute", "limit": 5, "algorithm": "sliding_log"})
    found = []
    for _ in range(4):
        found += statuses(stack, 3, user="ada")
        stack.advance(1)
    assert found == [200, 200, 429, 200, 200, 429, 200, 429, 429, 429, 429, 429]


def test_what_one_limit_refuses_takes_nothing_of_another_identitys(stack: Stack) -> None:
    mine = {**SEARCH, "name": "mine", "identifiers": ["user"], "limit": 2}
    ours = {**SEARCH, "name": "ours", "identifiers": ["tenant"], "limit": 3}
    hold(stack, mine, ours)
    assert statuses(stack, 4, user="ada", tenant="acme") == [200, 200, 429, 429]
    assert statuses(stack, 2, user="bob", tenant="acme") == [200, 429]
    assert statuses(stack, 2, user="bob", tenant="else") == [200, 429]


def test_a_user_counts_before_an_address(stack: Stack) -> None:
    hold(stack, SEARCH)
    assert statuses(stack, 4, user="ada", ip=IP) == [200, 200, 200, 429]
    assert statuses(stack, 4, user="bob", ip=IP) == [200, 200, 200, 429]
    assert statuses(stack, 4, ip=IP) == [200, 200, 200, 429]


def test_a_tier_has_limits_of_its_own(stack: Stack) -> None:
    hold(stack, {**SEARCH, "tier": "free"}, {**SEARCH, "name": "more", "tier": "paid", "limit": 5})
    assert statuses(stack, 4, user="ada") == [200, 200, 200, 429]
    assert statuses(stack, 6, user="bob", tier="paid") == [200] * 5 + [429]
    assert statuses(stack, 9, user="eve", tier="unknown") == [200] * 9


def test_a_network_of_ipv6_is_one_customer(stack: Stack) -> None:
    hold(stack, SEARCH)
    for host in ("1", "2:3", "ffff:ffff:ffff:ffff"):
        address = f"2001:db8:1:2:{host}" if host.count(":") == 3 else f"2001:db8:1:2::{host}"
        assert statuses(stack, 1, ip=address) == [200]
    assert statuses(stack, 1, ip="2001:DB8:1:2::9") == [429]
    assert statuses(stack, 1, ip="2001:db8:1:3::1") == [200]
    assert statuses(stack, 4, ip="::ffff:192.0.2.1") == [200, 200, 200, 429]
    assert statuses(stack, 1, ip="192.0.2.1") == [429]


@pytest.mark.parametrize(
    "trick",
    [
        "/api//search", "/api/search/", "//api/search", "/API/Search", "/api/%73earch",
        "/api/./search", "/api/x/../search", "/api/%2e/search", "/api%2fsearch", "/api\\search",
        "/api/search?x=1", "/%61pi/%2573earch",
    ],
)  # fmt: skip
def test_no_spelling_of_a_path_gets_round_its_limit(stack: Stack, trick: str) -> None:
    hold(stack, SEARCH)
    assert statuses(stack, 3, user="ada") == [200] * 3
    assert statuses(stack, 1, trick, user="ada") == [429]


@pytest.mark.parametrize("other", ["/api/search/deep", "/api", "/api/searching", "/"])
def test_another_path_is_another(stack: Stack, other: str) -> None:
    hold(stack, {**SEARCH, "limit": 1})
    assert statuses(stack, 1, user="ada") == [200]
    assert statuses(stack, 2, other, user="ada") == [200, 200]


@pytest.mark.parametrize(
    ("pattern", "fitting", "other"),
    [
        ("/users/*/posts", "/users/7/posts", "/users/7/8/posts"),
        ("/static/**", "/static/a/b/c", "/stat"),
        ("/**", "/anything/at/all", None),
        ("/a/**", "/a", "/b"),
    ],
)
def test_a_pattern_is_of_segments(
    stack: Stack, pattern: str, fitting: str, other: str | None
) -> None:
    hold(stack, {**SEARCH, "endpoint": pattern, "limit": 1})
    assert statuses(stack, 2, fitting, user="ada") == [200, 429]
    if other is not None:
        assert statuses(stack, 2, other, user="ada") == [200, 200]


def test_a_rule_may_be_of_methods_alone(stack: Stack) -> None:
    hold(stack, {**SEARCH, "methods": ["POST", "PUT"], "limit": 1})
    assert statuses(stack, 2, user="ada", method="GET") == [200, 200]
    found = [check(stack, "/api/search", user="ada", method=m).status for m in ("POST", "PUT")]
    assert found == [200, 429]


def test_a_request_costs_what_it_says(stack: Stack) -> None:
    hold(stack, {**SEARCH, "limit": 10})
    assert statuses(stack, 2, user="ada", cost=4) == [200, 200]
    assert statuses(stack, 1, user="ada", cost=4) == [429]
    assert statuses(stack, 3, user="ada", cost=1) == [200, 200, 429]


def test_what_costs_more_than_is_ever_there_is_refused_for_good(stack: Stack) -> None:
    hold(stack, SEARCH)
    refused = check(stack, "/api/search", user="ada", cost=4)
    assert refused.status == 429
    assert "retry-after" not in refused.headers
    reason = "costs more than the 3 that are ever there"
    assert refused.json()["errors"] == [{"field": "search", "reason": reason}]
    assert statuses(stack, 4, user="ada") == [200, 200, 200, 429]


def test_a_shadow_counts_and_refuses_nobody(stack: Stack) -> None:
    hold(stack, {**SEARCH, "limit": 1, "shadow": True}, {**SEARCH, "name": "real", "cost": 1})
    answers = [check(stack, "/api/search", user="ada") for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    shadows = [answer.json()["limits"][0] for answer in answers[:3]]
    assert [shadow["allowed"] for shadow in shadows] == [True, False, False]
    assert answers[0].headers["x-ratelimit-limit"] == "3"


def test_a_queue_says_how_long_to_hold_a_request_back(stack: Stack) -> None:
    hold(stack, {**SEARCH, "algorithm": "leaky_bucket", "limit": 2, "window": "1s", "burst": 3})
    answers = [check(stack, "/api/search", user="ada") for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    delays = [answer.json()["limits"][0].get("delay_ms") for answer in answers[:3]]
    assert delays == [None, 500, 1000]


@pytest.mark.parametrize(("fail", "status"), [("open", 200), ("closed", 503)])
@pytest.mark.parametrize("error", ["ThrottlingException", "InternalServerError"])
def test_what_cannot_be_counted_is_decided_by_the_rule(
    stack: Stack, fail: str, status: int, error: str
) -> None:
    hold(stack, {**SEARCH, "fail": fail})
    assert statuses(stack, 1, user="ada") == [200]
    stack.faults.fail("dynamodb", "UpdateItem", error, times=100)
    answer = check(stack, "/api/search", user="ada")
    assert answer.status == status
    assert stack.logs[-1]["uncounted"] == 1
    stack.faults.clear()
    assert statuses(stack, 3, user="ada") == [200, 200, 429]


def test_what_is_taken_by_an_update_whose_answer_is_lost_is_taken_once(stack: Stack) -> None:
    hold(stack, SEARCH)
    stack.faults.lose_response("dynamodb", "UpdateItem")
    assert statuses(stack, 4, user="ada") == [200, 200, 200, 429]


def test_a_transaction_whose_answer_is_lost_takes_once(stack: Stack) -> None:
    hold(stack, SEARCH, {**SEARCH, "name": "ours", "identifiers": ["tenant"]})
    stack.faults.lose_response("dynamodb", "TransactWriteItems")
    assert statuses(stack, 4, user="ada", tenant="acme") == [200, 200, 200, 429]


def test_closed_refuses_what_may_have_been_taken(stack: Stack) -> None:
    hold(stack, {**SEARCH, "fail": "closed"})
    stack.faults.lose_response("dynamodb", "UpdateItem")
    assert statuses(stack, 4, user="ada") == [503, 200, 200, 429]


@pytest.mark.parametrize("identity", ["ada#bob", "#", "ada\x00", "a" * 512, "😀", "  "])
def test_a_strange_identity_is_an_identity(stack: Stack, identity: str) -> None:
    hold(stack, {**SEARCH, "limit": 1})
    assert statuses(stack, 2, user=identity) == [200, 429]
    assert statuses(stack, 1, user=identity[:500] + "x") == [200]


def test_an_identity_that_looks_the_same_is_the_same(stack: Stack) -> None:
    hold(stack, {**SEARCH, "limit": 1})
    assert statuses(stack, 1, user="caf\u00e9") == [200]
    assert statuses(stack, 1, user="cafe\u0301") == [429]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"cost": 0}, "cost"),
        ({"cost": -1}, "cost"),
        ({"cost": 1.5}, "cost"),
        ({"cost": True}, "cost"),
        ({"cost": "1"}, "cost"),
        ({"cost": 10**7}, "cost"),
        ({"endpoint": "search"}, "endpoint"),
        ({"endpoint": None}, "endpoint"),
        ({"endpoint": "/" + "x" * 2048}, "endpoint"),
        ({"method": "BREW"}, "method"),
        ({"method": ["GET"]}, "method"),
        ({"user": ""}, "user"),
        ({"user": 7}, "user"),
        ({"user": "a" * 10_000}, "user"),
        ({"ip": "203.0.113.7, 198.51.100.1"}, "ip"),
        ({"ip": "localhost"}, "ip"),
        ({"tier": ""}, "tier"),
        ({"headers": []}, "headers"),
        ({"headers": {str(n): "x" for n in range(21)}}, "headers"),
        ({"headers": {"x-a": 1}}, "headers.x-a"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_taken(
    stack: Stack, body: dict[str, Any], field: str
) -> None:
    hold(stack, {**SEARCH, "limit": 1})
    answer = check(stack, **{"endpoint": "/api/search", "user": "ada", **body})
    assert (answer.status, answer.json()["errors"][0]["field"]) == (422, field)
    assert statuses(stack, 1, user="ada") == [200]


@pytest.mark.parametrize("text", ["[]", "1", '"x"', "null", "{}"])
def test_what_names_nobody_or_nothing_is_refused(stack: Stack, text: str) -> None:
    answer = stack.request("POST", "/v1/check", user="gateway", body=text)
    assert answer.status == 422


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "NaN{"])
def test_what_is_no_json_is_refused(stack: Stack, text: str) -> None:
    answer = stack.request("POST", "/v1/check", user="gateway", body=text)
    assert answer.status in (400, 413)


def test_a_check_is_one_write_and_a_known_denial_none(stack: Stack) -> None:
    hold(stack, {**SEARCH, "limit": 1})
    assert statuses(stack, 1, user="eve") == [200]
    for expected in ({"UpdateItem": 1}, {"SendMessage": 1}, {}):
        before = len(stack.meter.calls)
        check(stack, "/api/search", user="ada")
        made = [call.operation for call in stack.meter.calls[before:]]
        assert {name: made.count(name) for name in made} == expected
