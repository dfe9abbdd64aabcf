"""The cloud in memory where a Stack expects moto's DynamoDB.

moto sorts a whole table at each Query and Scan, so that what is linear on AWS is quadratic there:
a test of thousands of streams ends only here. Queues and secrets stay with moto.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol
from unittest.mock import patch

from moto.core.botocore_stubber import BotocoreStubber

from tests.support.cloud.dynamodb import DynamoDB
from tests.support.cloud.sdk import over_http
from tests.support.cloud.streams import Streams


class Service(Protocol):
    """A service of the cloud in memory."""

    def call(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        """Carries out one operation."""


@contextmanager
def dynamodb_in_memory() -> Iterator[None]:
    """Meanwhile what is sent to moto's DynamoDB and its streams arrives at an empty one of ours.
    Make the Stack inside."""
    dynamodb = DynamoDB()
    services: Mapping[str, Service] = {
        "DynamoDB_20120810": dynamodb,
        "DynamoDBStreams_20120810": Streams(dynamodb),
    }
    to_moto = BotocoreStubber.process_request

    def send(service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        return services[service].call(operation, params)

    def process_request(self: BotocoreStubber, request: Any) -> Any:
        target = request.headers.get("X-Amz-Target", "")
        name = target.decode() if isinstance(target, bytes) else target
        service, _, operation = name.partition(".")
        if service not in services:
            return to_moto(self, request)
        status, content = over_http(service, operation, send, request.body)
        return status, {}, content

    with patch.object(BotocoreStubber, "process_request", process_request):
        yield
