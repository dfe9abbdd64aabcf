"""What a template deploys: its functions with what feeds them, and its routes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.event_filter import Pattern
from tests.support.http_api import Route, route_of
from tests.support.template import REFS, REGION, Template, TemplateError

UNGUARDED = {"GuardRules": "[]"}
"""Parameters of most tests: what they ask for are a route's own calls, and often many at once."""

UNBOUNDED = -1
"""Retries without end, which is a stream mapping's default."""

_FUNCTION_ARN = re.compile(r":function:([\w-]+)")


@dataclass(frozen=True)
class StreamSource:
    """A table's stream that feeds a function; `on_failure` is a queue's ARN."""

    table: str
    arn: str
    batch_size: int
    patterns: Sequence[Pattern]
    retries: int
    bisect: bool
    on_failure: str | None


@dataclass(frozen=True)
class QueueSource:
    """A queue that feeds a function; `partial` is ReportBatchItemFailures."""

    url: str
    arn: str
    batch_size: int
    patterns: Sequence[Pattern]
    partial: bool


@dataclass(frozen=True)
class Subscription:
    """A queue that gets a topic's messages, raw, if their attributes are as `policy` says; topic
    and queue by ARN."""

    topic: str
    queue: str
    policy: Pattern


@dataclass(frozen=True)
class Schedule:
    """A timer that fires a function; `input` of None sends the service's own event."""

    name: str
    input: str | None


@dataclass(frozen=True)
class Function:
    """A Lambda function: `module` has its `build`, `timeout` is seconds.

    `retries` and `on_failure` are for its asynchronous invocations.
    """

    name: str
    arn: str
    module: str
    env: Mapping[str, str]
    timeout: int
    sources: Sequence[StreamSource | QueueSource | Schedule]
    retries: int
    on_failure: str | None

    @property
    def streams(self) -> list[StreamSource]:
        return [source for source in self.sources if isinstance(source, StreamSource)]

    @property
    def queues(self) -> list[QueueSource]:
        return [source for source in self.sources if isinstance(source, QueueSource)]

    @property
    def schedules(self) -> list[Schedule]:
        return [source for source in self.sources if isinstance(source, Schedule)]


def functions_of(template: Template) -> list[Function]:
    """The functions of one template. Raises TemplateError for an event it cannot bring about."""
    return [_function(template, name) for name in template.names("AWS::Serverless::Function")]


def routes_of(template: Template) -> list[Route]:
    """The routes of one template, each with its function's logical name."""
    functions = {
        template.physical(name): name for name in template.names("AWS::Serverless::Function")
    }
    integrations = {
        template.physical(name): template.properties(name)["IntegrationUri"]
        for name in template.names("AWS::ApiGatewayV2::Integration")
    }
    routes = []
    for name in template.names("AWS::ApiGatewayV2::Route"):
        route = template.properties(name)
        uri = integrations[route["Target"].removeprefix("integrations/")]
        match = _FUNCTION_ARN.search(uri)
        if not match:
            raise TemplateError(f"{name} leads to no function: {uri}")
        needs_token = route.get("AuthorizationType", "NONE") != "NONE"
        routes.append(route_of(route["RouteKey"], functions[match[1]], needs_token))
    return routes


def subscriptions_of(template: Template) -> list[Subscription]:
    """The subscriptions of one template. Raises TemplateError for one whose messages are not raw,
    which no consumer here could read."""
    found = []
    for name in template.names("AWS::SNS::Subscription"):
        properties = template.properties(name)
        if properties["Protocol"] != "sqs" or not properties.get("RawMessageDelivery"):
            raise TemplateError(f"{name} delivers no raw messages to a queue")
        policy = properties.get("FilterPolicy", {})
        found.append(Subscription(properties["TopicArn"], properties["Endpoint"], policy))
    return found


def queue_url(arn: str) -> str:
    """The URL of a queue by its ARN."""
    return REFS["AWS::SQS::Queue"].format(name=arn.rpartition(":")[2])


def _function(template: Template, name: str) -> Function:
    properties = template.properties(name)
    variables = properties.get("Environment", {}).get("Variables", {})
    asynchronous = properties.get("EventInvokeConfig", {})
    return Function(
        name=name,
        arn=template.resolve({"Fn::GetAtt": [name, "Arn"]}),
        module=properties["Handler"].rpartition(".")[0],
        env={
            "AWS_REGION": REGION,
            "AWS_LAMBDA_FUNCTION_NAME": template.physical(name),
            **{key: str(value) for key, value in variables.items()},
        },
        timeout=int(properties.get("Timeout", 3)),
        sources=[_source(*event) for event in properties.get("Events", {}).items()],
        retries=asynchronous.get("MaximumRetryAttempts", 2),
        on_failure=_on_failure(asynchronous),
    )


def _source(name: str, event: Mapping[str, Any]) -> StreamSource | QueueSource | Schedule:
    properties = event.get("Properties", {})
    match event["Type"]:
        case "DynamoDB":
            arn = properties["Stream"]
            return StreamSource(
                table=arn.split("/")[1],
                arn=arn,
                batch_size=properties.get("BatchSize", 100),
                patterns=_patterns(properties),
                retries=properties.get("MaximumRetryAttempts", UNBOUNDED),
                bisect=properties.get("BisectBatchOnFunctionError", False),
                on_failure=_on_failure(properties),
            )
        case "SQS":
            arn = properties["Queue"]
            return QueueSource(
                url=queue_url(arn),
                arn=arn,
                batch_size=properties.get("BatchSize", 10),
                patterns=_patterns(properties),
                partial="ReportBatchItemFailures" in properties.get("FunctionResponseTypes", []),
            )
        case "Schedule" | "ScheduleV2":
            return Schedule(name, properties.get("Input"))
    raise TemplateError(f"{name}: no event of type {event['Type']} here yet")


def _patterns(properties: Mapping[str, Any]) -> list[Pattern]:
    filters = properties.get("FilterCriteria", {}).get("Filters", [])
    return [json.loads(entry["Pattern"]) for entry in filters]


def _on_failure(properties: Mapping[str, Any]) -> str | None:
    destination: str | None = (
        properties.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
    )
    return destination
