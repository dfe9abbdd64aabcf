"""A run through everything that the functions of this capability may do."""

from __future__ import annotations

from tests.integration.ratelimiter.costs import ratelimiter
from tests.support.pump import Stack


def drive(stack: Stack) -> None:
    """Drives every function of the rate limiter."""
    ratelimiter(stack)
