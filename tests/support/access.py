"""Which IAM action on which resource a call needs.

Source: Service Authorization Reference, "Actions, resources, and condition keys" of each service;
for transactions, "IAM with DynamoDB transactions": each member needs the action of its own kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.support.template import STACK, Template

Access = tuple[str, str]
"""(action, resource): ("dynamodb:Query", "ShortenerViews/index/lists")."""

MEMBERS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}
"""A transaction's member to the action it needs."""

OBJECT_ACTIONS = {
    "HeadObject": "GetObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
}
"""An operation on an object to the action it needs, where that has another name."""


def granted(templates: Iterable[Template], function: str) -> set[Access]:
    """What a function's policies allow, conditions of the template applied."""
    [template] = [each for each in templates if function in each.body["Resources"]]
    return {
        (action, resource.rpartition(f"{STACK}-")[2])
        for policy in template.properties(function).get("Policies", [])
        for statement in policy["Statement"]
        for action in _listed(statement["Action"])
        for resource in _listed(statement["Resource"])
    }


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def accesses(
    service: str, operation: str, params: Mapping[str, Any], names: Mapping[str, str]
) -> frozenset[Access]:
    """What a call needs; `names` gives logical names for physical ones."""
    match service:
        case "dynamodb":
            found = _dynamodb(operation, params)
        case "sqs":
            found = iter([(operation.removesuffix("Batch"), params.get("QueueUrl", "*"))])
        case "sns":
            found = iter([(operation.removesuffix("Batch"), params.get("TopicArn", "*"))])
        case "secretsmanager":
            found = iter([(operation, params.get("SecretId", "*"))])
        case "s3":
            found = _s3(operation, params)
        case _:
            found = iter([(operation, "*")])
    return frozenset(
        (f"{service}:{action}", _logical(resource, names)) for action, resource in found
    )


def _dynamodb(operation: str, params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if operation.startswith("Transact"):
        for entry in params["TransactItems"]:
            for member, target in entry.items():
                yield MEMBERS[member], target["TableName"]
    elif operation.startswith("Batch"):
        for table in params["RequestItems"]:
            yield operation, table
    else:
        index = params.get("IndexName")
        yield operation, params.get("TableName", "*") + (f"/index/{index}" if index else "")


def _s3(operation: str, params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    bucket = params["Bucket"]
    match operation:
        case "ListObjectsV2":
            yield "ListBucket", bucket
        case "DeleteObjects":
            for key in params["Keys"]:
                yield "DeleteObject", _folder(bucket, key)
        case _:
            yield OBJECT_ACTIONS.get(operation, operation), _folder(bucket, params["Key"])


def _folder(bucket: str, key: str) -> str:
    """Objects of one kind: policies name the folders of a bucket's root."""
    return f"{bucket}/{key.partition('/')[0]}/*"


def _logical(resource: str, names: Mapping[str, str]) -> str:
    # A queue's URL is a name of its own and holds slashes, so the whole is tried first.
    if resource in names:
        return names[resource]
    name, slash, rest = resource.partition("/")
    return names.get(name, name) + slash + rest
