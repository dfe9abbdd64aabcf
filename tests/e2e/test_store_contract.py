"""The store contract on the emulator's DynamoDB."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.conftest import Stack
from tests.integration.test_store_contract import DynamoContract


class TestOnTheEmulator(DynamoContract):
    @pytest.fixture
    def client(self, stack: Stack) -> Any:
        return stack.session.client("dynamodb")
