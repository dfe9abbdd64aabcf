"""Makes on moto what a template declares: secrets, topics, queues, buckets, tables, streams."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from moto.sqs.models import sqs_backends

from tests.support.deployment import Subscription, subscriptions_of
from tests.support.table_stream import TableStream, Writes
from tests.support.template import ACCOUNT, ARNS, REGION, Template
from tests.support.wire import bare_client

ROOT_KEY = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01"
"""The stack's secret: always the same, so that what derives from it is too."""

TABLE_PROPERTIES = (
    "AttributeDefinitions",
    "KeySchema",
    "GlobalSecondaryIndexes",
    "LocalSecondaryIndexes",
    "BillingMode",
    "StreamSpecification",
)
QUEUE_ATTRIBUTES = ("VisibilityTimeout", "DelaySeconds", "MessageRetentionPeriod")

Named = tuple[str, str]
"""(physical name, logical name); a queue's physical name is its URL, a secret's and a topic's its
ARN."""


def make_secrets(template: Template) -> Iterator[Named]:
    """Makes secrets, and tells the template the ARNs that moto gave them."""
    secrets = bare_client("secretsmanager")
    for name in template.names("AWS::SecretsManager::Secret"):
        generated = template.properties(name).get("GenerateSecretString", {})
        content = json.dumps({generated.get("GenerateStringKey", "root"): ROOT_KEY})
        made = secrets.create_secret(Name=template.physical(name), SecretString=content)
        template.made[name, "Ref"] = made["ARN"]
        yield made["ARN"], name


def make_topics(template: Template) -> Iterator[Named]:
    """Makes topics."""
    sns = bare_client("sns")
    for name in template.names("AWS::SNS::Topic"):
        yield sns.create_topic(Name=template.physical(name))["TopicArn"], name


def subscribe_queues(template: Template) -> None:
    """Subscribes queues to topics, once both are made."""
    for subscription in subscriptions_of(template):
        subscribe(subscription)


def subscribe(subscription: Subscription) -> None:
    """Subscribes one queue; moto delivers and filters by itself."""
    attributes = {"RawMessageDelivery": "true", "FilterPolicy": json.dumps(subscription.policy)}
    bare_client("sns").subscribe(
        TopicArn=subscription.topic,
        Protocol="sqs",
        Endpoint=subscription.queue,
        Attributes=attributes,
    )


def queue_arn(name: str) -> str:
    """The ARN of a queue by its name."""
    return ARNS["AWS::SQS::Queue"].format(name=name)


def make_queues(template: Template) -> Iterator[Named]:
    """Makes queues, dead-letter queues first: a redrive policy's has to be there."""
    # As moto's answer to CreateQueue does; the way to it would be half of what a stack costs.
    sqs = sqs_backends[ACCOUNT][REGION]
    queues = {name: template.properties(name) for name in template.names("AWS::SQS::Queue")}
    for name in sorted(queues, key=lambda name: "RedrivePolicy" in queues[name]):
        properties = queues[name]
        attributes: dict[str, Any] = {
            key: str(properties[key]) for key in QUEUE_ATTRIBUTES if key in properties
        }
        if "RedrivePolicy" in properties:
            attributes["RedrivePolicy"] = json.dumps(properties["RedrivePolicy"])
        sqs.create_queue(template.physical(name), **attributes)
        yield template.resolve({"Ref": name}), name


def make_buckets(template: Template) -> Iterator[Named]:
    """Makes buckets."""
    s3 = bare_client("s3")
    for name in template.names("AWS::S3::Bucket"):
        s3.create_bucket(Bucket=template.physical(name))
        yield template.physical(name), name


def make_tables(template: Template) -> Iterator[Named]:
    """Makes tables, and tells the template the ARNs that moto gave their streams."""
    dynamodb = bare_client("dynamodb")
    for name in template.names("AWS::DynamoDB::Table"):
        declared = template.properties(name)
        properties = {key: declared[key] for key in TABLE_PROPERTIES if key in declared}
        if "StreamSpecification" in properties:
            # CloudFormation leaves out what the API demands.
            properties["StreamSpecification"]["StreamEnabled"] = True
        made = dynamodb.create_table(TableName=template.physical(name), **properties)
        if "LatestStreamArn" in made["TableDescription"]:
            template.made[name, "StreamArn"] = made["TableDescription"]["LatestStreamArn"]
        yield template.physical(name), name


def streams_of(template: Template, writes: Writes) -> Iterator[TableStream]:
    """The streams of a template's tables, once those are made."""
    client = bare_client("dynamodbstreams")
    for (name, attribute), arn in template.made.items():
        if attribute == "StreamArn":
            yield TableStream(client, template.physical(name), arn, writes)
