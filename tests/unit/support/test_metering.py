"""What calls to the cloud in memory are billed, by AWS's published rules."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.cloud.dynamodb import Table
from tests.support.cloud.errors import Refused
from tests.support.cloud.metering import MeteredDynamoDB

TABLE = {
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
    ],
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
}


@pytest.fixture
def metered() -> MeteredDynamoDB:
    service = MeteredDynamoDB()
    service.tables["t"] = Table.declared("t", TABLE)
    for place, size in enumerate((900, 3000, 3000)):
        service.call("PutItem", {"TableName": "t", "Item": item(place, size)})
    return service


def key(place: int) -> dict[str, Any]:
    return {"pk": {"S": "a"}, "sk": {"S": str(place)}}


def item(place: int, size: int) -> dict[str, Any]:
    return {**key(place), "b": {"B": b"." * (size - 7)}}


def query(consistent: bool, **page: Any) -> dict[str, Any]:
    return {
        "TableName": "t",
        "KeyConditionExpression": "pk = :a",
        "ExpressionAttributeValues": {":a": {"S": "a"}},
        "ConsistentRead": consistent,
        **page,
    }


def test_a_write_costs_by_the_larger_item(metered: MeteredDynamoDB) -> None:
    assert metered.bill["wcu"] == 1 + 3 + 3
    metered.call("PutItem", {"TableName": "t", "Item": item(1, 100)})
    assert metered.bill["wcu"] == 7 + 3
    metered.call("DeleteItem", {"TableName": "t", "Key": key(2)})
    assert metered.bill["wcu"] == 10 + 3
    assert metered.bill["PutItem"] == 4


def test_a_failed_condition_costs_by_the_item_that_stands_there(metered: MeteredDynamoDB) -> None:
    params = {"ConditionExpression": "attribute_not_exists(pk)"}
    with pytest.raises(Refused):
        metered.call("PutItem", {"TableName": "t", "Item": item(1, 100), **params})
    assert metered.bill["wcu"] == 7 + 3


def test_a_page_costs_what_was_read_rounded_up_once(metered: MeteredDynamoDB) -> None:
    metered.call("Query", query(consistent=True))
    assert metered.bill["rcu"] == 2
    metered.call("Query", query(consistent=False))
    assert metered.bill["rcu"] == 2 + 1
    metered.call("Query", query(consistent=True, ExclusiveStartKey=key(1)))
    assert metered.bill["rcu"] == 3 + 1


def test_items_of_a_batch_cost_each(metered: MeteredDynamoDB) -> None:
    request = {"Keys": [key(0), key(1), key(7)], "ConsistentRead": True}
    metered.call("BatchGetItem", {"RequestItems": {"t": request}})
    assert metered.bill["rcu"] == 3
    metered.call("GetItem", {"TableName": "t", "Key": key(1)})
    assert metered.bill["rcu"] == 3.5
    deletions = [{"DeleteRequest": {"Key": key(place)}} for place in (0, 1)]
    metered.call("BatchWriteItem", {"RequestItems": {"t": deletions}})
    assert metered.bill["wcu"] == 7 + 1 + 3
