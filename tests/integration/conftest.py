"""The stack that integration tests get: on the faster of the two clouds, which conformance tests
hold to what AWS documents."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.cloud.replacing_moto import dynamodb_in_memory
from tests.support.handlers import ROOT
from tests.support.pump import Stack


@pytest.fixture
def stack() -> Iterator[Stack]:
    """The whole template, new for each test."""
    with dynamodb_in_memory(), Stack([ROOT / "template.yaml"]) as stack:
        yield stack
