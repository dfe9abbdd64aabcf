"""Figures worked out by hand from AWS's rules; `_text` makes items of a chosen size."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.capacity import _unwired
from tests.support.meter import Bill
from tests.support.pump import Stack

EVENTS, VIEWS = "millrace-NoteEvents", "millrace-NoteViews"
KB = 1024


@pytest.fixture
def dynamodb(stack: Stack) -> Any:
    return stack.runtime("NoteWrite").client("dynamodb")


def _event(size: int, number: int = 0) -> dict[str, Any]:
    """An item of `size` bytes: pk 2+1, sk 2+2 (2+1 for 0), t 1 and the rest."""
    overhead = 3 + (3 if number == 0 else 4) + 1
    return {"pk": {"S": "a"}, "sk": {"N": str(number)}, "t": {"S": "x" * (size - overhead)}}


def _row(size: int, listed: str | None = "all", position: str = "p") -> dict[str, Any]:
    """A view row of `size` bytes in all; without `listed` it is in no index."""
    item: dict[str, Any] = {"pk": {"S": "a"}, "position": {"S": position}}
    overhead = 3 + 8 + len(position) + 1
    if listed:
        item["list"] = {"S": listed}
        overhead += 4 + len(listed)
    return {**item, "t": {"S": "x" * (size - overhead)}}


def _key(number: int = 0) -> dict[str, Any]:
    return {"pk": {"S": "a"}, "sk": {"N": str(number)}}


def _units(bill: Bill) -> tuple[float, float, float]:
    return bill.rcu, bill.wcu, bill.index_wcu


@pytest.mark.parametrize(
    ("old", "new", "wcu"), [(None, KB, 1), (None, KB + 1, 2), (3 * KB, 10, 3), (10, 3 * KB, 3)]
)
def test_a_put_costs_the_larger_of_old_and_new(
    stack: Stack, dynamodb: Any, old: int | None, new: int, wcu: int
) -> None:
    if old:
        dynamodb.put_item(TableName=EVENTS, Item=_event(old))
    with stack.meter.operation("put") as bill:
        dynamodb.put_item(TableName=EVENTS, Item=_event(new))
    assert _units(bill) == (0, wcu, 0)
    assert bill.by_operation == {"dynamodb:PutItem": 1}


@pytest.mark.parametrize(("old", "wcu"), [(None, 1), (3 * KB, 3)])
def test_a_failed_condition_costs_the_item_that_stood_in_the_way(
    stack: Stack, dynamodb: Any, old: int | None, wcu: int
) -> None:
    if old:
        dynamodb.put_item(TableName=EVENTS, Item=_event(old))
    condition = "attribute_exists(nothing)"
    with stack.meter.operation("put") as bill, pytest.raises(ClientError):
        dynamodb.put_item(TableName=EVENTS, Item=_event(9 * KB), ConditionExpression=condition)
    assert _units(bill) == (0, wcu, 0)
    assert bill.calls[0].outcome == "ConditionalCheckFailedException"


def test_a_refused_request_costs_nothing(stack: Stack, dynamodb: Any) -> None:
    with stack.meter.operation("put") as bill, pytest.raises(ClientError):
        dynamodb.put_item(TableName=EVENTS, Item={"pk": {"S": "a"}})
    assert _units(bill) == (0, 0, 0)


def test_update_and_delete(stack: Stack, dynamodb: Any) -> None:
    dynamodb.put_item(TableName=EVENTS, Item=_event(KB))
    with stack.meter.operation("update") as update:
        dynamodb.update_item(
            TableName=EVENTS,
            Key=_key(),
            UpdateExpression="SET u = :u",
            ExpressionAttributeValues={":u": {"S": "x"}},
        )
    assert _units(update) == (0, 2, 0)
    with stack.meter.operation("delete") as delete:
        dynamodb.delete_item(TableName=EVENTS, Key=_key())
        dynamodb.delete_item(TableName=EVENTS, Key=_key())
    assert _units(delete) == (0, 2 + 1, 0)


@pytest.mark.parametrize(
    ("old", "new", "index"),
    [
        (None, _row(KB), 1),
        (None, _row(KB, listed=None), 0),
        (_row(KB), _row(2 * KB), 2),
        (_row(KB), _row(KB), 0),
        (_row(KB), _row(KB, position="q"), 1 + 1),
        (_row(3 * KB), _row(KB, position="q"), 3 + 1),
        (_row(3 * KB), _row(KB, listed=None), 3),
        (_row(KB, listed=None), _row(3 * KB), 3),
    ],
)
def test_index_writes_are_counted_apart(
    stack: Stack, dynamodb: Any, old: dict[str, Any] | None, new: dict[str, Any], index: int
) -> None:
    if old:
        dynamodb.put_item(TableName=VIEWS, Item=old)
    with stack.meter.operation("put") as bill:
        dynamodb.put_item(TableName=VIEWS, Item=new)
    assert bill.index_wcu == index
    assert bill.wcu == index + bill.calls[0].wcu


def test_reads_of_single_items(stack: Stack, dynamodb: Any) -> None:
    dynamodb.put_item(TableName=EVENTS, Item=_event(5 * KB))
    with stack.meter.operation("get") as bill:
        dynamodb.get_item(TableName=EVENTS, Key=_key())
        dynamodb.get_item(TableName=EVENTS, Key=_key(), ConsistentRead=True)
        dynamodb.get_item(TableName=EVENTS, Key=_key(), ProjectionExpression="pk")
        dynamodb.get_item(TableName=EVENTS, Key=_key(7))
    assert [call.rcu for call in bill.calls] == [1, 2, 1, 0.5]


def _page(**narrowing: Any) -> dict[str, Any]:
    return {
        "TableName": EVENTS,
        "KeyConditionExpression": "#p = :p",
        "ExpressionAttributeNames": {"#p": "pk", **narrowing.pop("names", {})},
        "ExpressionAttributeValues": {":p": {"S": "a"}, **narrowing.pop("values", {})},
        **narrowing,
    }


@pytest.mark.parametrize(
    ("narrowing", "rcu"),
    [
        # Three items of 3 KB: 9 KB, so three times 4 KB; each alone is one.
        ({}, 1.5),
        ({"ConsistentRead": True}, 3),
        ({"Limit": 1}, 0.5),
        ({"Limit": 2}, 1),
        ({"Select": "COUNT"}, 1.5),
        ({"ProjectionExpression": "#t", "names": {"#t": "t"}}, 1.5),
        (
            {
                "FilterExpression": "#t = :t",
                "names": {"#t": "t"},
                "values": {":t": {"S": "none has it"}},
            },
            1.5,
        ),
        ({"values": {":p": {"S": "nobody"}}}, 0.5),
    ],
)
def test_a_query_costs_what_it_read(
    stack: Stack, dynamodb: Any, narrowing: dict[str, Any], rcu: float
) -> None:
    for number in range(3):
        dynamodb.put_item(TableName=EVENTS, Item=_event(3 * KB, number))
    with stack.meter.operation("query") as bill:
        dynamodb.query(**_page(**narrowing))
    assert (bill.rcu, bill.calls[0].outcome) == (rcu, "ok")


def test_each_page_is_rounded_up_by_itself(stack: Stack, dynamodb: Any) -> None:
    for number in range(3):
        dynamodb.put_item(TableName=EVENTS, Item=_event(KB, number))
    with stack.meter.operation("pages") as bill:
        first = dynamodb.query(**_page(Limit=2))
        dynamodb.query(**_page(ExclusiveStartKey=first["LastEvaluatedKey"]))
    assert [call.rcu for call in bill.calls] == [0.5, 0.5]


def test_a_scan_costs_what_it_read_and_an_index_what_it_holds(stack: Stack, dynamodb: Any) -> None:
    dynamodb.put_item(TableName=VIEWS, Item=_row(5 * KB))
    dynamodb.put_item(TableName=VIEWS, Item={**_row(9 * KB, listed=None), "pk": {"S": "b"}})
    with stack.meter.operation("read") as bill:
        dynamodb.scan(TableName=VIEWS, ProjectionExpression="pk")
        dynamodb.scan(TableName=VIEWS, IndexName="lists")
        dynamodb.query(
            TableName=VIEWS,
            IndexName="lists",
            KeyConditionExpression="#l = :l",
            ExpressionAttributeNames={"#l": "list"},
            ExpressionAttributeValues={":l": {"S": "all"}},
        )
    assert [call.rcu for call in bill.calls] == [2, 1, 1]


def test_batches_count_per_item(stack: Stack, dynamodb: Any) -> None:
    # Developer Guide: items of 1.5 KB and 6.5 KB are read as 4 KB + 8 KB, not as 8 KB.
    requests = [{"PutRequest": {"Item": _event(1536)}}, {"PutRequest": {"Item": _event(6656, 1)}}]
    with stack.meter.operation("batch") as bill:
        dynamodb.batch_write_item(RequestItems={EVENTS: requests})
        dynamodb.batch_get_item(
            RequestItems={EVENTS: {"Keys": [_key(0), _key(1), _key(2)], "ConsistentRead": True}}
        )
    assert bill.wcu == 2 + 7
    assert bill.rcu == 1 + 2 + 1


def test_transactions_cost_twice(stack: Stack, dynamodb: Any) -> None:
    puts = [
        {"Put": {"TableName": EVENTS, "Item": _event(KB + 1)}},
        {"Put": {"TableName": VIEWS, "Item": _row(KB)}},
    ]
    with stack.meter.operation("write") as write:
        dynamodb.transact_write_items(TransactItems=puts)
    assert _units(write) == (0, 2 * (2 + 1) + 1, 1)
    with stack.meter.operation("read") as read:
        dynamodb.transact_get_items(TransactItems=[{"Get": {"TableName": EVENTS, "Key": _key()}}])
    assert _units(read) == (2, 0, 0)
    puts[1]["Put"]["ConditionExpression"] = "attribute_not_exists(pk)"
    with stack.meter.operation("cancelled") as cancelled, pytest.raises(ClientError):
        dynamodb.transact_write_items(TransactItems=puts)
    assert _units(cancelled) == (0, 2 * (2 + 1), 0)


def test_binary_keys_and_values_survive_the_wire(stack: Stack, dynamodb: Any) -> None:
    item = {**_event(100), "b": {"B": b"\xff" * KB}, "s": {"BS": [b"\xff"]}}
    with stack.meter.operation("binary") as bill:
        dynamodb.put_item(TableName=EVENTS, Item=item)
        dynamodb.query(**_page(FilterExpression="b = :b", values={":b": {"B": b"\xff"}}))
    assert (bill.wcu, bill.rcu) == (2, 0.5)
    wired = {"pk": {"B": "/w=="}, "s": {"BS": ["/w=="]}, "m": {"M": {"B": {"S": "/w=="}}}}
    assert _unwired(wired) == {
        "pk": {"B": b"\xff"},
        "s": {"BS": [b"\xff"]},
        "m": {"M": {"B": {"S": "/w=="}}},
    }


def test_what_cannot_be_measured_is_an_error(stack: Stack, dynamodb: Any) -> None:
    with stack.meter.operation("old"), pytest.raises(NotImplementedError):
        dynamodb.query(
            TableName=EVENTS,
            KeyConditions={"pk": {"AttributeValueList": [{"S": "a"}], "ComparisonOperator": "EQ"}},
        )


def test_a_bill_is_worked_out_from_the_prices(stack: Stack) -> None:
    sqs = stack.runtime("NoteProject").client("sqs")
    url = stack.runtime("NoteProject").env["RETRY_QUEUE_URL"]
    with stack.meter.operation("whole") as bill:
        stack.request("POST", "/v1/notes", user="a", json={"id": "a", "text": "x"})
        sqs.send_message(QueueUrl=url, MessageBody="x" * (64 * KB + 1))
        sqs.send_message_batch(
            QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": "x"} for n in range(10)]
        )
        sqs.send_message_batch(
            QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": "x" * 40 * KB} for n in range(2)]
        )
    assert bill.requests == {"http": 1, "lambda": 1, "sqs": 2 + 1 + 2}
    assert bill.dollars_per_million() == pytest.approx(0.625 + 1.00 + 0.33 + 5 * 0.40)
    assert bill.dollars_per_million("rcu", "wcu") == pytest.approx(0.625)
    assert [call.order for call in bill.calls] == [0, 1, 2, 3]
    assert stack.meter.calls[0].function == "NoteWrite"


def test_bills_nest_and_end(stack: Stack, dynamodb: Any) -> None:
    # Of the same name and, until the second read, the same calls.
    with stack.meter.operation("read") as outer:
        with stack.meter.operation("read") as inner:
            dynamodb.get_item(TableName=EVENTS, Key=_key())
        dynamodb.get_item(TableName=EVENTS, Key=_key())
    dynamodb.get_item(TableName=EVENTS, Key=_key())
    assert (outer.rcu, inner.rcu) == (1, 0.5)


def test_what_a_function_touched_is_named_as_its_policy_names_it(stack: Stack) -> None:
    runtime = stack.runtime("NoteRead")
    dynamodb, sqs = runtime.client("dynamodb"), runtime.client("sqs")
    dynamodb.query(
        TableName=VIEWS,
        IndexName="lists",
        KeyConditionExpression="#l = :l",
        ExpressionAttributeNames={"#l": "list"},
        ExpressionAttributeValues={":l": {"S": "all"}},
    )
    dynamodb.transact_write_items(
        TransactItems=[
            {"Put": {"TableName": VIEWS, "Item": {"pk": {"S": "a"}}}},
            {"Delete": {"TableName": EVENTS, "Key": _key()}},
        ]
    )
    dynamodb.batch_get_item(RequestItems={VIEWS: {"Keys": [{"pk": {"S": "a"}}]}})
    sqs.send_message_batch(
        QueueUrl=stack.runtime("NoteProject").env["RETRY_QUEUE_URL"],
        Entries=[{"Id": "1", "MessageBody": "x"}],
    )
    secret = stack.runtime("NoteWrite").env["SECRET_ARN"]
    runtime.client("secretsmanager").get_secret_value(SecretId=secret)
    stack.runtime("NoteWrite").client("dynamodb").get_item(TableName=EVENTS, Key=_key())
    assert stack.meter.touched("NoteRead") == {
        ("dynamodb:Query", "NoteViews/index/lists"),
        ("dynamodb:PutItem", "NoteViews"),
        ("dynamodb:DeleteItem", "NoteEvents"),
        ("dynamodb:BatchGetItem", "NoteViews"),
        ("sqs:SendMessage", "NoteRetry"),
        ("secretsmanager:GetSecretValue", "Secret"),
    }
