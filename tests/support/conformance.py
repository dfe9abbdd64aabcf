"""What AWS documents of the stores, held to every backend that stands in for them.

One suite for the cloud in memory, moto and MiniStack. Where a backend deviates, DEVIATIONS says
how; a deviation that is not named fails, and so does a name for one that is gone.
`python -m tests.support.conformance` writes docs/conformance.md from both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol

import pytest
from botocore.exceptions import ClientError

from tests.support.handlers import ROOT

PAGE = ROOT / "docs" / "conformance.md"
BACKENDS = ("memory", "moto", "ministack")
KB = 1024


class Backend(Protocol):
    """A stand-in for AWS. `dynamodb`, `sqs` and `s3` are botocore clients of it."""

    dynamodb: Any
    sqs: Any
    s3: Any

    def records(self, table: str) -> Sequence[Any]:
        """The records of a table's stream since the last look, in order."""

    def wait(self, seconds: float) -> None:
        """Lets time pass there."""


Check = Callable[[Backend], None]


@dataclass(frozen=True)
class Behaviour:
    """One documented behaviour and the check of it."""

    group: str
    says: str
    check: Check

    @property
    def name(self) -> str:
        return self.check.__name__.replace("_", "-")


BEHAVIOURS: list[Behaviour] = []
_numbers = count(1)


def behaviour(group: str) -> Callable[[Check], Check]:
    """Enters a check into the suite; its docstring is what AWS documents."""

    def enter(check: Check) -> Check:
        assert check.__doc__, "a check says what AWS documents"
        BEHAVIOURS.append(Behaviour(group, " ".join(check.__doc__.split()), check))
        return check

    return enter


# ---- Tools --------------------------------------------------------------------------------------


