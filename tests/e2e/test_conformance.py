"""The documented behaviour of the stores, held to the emulator."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.e2e.conftest import Stack
from tests.integration.test_conformance import suite
from tests.support import conformance
from tests.support.conformance import Behaviour


class Emulator:
    """MiniStack, in real time."""

    def __init__(self, stack: Stack) -> None:
        self.dynamodb = stack.session.client("dynamodb")
        self.sqs = stack.session.client("sqs")
        self.s3 = stack.session.client("s3")
        self._streams = stack.session.client("dynamodbstreams")

    def records(self, table: str) -> list[Any]:
        return conformance.read_stream(self.dynamodb, self._streams, table)

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)


@pytest.fixture(scope="module")
def emulator(stack: Stack) -> Emulator:
    return Emulator(stack)


@pytest.mark.parametrize("behaviour", suite("ministack"))
def test_ministack_does_as_documented(emulator: Emulator, behaviour: Behaviour) -> None:
    behaviour.check(emulator)
