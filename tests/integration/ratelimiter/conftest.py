"""A stack whose gateway may forward to a server of the test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.ratelimiter.asking import NEAR
from tests.support.cloud.replacing_moto import dynamodb_in_memory
from tests.support.handlers import ROOT
from tests.support.pump import Stack
from tests.support.upstream import Upstream


@pytest.fixture
def near() -> Iterator[Stack]:
    """The whole template, new for each test."""
    with dynamodb_in_memory(), Stack([ROOT / "template.yaml"], NEAR) as stack:
        yield stack


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """The server."""
    with Upstream() as running:
        yield running
