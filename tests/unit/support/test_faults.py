from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from tests.support.faults import Crash
from tests.support.pump import Stack

TABLE = "millrace-NoteEvents"
ITEM = {"pk": {"S": "a"}, "sk": {"N": "0"}, "text": {"S": "x"}}


@pytest.fixture
def dynamodb(stack: Stack) -> Any:
    return stack.runtime("NoteWrite").client("dynamodb")


def _items(stack: Stack) -> int:
    return len(stack.client("dynamodb").scan(TableName=TABLE)["Items"])


def _outcomes(stack: Stack) -> list[str]:
    return [call.outcome for call in stack.meter.calls]


def test_a_lost_response_is_two_sends_and_one_item(stack: Stack, dynamodb: Any) -> None:
    fault = stack.faults.lose_response("dynamodb", "PutItem")
    with stack.meter.operation("put") as bill, pytest.raises(ClientError) as caught:
        dynamodb.put_item(
            TableName=TABLE,
            Item=ITEM,
            ConditionExpression="attribute_not_exists(pk)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    # The repeat meets what the first send wrote, and says so.
    assert caught.value.response["Error"]["Code"] == "ConditionalCheckFailedException"
    assert caught.value.response["Item"] == ITEM
    assert _outcomes(stack) == ["ReadTimeoutError", "ConditionalCheckFailedException"]
    assert (bill.by_operation, bill.wcu) == ({"dynamodb:PutItem": 2}, 1 + 1)
    assert (_items(stack), fault.fired) == (1, 1)


def test_responses_lost_to_the_end_are_a_time_out(stack: Stack, dynamodb: Any) -> None:
    stack.faults.lose_response("dynamodb", "PutItem", times=3)
    with pytest.raises(ReadTimeoutError):
        dynamodb.put_item(TableName=TABLE, Item=ITEM)
    assert len(stack.meter.calls) == 3
    assert _items(stack) == 1


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("dynamodb", "PutItem", "ProvisionedThroughputExceededException"),
        ("sqs", "ListQueues", "RequestThrottled"),
    ],
)
def test_a_throttled_call_is_repeated_by_the_sdk(
    stack: Stack, dynamodb: Any, service: str, operation: str, code: str
) -> None:
    stack.faults.throttle(service, operation, times=2)
    with stack.meter.operation("put") as bill:
        if service == "sqs":
            stack.runtime("NoteWrite").client("sqs").list_queues()
        else:
            dynamodb.put_item(TableName=TABLE, Item=ITEM)
    assert _outcomes(stack) == [code, code, "ok"]
    assert bill.wcu + bill.requests["sqs"] == 1


def test_the_sdk_does_not_really_wait_between_its_tries(
    stack: Stack, dynamodb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    stack.faults.throttle("dynamodb", "PutItem", times=2)
    dynamodb.put_item(TableName=TABLE, Item=ITEM)
    assert waits == []


def test_a_conflict_is_not_repeated_by_the_sdk(stack: Stack, dynamodb: Any) -> None:
    stack.faults.conflict("PutItem")
    with pytest.raises(dynamodb.exceptions.TransactionConflictException):
        dynamodb.put_item(TableName=TABLE, Item=ITEM)
    assert len(stack.meter.calls) == 1
    assert _items(stack) == 0


def test_a_conflict_cancels_a_transaction(stack: Stack, dynamodb: Any) -> None:
    stack.faults.conflict("TransactWriteItems")
    members = [
        {"Put": {"TableName": TABLE, "Item": {**ITEM, "sk": {"N": str(n)}}}} for n in range(2)
    ]
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException) as caught:
        dynamodb.transact_write_items(TransactItems=members)
    reasons = caught.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["TransactionConflict", "None"]


def test_any_code_can_be_had(stack: Stack, dynamodb: Any) -> None:
    stack.faults.fail("dynamodb", "*", "InternalServerError", status=500, times=3)
    with pytest.raises(ClientError, match="InternalServerError"):
        dynamodb.get_item(TableName=TABLE, Key={"pk": {"S": "a"}, "sk": {"N": "0"}})
    assert len(stack.meter.calls) == 3


def test_a_crash_passes_every_except_and_leaves_the_call_undone(stack: Stack) -> None:
    stack.faults.crash_before("dynamodb", "PutItem")
    with pytest.raises(Crash, match="before dynamodb:PutItem"):
        stack.request("POST", "/v1/notes", user="a", json={"id": "a", "text": "x"})
    assert _items(stack) == 0


def test_no_handler_lives_through_a_crash(stack: Stack, dynamodb: Any) -> None:
    stack.faults.crash_after("dynamodb", "PutItem")
    with pytest.raises(Crash), suppress(Exception):
        dynamodb.put_item(TableName=TABLE, Item=ITEM)
    assert len(stack.meter.calls) == 1


def test_a_crash_after_leaves_the_call_done(stack: Stack) -> None:
    stack.faults.crash_after("dynamodb", "PutItem")
    with pytest.raises(Crash, match="after dynamodb:PutItem"):
        stack.request("POST", "/v1/notes", user="a", json={"id": "a", "text": "x"})
    assert _items(stack) == 1


@pytest.mark.parametrize(
    ("plan", "failing"),
    [
        ({}, [True, False, False]),
        ({"times": 2}, [True, True, False]),
        ({"skip": 1}, [False, True, False]),
        ({"function": "NoteWrite"}, [True, False, False]),
        ({"function": "NoteRead"}, [False, False, False]),
        ({"resource": "NoteEvents"}, [True, False, False]),
        ({"resource": "NoteViews"}, [False, False, False]),
    ],
)
def test_a_plan_strikes_what_it_names(
    stack: Stack, dynamodb: Any, plan: dict[str, Any], failing: list[bool]
) -> None:
    stack.faults.fail("dynamodb", "PutItem", "ValidationException", **plan)
    for _ in failing:
        try:
            dynamodb.put_item(TableName=TABLE, Item=ITEM)
        except ClientError:
            pass
        else:
            assert stack.meter.calls[-1].outcome == "ok"
    assert [outcome != "ok" for outcome in _outcomes(stack)] == failing


def test_cleared_plans_are_gone(stack: Stack, dynamodb: Any) -> None:
    stack.faults.crash_before("*", "*")
    stack.faults.clear()
    dynamodb.put_item(TableName=TABLE, Item=ITEM)


def test_a_tests_own_client_is_neither_failed_nor_metered(stack: Stack) -> None:
    stack.faults.crash_before("*", "*")
    stack.client("dynamodb").put_item(TableName=TABLE, Item=ITEM)
    assert stack.meter.calls == []
