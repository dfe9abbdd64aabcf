"""Waiting for a view to catch up: polls a condition, bounded, and shows the last value seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LIMIT_SECONDS = 60.0
"""Of a machine that runs other tests too; nothing waits so long that goes well."""
POLL_SECONDS = 0.1


def eventually(look: Callable[[], T], expected: T) -> None:
    """Returns as soon as `look()` equals `expected`. Raises AssertionError after the limit."""
    deadline = time.monotonic() + LIMIT_SECONDS
    seen = look()
    while seen != expected and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        seen = look()
    assert seen == expected