def make_table(backend: Backend) -> str:
    """A table like the event and view tables in one: a stream, and two sparse indexes."""
    name = f"conformance-{next(_numbers)}"
    backend.dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
            {"AttributeName": "list", "AttributeType": "S"},
            {"AttributeName": "position", "AttributeType": "S"},
            {"AttributeName": "lane", "AttributeType": "S"},
            {"AttributeName": "due", "AttributeType": "N"},
        ],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "lists",
                "KeySchema": [
                    {"AttributeName": "list", "KeyType": "HASH"},
                    {"AttributeName": "position", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            },
            {
                "IndexName": "due",
                "KeySchema": [
                    {"AttributeName": "lane", "KeyType": "HASH"},
                    {"AttributeName": "due", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            },
        ],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
    return name


def make_queue(backend: Backend, **attributes: str) -> str:
    """A queue of its own, by its URL."""
    name = f"conformance-{next(_numbers)}"
    made = backend.sqs.create_queue(QueueName=name, Attributes=attributes)
    return str(made["QueueUrl"])


def item(place: int, pk: str = "p", **attributes: str) -> dict[str, Any]:
    """An item; attributes are strings."""
    strings = {name: {"S": value} for name, value in attributes.items()}
    return {"pk": {"S": pk}, "sk": {"N": str(place)}, **strings}


def key(place: int, pk: str = "p") -> dict[str, Any]:
    return item(place, pk)


def refused(code: str, call: Callable[..., Any], **params: Any) -> Any:
    """The answer of a call that must be refused with an error code."""
    with pytest.raises(ClientError) as refusal:
        call(**params)
    assert refusal.value.response["Error"]["Code"] == code
    return refusal.value.response


def places(answer: Any) -> list[int]:
    return [int(each["sk"]["N"]) for each in answer["Items"]]


def fill(backend: Backend, table: str, number: int, **attributes: str) -> None:
    for place in range(number):
        backend.dynamodb.put_item(TableName=table, Item=item(place, **attributes))


def in_stream(table: str, **more: Any) -> dict[str, Any]:
    """Parameters of a query of the partition `p`."""
    values = {":p": {"S": "p"}}
    return {
        "TableName": table,
        "KeyConditionExpression": "pk = :p",
        "ExpressionAttributeValues": values,
        **more,
    }


def received(backend: Backend, url: str, **more: Any) -> list[Any]:
    answer = backend.sqs.receive_message(
        QueueUrl=url, MessageSystemAttributeNames=["All"], WaitTimeSeconds=0, **more
    )
    return list(answer.get("Messages", []))


def read_stream(dynamodb: Any, streams: Any, table: str) -> list[Any]:
    """All records of a table's stream, through the API of DynamoDB Streams."""
    arn = dynamodb.describe_table(TableName=table)["Table"]["LatestStreamArn"]
    found: list[Any] = []
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        place = {"StreamArn": arn, "ShardId": shard["ShardId"]}
        iterator = streams.get_shard_iterator(ShardIteratorType="TRIM_HORIZON", **place)
        found += streams.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
    return found


# ---- DynamoDB: conditions -----------------------------------------------------------------------


@behaviour("Conditions")
def put_if_absent(backend: Backend) -> None:
    """attribute_not_exists on the key lets exactly the first of two puts through."""
    table = make_table(backend)
    absent = {"TableName": table, "ConditionExpression": "attribute_not_exists(pk)"}
    backend.dynamodb.put_item(Item=item(1, by="first"), **absent)
    refused(
        "ConditionalCheckFailedException",
        backend.dynamodb.put_item,
        Item=item(1, by="second"),
        **absent,
    )
    found = backend.dynamodb.get_item(TableName=table, Key=key(1), ConsistentRead=True)
    assert found["Item"]["by"] == {"S": "first"}


@behaviour("Conditions")
def failed_condition_shows_the_old_item(backend: Backend) -> None:
    """ReturnValuesOnConditionCheckFailure=ALL_OLD gives the item that stands there, binary as it
    is."""
    table = make_table(backend)
    standing = {**item(1), "r": {"B": b"\x00\xff"}}
    backend.dynamodb.put_item(TableName=table, Item=standing)
    answer = refused(
        "ConditionalCheckFailedException",
        backend.dynamodb.put_item,
        TableName=table,
        Item=item(1),
        ConditionExpression="attribute_not_exists(pk)",
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )
    assert answer["Item"] == standing


@behaviour("Conditions")
def failed_condition_without_an_old_item(backend: Backend) -> None:
    """Where nothing stands, a failed condition shows no item."""
    answer = refused(
        "ConditionalCheckFailedException",
        backend.dynamodb.put_item,
        TableName=make_table(backend),
        Item=item(1),
        ConditionExpression="attribute_exists(pk)",
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )
    assert "Item" not in answer


@behaviour("Conditions")
def deletes_have_conditions(backend: Backend) -> None:
    """A DeleteItem whose condition fails deletes nothing; of what is absent, it succeeds."""
    table = make_table(backend)
    backend.dynamodb.put_item(TableName=table, Item=item(1, id="one"))
    delete = {"TableName": table, "Key": key(1), "ConditionExpression": "id = :id"}
    other = {**delete, "ExpressionAttributeValues": {":id": {"S": "other"}}}
    refused("ConditionalCheckFailedException", backend.dynamodb.delete_item, **other)
    assert places(backend.dynamodb.query(**in_stream(table, ConsistentRead=True))) == [1]
    one = {**delete, "ExpressionAttributeValues": {":id": {"S": "one"}}}
    backend.dynamodb.delete_item(**one)
    refused("ConditionalCheckFailedException", backend.dynamodb.delete_item, **one)
    backend.dynamodb.delete_item(TableName=table, Key=key(1))
    assert places(backend.dynamodb.query(**in_stream(table, ConsistentRead=True))) == []


@behaviour("Conditions")
def numbers_compare_as_numbers(backend: Backend) -> None:
    """9 is less than 10 in a condition, and 10 not less than 9."""
    table = make_table(backend)
    newer = {"TableName": table, "ConditionExpression": "attribute_not_exists(pk) OR v < :v"}

    def put(version: str) -> dict[str, Any]:
        new = {**item(1), "v": {"N": version}}
        return {**newer, "Item": new, "ExpressionAttributeValues": {":v": {"N": version}}}

    backend.dynamodb.put_item(**put("9"))
    backend.dynamodb.put_item(**put("10"))
    refused("ConditionalCheckFailedException", backend.dynamodb.put_item, **put("9"))


@behaviour("Conditions")
def what_is_absent_compares_false(backend: Backend) -> None:
    """A comparison with an attribute that is not there is false."""
    table = make_table(backend)
    backend.dynamodb.put_item(TableName=table, Item=item(1))
    refused(
        "ConditionalCheckFailedException",
        backend.dynamodb.put_item,
        TableName=table,
        Item=item(1),
        ConditionExpression="v < :v",
        ExpressionAttributeValues={":v": {"N": "1"}},
    )


@behaviour("Conditions")
def update_sets_once_and_adds(backend: Backend) -> None:
    """SET with if_not_exists keeps what is there, and may add to it; ADD counts from nothing."""
    table = make_table(backend)
    for value in ("first", "second"):
        backend.dynamodb.update_item(
            TableName=table,
            Key=key(1),
            UpdateExpression=(
                "SET a = if_not_exists(a, :a), b = :a, s = if_not_exists(s, :one) + :one ADD n :one"
            ),
            ExpressionAttributeValues={":a": {"S": value}, ":one": {"N": "1"}},
        )
    found = backend.dynamodb.get_item(TableName=table, Key=key(1), ConsistentRead=True)["Item"]
    assert found["s"] == {"N": "3"}
    assert (found["a"], found["b"], found["n"]) == ({"S": "first"}, {"S": "second"}, {"N": "2"})


@behaviour("Conditions")
def update_returns_what_it_changed(backend: Backend) -> None:
    """ReturnValues=UPDATED_NEW gives the attributes that an update set, as they are after it."""
    table = make_table(backend)
    for sum in ("100", "200"):
        answer = backend.dynamodb.update_item(
            TableName=table,
            Key=key(1),
            UpdateExpression="SET a = :a, gone = :a ADD n :block REMOVE spare",
            ExpressionAttributeValues={":a": {"S": sum}, ":block": {"N": "100"}},
            ReturnValues="UPDATED_NEW",
        )
        new = {"a": {"S": sum}, "gone": {"S": sum}, "n": {"N": sum}}
        assert answer["Attributes"] == new


@behaviour("Conditions")
def update_copies_what_stood_there(backend: Backend) -> None:
    """SET of one attribute to another takes that as it was before the update."""
    table = make_table(backend)
    backend.dynamodb.put_item(TableName=table, Item={**item(1), "n": {"N": "7"}})
    backend.dynamodb.update_item(
        TableName=table,
        Key=key(1),
        UpdateExpression="SET older = n, n = :n",
        ExpressionAttributeValues={":n": {"N": "1"}},
    )
    found = backend.dynamodb.get_item(TableName=table, Key=key(1), ConsistentRead=True)["Item"]
    assert (found["older"], found["n"]) == ({"N": "7"}, {"N": "1"})


@behaviour("Conditions")
def update_returns_what_stood_there(backend: Backend) -> None:
    """ReturnValues=ALL_OLD gives the whole item as it was before, and nothing where none was."""
    table = make_table(backend)
    update = {
        "TableName": table,
        "Key": key(1),
        "UpdateExpression": "SET a = :a",
        "ReturnValues": "ALL_OLD",
    }
    first = backend.dynamodb.update_item(**update, ExpressionAttributeValues={":a": {"S": "1"}})
    assert "Attributes" not in first
    second = backend.dynamodb.update_item(**update, ExpressionAttributeValues={":a": {"S": "2"}})
    assert second["Attributes"] == {**key(1), "a": {"S": "1"}}


@behaviour("Conditions")
def placeholders_must_be_used(backend: Backend) -> None:
    """A value that no expression uses is a ValidationException."""
    refused(
        "ValidationException",
        backend.dynamodb.put_item,
        TableName=make_table(backend),
        Item=item(1),
        ConditionExpression="attribute_not_exists(pk)",
        ExpressionAttributeValues={":v": {"N": "1"}},
    )


@behaviour("Conditions")
def placeholders_must_be_defined(backend: Backend) -> None:
    """An expression with a value that is not given is a ValidationException."""
    refused(
        "ValidationException",
        backend.dynamodb.put_item,
        TableName=make_table(backend),
        Item=item(1),
        ConditionExpression="v < :v",
    )


@behaviour("Keys and limits")
def keys_are_not_empty(backend: Backend) -> None:
    """An empty string is no key."""
    refused(
        "ValidationException",
        backend.dynamodb.put_item,
        TableName=make_table(backend),
        Item=item(1, pk=""),
    )


@behaviour("Keys and limits")
def keys_have_their_type(backend: Backend) -> None:
    """A key of another type than declared is refused."""
    refused(
        "ValidationException",
        backend.dynamodb.put_item,
        TableName=make_table(backend),
        Item={**item(1), "sk": {"S": "1"}},
    )


@behaviour("Keys and limits")
def index_keys_have_their_type(backend: Backend) -> None:
    """So is an index key."""
    refused(
        "ValidationException",
        backend.dynamodb.put_item,
        TableName=make_table(backend),
        Item={**item(1), "list": {"N": "1"}},
    )


@behaviour("Keys and limits")
def items_up_to_400_kb(backend: Backend) -> None:
    """An item takes 400 KB, names included, and not more."""
    table = make_table(backend)
    # AWS calls the size of a number approximate: the key takes less than 100 bytes.
    backend.dynamodb.put_item(TableName=table, Item=item(1, a="x" * (400 * KB - 100)))
    too_much = item(1, a="x" * 400 * KB)
    refused("ValidationException", backend.dynamodb.put_item, TableName=table, Item=too_much)


@behaviour("Keys and limits")
def batch_writes_up_to_25(backend: Backend) -> None:
    """BatchWriteItem takes 25 requests, not 26."""
    table = make_table(backend)
    puts = [{"PutRequest": {"Item": item(place)}} for place in range(26)]
    backend.dynamodb.batch_write_item(RequestItems={table: puts[:25]})
    refused("ValidationException", backend.dynamodb.batch_write_item, RequestItems={table: puts})


@behaviour("Keys and limits")
def batch_writes_of_different_items(backend: Backend) -> None:
    """One item twice in a BatchWriteItem is refused."""
    put = {"PutRequest": {"Item": item(1)}}
    requests = {make_table(backend): [put, {"DeleteRequest": {"Key": key(1)}}]}
    refused("ValidationException", backend.dynamodb.batch_write_item, RequestItems=requests)


@behaviour("Keys and limits")
def batch_reads_up_to_100(backend: Backend) -> None:
    """BatchGetItem takes 100 keys, not 101, and leaves out what is not there."""
    table = make_table(backend)
    backend.dynamodb.put_item(TableName=table, Item=item(7))
    keys = [key(place) for place in range(101)]
    answer = backend.dynamodb.batch_get_item(RequestItems={table: {"Keys": keys[:100]}})
    assert answer["Responses"][table] == [item(7)]
    assert not answer["UnprocessedKeys"]
    requests = {table: {"Keys": keys}}
    refused("ValidationException", backend.dynamodb.batch_get_item, RequestItems=requests)


@behaviour("Keys and limits")
def batch_reads_of_different_items(backend: Backend) -> None:
    """One key twice in a BatchGetItem is refused."""
    requests = {make_table(backend): {"Keys": [key(1), key(1)]}}
    refused("ValidationException", backend.dynamodb.batch_get_item, RequestItems=requests)


# ---- DynamoDB: transactions ---------------------------------------------------------------------


def _put_if_absent(table: str, place: int) -> dict[str, Any]:
    return {
        "Put": {
            "TableName": table,
            "Item": item(place),
            "ConditionExpression": "attribute_not_exists(pk)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


@behaviour("Transactions")
def transactions_are_all_or_nothing(backend: Backend) -> None:
    """One failed condition cancels all; the reasons stand in the order of the members, with the
    item that was in the way."""
    table = make_table(backend)
    backend.dynamodb.put_item(TableName=table, Item=item(2, by="other"))
    members = [_put_if_absent(table, place) for place in (1, 2, 3)]
    answer = refused(
        "TransactionCanceledException",
        backend.dynamodb.transact_write_items,
        TransactItems=members,
    )
    reasons = answer["CancellationReasons"]
    assert [each["Code"] for each in reasons] == ["None", "ConditionalCheckFailed", "None"]
    assert reasons[1]["Item"] == item(2, by="other")
    assert places(backend.dynamodb.query(**in_stream(table, ConsistentRead=True))) == [2]


@behaviour("Transactions")
def transactions_check_without_writing(backend: Backend) -> None:
    """A ConditionCheck guards the others and changes nothing."""
    table = make_table(backend)
    check = {
        "ConditionCheck": {
            "TableName": table,
            "Key": key(1),
            "ConditionExpression": "attribute_exists(pk)",
        }
    }
    members = [check, _put_if_absent(table, 2)]
    refused(
        "TransactionCanceledException",
        backend.dynamodb.transact_write_items,
        TransactItems=members,
    )
    backend.dynamodb.put_item(TableName=table, Item=item(1))
    backend.dynamodb.transact_write_items(TransactItems=members)
    assert places(backend.dynamodb.query(**in_stream(table, ConsistentRead=True))) == [1, 2]


@behaviour("Transactions")
def transactions_update_under_a_condition(backend: Backend) -> None:
    """An Update in a transaction has a condition of its own; refused, it shows the item that stands
    there, and no other member is carried out."""
    table = make_table(backend)
    backend.dynamodb.put_item(TableName=table, Item={**item(2), "n": {"N": "5"}})

    def members(most: int) -> list[dict[str, Any]]:
        update = {
            "TableName": table,
            "UpdateExpression": "ADD n :one",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        absent = {"ConditionExpression": "attribute_not_exists(n) OR n < :most"}
        values = {":one": {"N": "1"}, ":most": {"N": str(most)}}
        return [
            {"Update": {**update, **absent, "Key": key(p), "ExpressionAttributeValues": values}}
            for p in (1, 2)
        ]

    answer = refused(
        "TransactionCanceledException",
        backend.dynamodb.transact_write_items,
        TransactItems=members(5),
    )
    reasons = answer["CancellationReasons"]
    assert [each["Code"] for each in reasons] == ["None", "ConditionalCheckFailed"]
    assert reasons[1]["Item"] == {**item(2), "n": {"N": "5"}}
    backend.dynamodb.transact_write_items(TransactItems=members(6))
    found = backend.dynamodb.query(**in_stream(table, ConsistentRead=True))["Items"]
    assert [each["n"]["N"] for each in found] == ["1", "6"]


@behaviour("Transactions")
def transactions_delete_under_a_condition(backend: Backend) -> None:
    """A Delete in a transaction has a condition of its own, and what is absent is deleted without
    one; the reason of a refusal stands in its place."""
    table = make_table(backend)
    fill(backend, table, 2, id="one")
    delete = {"TableName": table, "Key": key(1), "ConditionExpression": "id = :id"}
    absent = {"ConditionExpression": "attribute_not_exists(pk)"}

    def members(id: str, beyond: int) -> list[dict[str, Any]]:
        return [
            {"Delete": {**delete, "ExpressionAttributeValues": {":id": {"S": id}}}},
            {"Delete": {"TableName": table, "Key": key(0)}},
            {"ConditionCheck": {"TableName": table, "Key": key(beyond), **absent}},
            {"Delete": {"TableName": table, "Key": key(9)}},
        ]

    def reasons(id: str, beyond: int) -> list[str]:
        answer = refused(
            "TransactionCanceledException",
            backend.dynamodb.transact_write_items,
            TransactItems=members(id, beyond),
        )
        return [each["Code"] for each in answer["CancellationReasons"]]

    failed = "ConditionalCheckFailed"
    backend.dynamodb.put_item(TableName=table, Item=item(2))
    assert reasons("other", 3) == [failed, "None", "None", "None"]
    assert reasons("one", 2) == ["None", "None", failed, "None"]
    assert places(backend.dynamodb.query(**in_stream(table, ConsistentRead=True))) == [0, 1, 2]
    backend.dynamodb.transact_write_items(TransactItems=members("one", 3))
    assert places(backend.dynamodb.query(**in_stream(table, ConsistentRead=True))) == [2]


@behaviour("Transactions")
def transactions_name_each_item_once(backend: Backend) -> None:
    """One item twice in a transaction is a ValidationException."""
    table = make_table(backend)
    refused(
        "ValidationException",
        backend.dynamodb.transact_write_items,
        TransactItems=[_put_if_absent(table, 1), {"Delete": {"TableName": table, "Key": key(1)}}],
    )


@behaviour("Transactions")
def transactions_of_up_to_100(backend: Backend) -> None:
    """A transaction takes 100 items, not 101."""
    table = make_table(backend)
    members = [_put_if_absent(table, place) for place in range(101)]
    backend.dynamodb.transact_write_items(TransactItems=members[:100])
    refused("ValidationException", backend.dynamodb.transact_write_items, TransactItems=members)


@behaviour("Transactions")
def a_request_token_makes_a_transaction_once(backend: Backend) -> None:
    """The same ClientRequestToken with the same content within ten minutes succeeds and changes
    nothing."""
    table = make_table(backend)
    request = {"TransactItems": [_put_if_absent(table, 1)], "ClientRequestToken": "token-1"}
    backend.dynamodb.transact_write_items(**request)
    backend.dynamodb.transact_write_items(**request)


@behaviour("Transactions")
def a_request_token_stands_for_one_content(backend: Backend) -> None:
    """The same ClientRequestToken with other content is an IdempotentParameterMismatch."""
    table = make_table(backend)
    token = {"ClientRequestToken": "token-2"}
    backend.dynamodb.transact_write_items(TransactItems=[_put_if_absent(table, 1)], **token)
    refused(
        "IdempotentParameterMismatchException",
        backend.dynamodb.transact_write_items,
        TransactItems=[_put_if_absent(table, 2)],
        **token,
    )


# ---- DynamoDB: reads ----------------------------------------------------------------------------


@behaviour("Reads")
def queries_go_either_way_by_number(backend: Backend) -> None:
    """A query sorts a numeric key as numbers, backward too."""
    table = make_table(backend)
    for place in (9, 100, 10):
        backend.dynamodb.put_item(TableName=table, Item=item(place))
    assert places(backend.dynamodb.query(**in_stream(table))) == [9, 10, 100]
    backward = in_stream(table, ScanIndexForward=False)
    assert places(backend.dynamodb.query(**backward)) == [100, 10, 9]


@behaviour("Reads")
def pages_go_on_where_they_ended(backend: Backend) -> None:
    """Limit ends a page; LastEvaluatedKey is where the next goes on, without gap or overlap."""
    table = make_table(backend)
    fill(backend, table, 5)
    first = backend.dynamodb.query(**in_stream(table, Limit=2))
    start = {"ExclusiveStartKey": first["LastEvaluatedKey"]}
    second = backend.dynamodb.query(**in_stream(table, Limit=2, **start))
    assert (places(first), places(second)) == ([0, 1], [2, 3])


@behaviour("Reads")
def a_page_that_its_limit_ends_goes_on(backend: Backend) -> None:
    """A page that holds exactly its limit has a LastEvaluatedKey, even if nothing follows."""
    table = make_table(backend)
    fill(backend, table, 2)
    last = backend.dynamodb.query(**in_stream(table, Limit=2))
    assert last["LastEvaluatedKey"] == key(1)
    start = {"ExclusiveStartKey": last["LastEvaluatedKey"]}
    rest = backend.dynamodb.query(**in_stream(table, Limit=2, **start))
    assert (rest["Items"], "LastEvaluatedKey" in rest) == ([], False)


@behaviour("Reads")
def pages_end_at_1_mb(backend: Backend) -> None:
    """A page ends at 1 MB of items, before a filter or projection."""
    table = make_table(backend)
    fill(backend, table, 4, a="x" * (300 * KB))
    page = backend.dynamodb.query(**in_stream(table, ProjectionExpression="sk"))
    assert 3 <= len(page["Items"]) <= 4
    assert page.get("LastEvaluatedKey") == (key(2) if len(page["Items"]) == 3 else None)
    assert "LastEvaluatedKey" in page


@behaviour("Reads")
def limits_count_before_filters(backend: Backend) -> None:
    """Limit counts what is read; a filter only leaves out, and ScannedCount tells."""
    table = make_table(backend)
    fill(backend, table, 4)
    answer = backend.dynamodb.scan(
        TableName=table,
        Limit=3,
        FilterExpression="sk > :n",
        ExpressionAttributeValues={":n": {"N": "1"}},
    )
    assert (answer["ScannedCount"], answer["Count"]) == (3, 1)


@behaviour("Reads")
def scans_see_each_item_once(backend: Backend) -> None:
    """A scan in pages gives every item of every partition exactly once."""
    table = make_table(backend)
    wanted = {(pk, place) for pk in "abc" for place in range(3)}
    for pk, place in wanted:
        backend.dynamodb.put_item(TableName=table, Item=item(place, pk))
    found: list[tuple[str, int]] = []
    start: dict[str, Any] = {}
    while True:
        page = backend.dynamodb.scan(TableName=table, Limit=2, **start)
        found += [(each["pk"]["S"], int(each["sk"]["N"])) for each in page["Items"]]
        if "LastEvaluatedKey" not in page:
            break
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert sorted(found) == sorted(wanted)


def _listed(backend: Backend, table: str, **more: Any) -> list[int]:
    answer = backend.dynamodb.query(
        TableName=table,
        IndexName="lists",
        KeyConditionExpression="#list = :list",
        ExpressionAttributeNames={"#list": "list"},
        ExpressionAttributeValues={":list": {"S": "l"}},
        **more,
    )
    return places(answer)


@behaviour("Reads")
def indexes_are_sparse(backend: Backend) -> None:
    """An item that lacks an index key is not in the index, and leaves it when it loses one."""
    table = make_table(backend)
    backend.dynamodb.put_item(TableName=table, Item=item(1, list="l", position="b"))
    backend.dynamodb.put_item(TableName=table, Item=item(2, list="l", position="a"))
    backend.dynamodb.put_item(TableName=table, Item=item(3, list="l"))
    assert _listed(backend, table) == [2, 1]
    backend.dynamodb.put_item(TableName=table, Item=item(1))
    assert _listed(backend, table) == [2]


@behaviour("Reads")
def bare_indexes_hold_keys_by_number(backend: Backend) -> None:
    """An index of KEYS_ONLY gives the keys of table and index alone, between two numbers in their
    order."""
    table = make_table(backend)
    for place, due in enumerate((100, 9, 20, 9)):
        moment = {"lane": {"S": "l"}, "due": {"N": str(due)}}
        backend.dynamodb.put_item(TableName=table, Item={**item(place, other="x"), **moment})
    query = {
        "TableName": table,
        "IndexName": "due",
        "KeyConditionExpression": "lane = :l AND due BETWEEN :low AND :high",
        "ExpressionAttributeValues": {":l": {"S": "l"}, ":low": {"N": "9"}, ":high": {"N": "20"}},
    }
    found = backend.dynamodb.query(**query)["Items"]
    assert [each["due"]["N"] for each in found] == ["9", "9", "20"]
    assert {name for each in found for name in each} == {"pk", "sk", "lane", "due"}
    first = backend.dynamodb.query(**query, Limit=1)
    rest = backend.dynamodb.query(**query, ExclusiveStartKey=first["LastEvaluatedKey"])
    assert sorted(places(first) + places(rest)) == [1, 2, 3]


@behaviour("Reads")
def indexes_are_never_consistent(backend: Backend) -> None:
    """ConsistentRead on a global secondary index is a ValidationException."""
    table = make_table(backend)
    refused("ValidationException", lambda: _listed(backend, table, ConsistentRead=True))


@behaviour("Reads")
def tables_must_exist(backend: Backend) -> None:
    """A table that is not there is a ResourceNotFoundException."""
    refused("ResourceNotFoundException", backend.dynamodb.get_item, TableName="nowhere", Key=key(1))


# ---- DynamoDB: streams --------------------------------------------------------------------------


@behaviour("Streams")
def records_come_in_an_items_order(backend: Backend) -> None:
    """Each change of an item leaves one record, in order, with its new image."""
    table = make_table(backend)
    for by in ("first", "second"):
        backend.dynamodb.put_item(TableName=table, Item=item(1, by=by))
    records = backend.records(table)
    assert [each["eventName"] for each in records] == ["INSERT", "MODIFY"]
    images = [each["dynamodb"]["NewImage"] for each in records]
    assert images == [item(1, by="first"), item(1, by="second")]


@behaviour("Streams")
def writes_that_change_nothing_leave_no_record(backend: Backend) -> None:
    """Putting an item that stands there already leaves no record."""
    table = make_table(backend)
    for _ in range(2):
        backend.dynamodb.put_item(TableName=table, Item=item(1))
    assert [each["eventName"] for each in backend.records(table)] == ["INSERT"]


@behaviour("Streams")
def deletions_have_no_new_image(backend: Backend) -> None:
    """A deletion leaves a REMOVE without a new image; one of nothing leaves none."""
    table = make_table(backend)
    backend.dynamodb.put_item(TableName=table, Item=item(1))
    for place in (1, 2):
        backend.dynamodb.delete_item(TableName=table, Key=key(place))
    inserted, *rest = backend.records(table)
    assert inserted["eventName"] == "INSERT"
    assert [each["eventName"] for each in rest] == ["REMOVE"]
    assert "NewImage" not in rest[0]["dynamodb"]


@behaviour("Streams")
def failed_writes_leave_no_record(backend: Backend) -> None:
    """A write whose condition fails leaves no record."""
    table = make_table(backend)
    backend.dynamodb.put_item(TableName=table, Item=item(1))
    refused(
        "ConditionalCheckFailedException",
        backend.dynamodb.put_item,
        TableName=table,
        Item=item(1, by="second"),
        ConditionExpression="attribute_not_exists(pk)",
    )
    assert len(backend.records(table)) == 1


# ---- SQS ----------------------------------------------------------------------------------------


@behaviour("Queues")
def received_messages_are_hidden(backend: Backend) -> None:
    """A message is hidden for the visibility time-out, then comes again, counted."""
    url = make_queue(backend, VisibilityTimeout="1")
    backend.sqs.send_message(QueueUrl=url, MessageBody="m")
    assert [each["Body"] for each in received(backend, url)] == ["m"]
    assert received(backend, url) == []
    backend.wait(1.2)
    [again] = received(backend, url)
    assert again["Attributes"]["ApproximateReceiveCount"] == "2"


@behaviour("Queues")
def deleted_messages_are_gone(backend: Backend) -> None:
    """A deleted message does not come again."""
    url = make_queue(backend, VisibilityTimeout="1")
    backend.sqs.send_message(QueueUrl=url, MessageBody="m")
    [message] = received(backend, url)
    backend.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    backend.wait(1.2)
    assert received(backend, url) == []


@behaviour("Queues")
def messages_die_after_their_receives(backend: Backend) -> None:
    """A message that was received maxReceiveCount times goes to the dead-letter queue instead."""
    dead = make_queue(backend)
    attributes = {"QueueUrl": dead, "AttributeNames": ["QueueArn"]}
    arn = backend.sqs.get_queue_attributes(**attributes)["Attributes"]["QueueArn"]
    policy = f'{{"deadLetterTargetArn":"{arn}","maxReceiveCount":2}}'
    url = make_queue(backend, VisibilityTimeout="1", RedrivePolicy=policy)
    backend.sqs.send_message(QueueUrl=url, MessageBody="m")
    for _ in range(2):
        assert len(received(backend, url)) == 1
        backend.wait(1.2)
    assert received(backend, url) == []
    assert [each["Body"] for each in received(backend, dead)] == ["m"]


@behaviour("Queues")
def delayed_messages_come_later(backend: Backend) -> None:
    """DelaySeconds hides a new message."""
    url = make_queue(backend)
    backend.sqs.send_message(QueueUrl=url, MessageBody="m", DelaySeconds=1)
    assert received(backend, url) == []
    backend.wait(1.2)
    assert len(received(backend, url)) == 1


@behaviour("Queues")
def delays_up_to_900_seconds(backend: Backend) -> None:
    """A delay above 900 seconds is refused."""
    url = make_queue(backend)
    refused(
        "InvalidParameterValue",
        backend.sqs.send_message,
        QueueUrl=url,
        MessageBody="m",
        DelaySeconds=901,
    )


def _entries(number: int) -> list[dict[str, str]]:
    return [{"Id": str(place), "MessageBody": "m"} for place in range(number)]


@behaviour("Queues")
def batches_of_up_to_10(backend: Backend) -> None:
    """SendMessageBatch takes 10 entries, not 11."""
    url = make_queue(backend)
    taken = backend.sqs.send_message_batch(QueueUrl=url, Entries=_entries(10))
    assert len(taken["Successful"]) == 10
    refused(
        "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
        backend.sqs.send_message_batch,
        QueueUrl=url,
        Entries=_entries(11),
    )


@behaviour("Queues")
def batches_are_not_empty(backend: Backend) -> None:
    """An empty batch is refused."""
    refused(
        "AWS.SimpleQueueService.EmptyBatchRequest",
        backend.sqs.send_message_batch,
        QueueUrl=make_queue(backend),
        Entries=[],
    )


@behaviour("Queues")
def batch_ids_differ(backend: Backend) -> None:
    """Two entries of one id are refused."""
    refused(
        "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
        backend.sqs.send_message_batch,
        QueueUrl=make_queue(backend),
        Entries=_entries(1) * 2,
    )


@behaviour("Queues")
def up_to_10_messages_at_once(backend: Backend) -> None:
    """ReceiveMessage gives at most 10, and refuses to be asked for 11."""
    url = make_queue(backend)
    backend.sqs.send_message_batch(QueueUrl=url, Entries=_entries(10))
    assert 1 <= len(received(backend, url, MaxNumberOfMessages=10)) <= 10
    refused(
        "InvalidParameterValue",
        backend.sqs.receive_message,
        QueueUrl=url,
        MaxNumberOfMessages=11,
    )


@behaviour("Queues")
def batches_up_to_1_mib(backend: Backend) -> None:
    """A message takes 1 MiB, and so does a batch in all."""
    url = make_queue(backend)
    backend.sqs.send_message(QueueUrl=url, MessageBody="x" * KB * KB)
    half = "x" * (KB * KB // 2 + 1)
    refused(
        "AWS.SimpleQueueService.BatchRequestTooLong",
        backend.sqs.send_message_batch,
        QueueUrl=url,
        Entries=[{"Id": "1", "MessageBody": half}, {"Id": "2", "MessageBody": half}],
    )


# ---- S3: objects --------------------------------------------------------------------------------


def make_bucket(backend: Backend) -> str:
    """A bucket of its own."""
    name = f"conformance-{next(_numbers)}"
    backend.s3.create_bucket(Bucket=name)
    return name


def content(backend: Backend, bucket: str, key: str) -> bytes:
    """What an object holds."""
    with closing(backend.s3.get_object(Bucket=bucket, Key=key)["Body"]) as body:
        read: bytes = body.read()
    return read


@behaviour("S3: objects")
def objects_come_back_as_they_were_put(backend: Backend) -> None:
    """An object's bytes and metadata come back as they were put; a second put replaces the
    first."""
    bucket = make_bucket(backend)
    for body in (b"one", b"\x1f\x8b\x00two"):
        backend.s3.put_object(Bucket=bucket, Key="a/b=c.gz", Body=body, Metadata={"revision": "7"})
    assert content(backend, bucket, "a/b=c.gz") == b"\x1f\x8b\x00two"
    answer = backend.s3.get_object(Bucket=bucket, Key="a/b=c.gz")
    answer["Body"].close()
    assert answer["Metadata"] == {"revision": "7"}


@behaviour("S3: objects")
def objects_that_are_not_there(backend: Backend) -> None:
    """To read an object that is not there is NoSuchKey."""
    bucket = make_bucket(backend)
    refused("NoSuchKey", backend.s3.get_object, Bucket=bucket, Key="nothing")


@behaviour("S3: objects")
def objects_put_if_there_is_none(backend: Backend) -> None:
    """`If-None-Match: *` refuses with PreconditionFailed what is there already."""
    bucket = make_bucket(backend)
    backend.s3.put_object(Bucket=bucket, Key="k", Body=b"first", IfNoneMatch="*")
    refused(
        "PreconditionFailed",
        backend.s3.put_object,
        Bucket=bucket,
        Key="k",
        Body=b"second",
        IfNoneMatch="*",
    )
    assert content(backend, bucket, "k") == b"first"


@behaviour("S3: objects")
def objects_put_over_what_was_read(backend: Backend) -> None:
    """`If-Match` puts over the object of that entity tag alone: another is PreconditionFailed, none
    is NoSuchKey."""
    bucket = make_bucket(backend)
    put = backend.s3.put_object
    first = put(Bucket=bucket, Key="k", Body=b"first")["ETag"]
    read = backend.s3.get_object(Bucket=bucket, Key="k")
    read["Body"].close()
    assert read["ETag"] == first
    put(Bucket=bucket, Key="k", Body=b"second", IfMatch=first)
    refused("PreconditionFailed", put, Bucket=bucket, Key="k", Body=b"third", IfMatch=first)
    assert content(backend, bucket, "k") == b"second"
    refused("NoSuchKey", put, Bucket=bucket, Key="other", Body=b"x", IfMatch=first)


@behaviour("S3: objects")
def the_same_content_has_the_same_tag(backend: Backend) -> None:
    """The entity tag of an object that is put at once and encrypted by S3's own keys is that of its
    content, whatever its metadata."""
    bucket = make_bucket(backend)
    tags = {
        backend.s3.put_object(Bucket=bucket, Key=key, Body=b"same", Metadata={"of": key})["ETag"]
        for key in ("a", "b")
    }
    assert len(tags) == 1


@behaviour("S3: objects")
def keys_are_listed_in_order_and_pages(backend: Backend) -> None:
    """ListObjectsV2 lists keys in the order of their bytes, after `StartAfter`, page by page."""
    bucket = make_bucket(backend)
    for key in ("raw/b", "raw/a", "raw/c", "other", "raw/a/1"):
        backend.s3.put_object(Bucket=bucket, Key=key, Body=b"")

    def listed(**more: Any) -> list[list[str]]:
        pages, page = [], dict(more)
        while True:
            answer = backend.s3.list_objects_v2(Bucket=bucket, Prefix="raw/", **page)
            pages.append([each["Key"] for each in answer.get("Contents", [])])
            if not answer["IsTruncated"]:
                return pages
            page = {**more, "ContinuationToken": answer["NextContinuationToken"]}

    assert listed() == [["raw/a", "raw/a/1", "raw/b", "raw/c"]]
    assert listed(MaxKeys=3) == [["raw/a", "raw/a/1", "raw/b"], ["raw/c"]]
    assert listed(StartAfter="raw/a/1") == [["raw/b", "raw/c"]]


@behaviour("S3: objects")
def folders_are_listed_once(backend: Backend) -> None:
    """With a delimiter, ListObjectsV2 rolls keys up into common prefixes, each of which counts as
    one; `StartAfter` passes over those before it."""
    bucket = make_bucket(backend)
    for key in ("s/a/1", "s/a/2", "s/b/1", "s/c/1", "s/top"):
        backend.s3.put_object(Bucket=bucket, Key=key, Body=b"")

    def folders(**more: Any) -> list[str]:
        answer = backend.s3.list_objects_v2(Bucket=bucket, Prefix="s/", Delimiter="/", **more)
        return [each["Prefix"] for each in answer.get("CommonPrefixes", [])]

    assert folders() == ["s/a/", "s/b/", "s/c/"]
    assert folders(MaxKeys=2) == ["s/a/", "s/b/"]
    assert folders(StartAfter="s/a0") == ["s/b/", "s/c/"]


@behaviour("S3: objects")
def deletions_of_what_is_not_there_succeed(backend: Backend) -> None:
    """DeleteObjects names no key as an error that is not there."""
    bucket = make_bucket(backend)
    for key in ("a", "b"):
        backend.s3.put_object(Bucket=bucket, Key=key, Body=b"")
    named = {"Objects": [{"Key": "a"}, {"Key": "never"}], "Quiet": True}
    assert "Errors" not in backend.s3.delete_objects(Bucket=bucket, Delete=named)
    left = backend.s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert [each["Key"] for each in left] == ["b"]


@behaviour("S3: objects")
def deletions_of_up_to_1000(backend: Backend) -> None:
    """DeleteObjects takes at most 1,000 keys."""
    bucket = make_bucket(backend)
    many = {"Objects": [{"Key": str(number)} for number in range(1001)]}
    refused("MalformedXML", backend.s3.delete_objects, Bucket=bucket, Delete=many)


DEVIATIONS: dict[tuple[str, str], str] = {
    ("ministack", "delays-up-to-900-seconds"): "takes 901",
    ("ministack", "deletions-of-up-to-1000"): "takes 1,001",
    ("moto", "deletions-of-up-to-1000"): "takes 1,001",
    ("moto", "update-returns-what-it-changed"): "gives what differs",
    ("moto", "placeholders-must-be-used"): "takes it",
    ("moto", "placeholders-must-be-defined"): "raises KeyError",
    ("moto", "index-keys-have-their-type"): "takes it",
    ("moto", "items-up-to-400-kb"): "takes 405,000 bytes",
    ("moto", "batch-writes-up-to-25"): "takes 26",
    ("moto", "batch-writes-of-different-items"): "takes it",
    ("moto", "a-request-token-makes-a-transaction-once"): "carries it out again",
    ("moto", "a-request-token-stands-for-one-content"): "ignores the token",
    ("moto", "a-page-that-its-limit-ends-goes-on"): "no key where nothing follows",
    ("moto", "writes-that-change-nothing-leave-no-record"): (
        "MODIFY; tests/support/table_stream.py drops it"
    ),
}
"""(backend, behaviour) to what the backend does instead."""


def page() -> str:
    """docs/conformance.md."""
    lines = [
        "# Conformance",
        "",
        "What AWS documents of DynamoDB, SQS and S3, as far as Millrace leans on it, and what the",
        "backends of the tests make of it: the simulator's cloud in memory, moto, and MiniStack.",
        "Written by `python -m tests.support.conformance` from the suite that runs over all three;",
        "a deviation that is not named here fails the tests, and so does a name for one that is",
        "gone.",
        "",
    ]
    for group in dict.fromkeys(each.group for each in BEHAVIOURS):
        lines += [f"## {group}", "", "| AWS | memory | moto | MiniStack |", "|---|---|---|---|"]
        lines += [_row(each) for each in BEHAVIOURS if each.group == group]
        lines.append("")
    return "\n".join(lines)


def _row(behaviour: Behaviour) -> str:
    cells = [DEVIATIONS.get((backend, behaviour.name), "yes") for backend in BACKENDS]
    return f"| {behaviour.says} | {' | '.join(cells)} |"


def of(backend: str) -> Iterator[tuple[Behaviour, str | None]]:
    """Every behaviour, with the backend's deviation if it has one."""
    for each in BEHAVIOURS:
        yield each, DEVIATIONS.get((backend, each.name))


if __name__ == "__main__":
    PAGE.write_text(page())
