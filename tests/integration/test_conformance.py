"""The documented behaviour of the stores, held to the cloud in memory and to moto.

tests/e2e/test_conformance.py holds MiniStack to the same suite.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from moto import mock_aws

from tests.support import conformance
from tests.support.clock import FakeClock
from tests.support.cloud.dynamodb import Change, DynamoDB
from tests.support.cloud.replacing_moto import Service
from tests.support.cloud.s3 import S3
from tests.support.cloud.sdk import fast_client, sdk_client
from tests.support.cloud.sqs import SQS
from tests.support.conformance import PAGE, Behaviour
from tests.support.wire import bare_client


def suite(backend: str) -> list[Any]:
    """The suite as parameters, a backend's deviations as strict expected failures."""
    return [
        pytest.param(
            behaviour,
            id=behaviour.name,
            marks=() if deviation is None else pytest.mark.xfail(reason=deviation, strict=True),
        )
        for behaviour, deviation in conformance.of(backend)
    ]


class Memory:
    """The cloud in memory, behind botocore whole."""

    def __init__(self) -> None:
        self._clock = FakeClock()
        dynamodb, sqs = DynamoDB(self._clock.now), SQS(self._clock.seconds)
        services: dict[str, Service] = {"dynamodb": dynamodb, "sqs": sqs, "s3": S3()}

        def send(service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
            return services[service].call(operation, params)

        self._changes: list[Change] = []
        dynamodb.watch = self._changes.append
        self.dynamodb = sdk_client("dynamodb", send, lambda: 0.0)
        self.sqs = sdk_client("sqs", send, lambda: 0.0)
        # S3 speaks XML, of which the cloud in memory knows nothing.
        self.s3 = fast_client("s3", send, lambda _: None, lambda: 0.0)

    def records(self, table: str) -> list[Any]:
        """The changes as the simulation's pollers put them into records."""
        return [change.record() for change in self._changes if change.table == table]

    def wait(self, seconds: float) -> None:
        self._clock.advance(seconds)


class Moto:
    """moto, on a clock of its own."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.dynamodb = bare_client("dynamodb")
        self.sqs = bare_client("sqs")
        self.s3 = bare_client("s3")

    def records(self, table: str) -> list[Any]:
        return conformance.read_stream(self.dynamodb, bare_client("dynamodbstreams"), table)

    def wait(self, seconds: float) -> None:
        self._clock.advance(seconds)


@pytest.fixture
def moto() -> Iterator[Moto]:
    clock = FakeClock()
    with (
        mock_aws(),
        patch("moto.sqs.models.unix_time", lambda *_: clock.seconds()),
        patch("moto.sqs.models.unix_time_millis", lambda *_: clock.now()),
    ):
        yield Moto(clock)


@pytest.mark.parametrize("behaviour", suite("memory"))
def test_the_cloud_in_memory_does_as_documented(behaviour: Behaviour) -> None:
    behaviour.check(Memory())


@pytest.mark.parametrize("behaviour", suite("moto"))
def test_moto_does_as_documented(moto: Moto, behaviour: Behaviour) -> None:
    behaviour.check(moto)


def test_the_page_is_as_the_suite_says() -> None:
    assert PAGE.read_text() == conformance.page(), "python -m tests.support.conformance"


def test_every_deviation_is_one_of_a_behaviour() -> None:
    names = {behaviour.name for behaviour in conformance.BEHAVIOURS}
    assert {name for _, name in conformance.DEVIATIONS} <= names
