"""One limit in two regions, one after the other: what both allow together, by how they are told to
count. On moto, which knows regions."""

from __future__ import annotations

import pytest

from tests.integration.ratelimiter.asking import LOGIN, check, hold
from tests.support.access import granted
from tests.support.handlers import ROOT
from tests.support.pump import Stack
from tests.support.template import Template
from tests.support.wire import bare_client

IP = "203.0.113.7"
HOME = "arn:aws:dynamodb:eu-west-1:123456789012:table/home"
RULE = {**LOGIN, "limit": 10}


def allowed(stack: Stack) -> int:
    """How many of twenty are."""
    hold(stack, RULE)
    return [check(stack, "/api/login", ip=IP).status for _ in range(20)].count(200)


def in_region(**parameters: str) -> int:
    with Stack([ROOT / "template.yaml"], parameters) as stack:
        return allowed(stack)


def test_each_region_by_itself_allows_the_whole_limit() -> None:
    assert [in_region(), in_region()] == [10, 10]


@pytest.mark.parametrize(("shares", "parts"), [((60, 40), [6, 4]), ((75, 25), [7, 2])])
def test_shares_allow_the_limit_together_but_for_what_is_rounded(
    shares: tuple[int, int], parts: list[int]
) -> None:
    assert [in_region(RegionShare=str(share)) for share in shares] == parts


def test_a_client_is_told_of_its_regions_part() -> None:
    with Stack([ROOT / "template.yaml"], {"RegionShare": "40"}) as stack:
        hold(stack, RULE)
        told = check(stack, "/api/login", ip=IP).headers
    assert (told["x-ratelimit-limit"], told["x-ratelimit-remaining"]) == ("4", "3")


@pytest.fixture
def away() -> Stack:
    return Stack([ROOT / "template.yaml"], {"HomeBucketsArn": HOME})


def make_home() -> None:
    bare_client("dynamodb", "eu-west-1").create_table(
        TableName="home",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )


def test_all_that_count_at_home_allow_the_limit_together(away: Stack) -> None:
    with away as stack:
        make_home()
        assert allowed(stack) == 10
        # Another region's container knows nothing but what the table says.
        stack.cold_start()
        assert allowed(stack) == 0
        client = bare_client("dynamodb", "eu-west-1")
        assert client.scan(TableName="home")["Count"] == 1
        own = stack.client("dynamodb").scan(TableName="millrace-RatelimiterBuckets")
        assert own["Count"] == 0
        calls = [call for call in stack.meter.calls if call.operation == "UpdateItem"]
        assert calls
        assert all("eu-west-1" in call.url for call in calls)


@pytest.mark.parametrize(("fail", "status"), [("open", 200), ("closed", 503)])
def test_while_home_cannot_be_reached_each_rule_decides(
    away: Stack, fail: str, status: int
) -> None:
    with away as stack:
        make_home()
        hold(stack, {**RULE, "fail": fail})
        stack.faults.fail("dynamodb", "UpdateItem", "ServiceUnavailable", status=503, times=9)
        assert check(stack, "/api/login", ip=IP).status == status
        assert stack.logs[-1]["uncounted"] == 1


def test_who_counts_at_home_may_touch_that_table_and_none_here() -> None:
    family = Template(ROOT / "template.yaml", {"HomeBucketsArn": HOME}).family()
    may = granted(list(family), "RatelimiterCheck")
    assert {table for action, table in may if action == "dynamodb:UpdateItem"} == {HOME}
