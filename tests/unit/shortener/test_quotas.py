from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st
from moto import mock_aws

from functions.shortener import quotas
from functions.shortener.quotas import Quotas, clicks_key

TABLE, KEY = "counters", "clicks#link#default#prize#1"


class Calls(list[str]):
    """The operations that a client was asked for, by name."""

    def note(self, model: Any, **_: Any) -> None:
        self.append(model.name)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with mock_aws():
        made = botocore.session.get_session().create_client("dynamodb", region_name="us-east-1")
        made.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )
        yield made


@pytest.fixture
def calls(client: Any) -> Iterator[Calls]:
    made = Calls()
    client.meta.events.register("before-call.dynamodb", made.note)
    yield made
    client.meta.events.unregister("before-call.dynamodb", made.note)


@pytest.fixture(autouse=True)
def empty(client: Any) -> None:
    for item in client.scan(TableName=TABLE)["Items"]:
        client.delete_item(TableName=TABLE, Key={"pk": item["pk"]})


def stored(client: Any, key: str = KEY) -> dict[str, int]:
    item = client.get_item(TableName=TABLE, Key={"pk": {"S": key}}).get("Item", {})
    return {name: int(value["N"]) for name, value in item.items() if "N" in value}


@pytest.mark.parametrize("most", [1, 2, 7])
def test_exactly_so_many_are_taken_and_counted(client: Any, most: int) -> None:
    quota = Quotas(client, TABLE, os.urandom)
    assert [quota.take(KEY, most) for _ in range(most + 3)] == [True] * most + [False] * 3
    assert stored(client) == {"used": most}


@settings(max_examples=30)
@for_all(turns=st.lists(st.integers(0, 3), max_size=25), most=st.integers(1, 12))
def test_however_containers_take_turns_never_more_are_taken(
    client: Any, turns: list[int], most: int
) -> None:
    key = f"{KEY}#{most}#{turns}"
    containers = [Quotas(client, TABLE, os.urandom) for _ in range(4)]
    taken = sum(containers[turn].take(key, most) for turn in turns)
    assert taken == min(most, len(turns))


def test_counters_do_not_know_of_each_other(client: Any) -> None:
    quota = Quotas(client, TABLE, os.urandom)
    assert quota.take(KEY, 1)
    assert quota.take("another", 1)
    assert not quota.take(KEY, 1)


def test_a_used_up_quota_is_answered_for_without_a_call(client: Any, calls: Calls) -> None:
    quota = Quotas(client, TABLE, os.urandom)
    for _ in range(2):
        quota.take(KEY, 1)
    calls.clear()
    assert (quota.take(KEY, 1), quota.left(KEY, 1), calls) == (False, False, [])
    assert (Quotas(client, TABLE, os.urandom).take(KEY, 1), calls) == (False, ["UpdateItem"])


def test_a_raised_quota_lets_more_through_and_a_lowered_one_none(client: Any) -> None:
    quota = Quotas(client, TABLE, os.urandom)
    assert [quota.take(KEY, 2) for _ in range(3)] == [True, True, False]
    assert not quota.take(KEY, 1)
    assert [quota.take(KEY, 3) for _ in range(2)] == [True, False]
    assert stored(client) == {"used": 3}


def test_what_is_left_is_told_without_taking_it(client: Any) -> None:
    quota = Quotas(client, TABLE, os.urandom)
    assert (quota.left(KEY, 1), stored(client)) == (True, {})
    assert quota.take(KEY, 1)
    assert (quota.left(KEY, 1), quota.left(KEY, 2)) == (False, True)


def test_a_counter_says_when_it_may_be_forgotten(client: Any) -> None:
    quota = Quotas(client, TABLE, os.urandom)
    quota.take(KEY, 2, gone_at=1_793_491_200)
    assert stored(client) == {"used": 1, "gone_at": 1_793_491_200}
    quota.take("kept", 2)
    assert stored(client, "kept") == {"used": 1}


def test_memory_of_what_is_used_up_is_bounded_and_only_memory(
    client: Any, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "REMEMBERED", 3)
    quota = Quotas(client, TABLE, os.urandom)
    for key in "abcd":
        quota.take(key, 1)
        quota.take(key, 1)
    calls.clear()
    # The fourth found no room: all others were forgotten for it.
    assert (quota.take("d", 1), calls) == (False, [])
    assert (quota.take("a", 1), calls) == (False, ["UpdateItem"])


def test_a_forgotten_counter_begins_anew(client: Any) -> None:
    Quotas(client, TABLE, os.urandom).take(KEY, 1)
    Quotas(client, TABLE, os.urandom).forget(KEY)
    assert stored(client) == {}
    assert Quotas(client, TABLE, os.urandom).take(KEY, 1)


def test_a_repeated_update_costs_a_unit_only_where_somebody_came_between(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    update, other = client.update_item, Quotas(client, TABLE, os.urandom)
    between: list[bool] = []

    def repeats(**params: Any) -> Any:
        update(**params)
        monkeypatch.setattr(client, "update_item", update)
        between.append(other.take(KEY, 4))
        return update(**params)

    monkeypatch.setattr(client, "update_item", repeats)
    assert Quotas(client, TABLE, os.urandom).take(KEY, 4)
    assert (between, stored(client)) == ([True], {"used": 3})


def test_a_failing_store_grants_nothing(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(**_: Any) -> None:
        raise client.exceptions.InternalServerError({"Error": {}}, "UpdateItem")

    monkeypatch.setattr(client, "update_item", fails)
    with pytest.raises(client.exceptions.InternalServerError):
        Quotas(client, TABLE, os.urandom).take(KEY, 1)


def test_a_code_that_is_given_out_anew_has_another_counter() -> None:
    assert clicks_key("link#default#x", 1) != clicks_key("link#default#x", 2)
