"""A small application of the project's shape, so that these tests stand by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pump import Stack


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack([Path(__file__).parent / "sample" / "root.yaml"]) as stack:
        yield stack
