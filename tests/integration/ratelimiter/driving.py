"""A run through everything that the functions of this capability may do, faults included."""

from __future__ import annotations

from tests.integration.keeping import fail_and_heal
from tests.integration.ratelimiter.asking import make_key
from tests.integration.ratelimiter.costs import ratelimiter
from tests.integration.ratelimiter.gateway_costs import ask, gateway
from tests.support.pump import Stack


def drive(stack: Stack) -> None:
    """Drives every function of the rate limiter."""
    ratelimiter(stack)
    gateway(stack)
    page = ask(stack, "GET", "upstreams", query={"limit": "1"})
    ask(stack, "GET", "upstreams", query={"limit": "1", "cursor": page["next_cursor"]})
    fail_and_heal(stack, "ratelimiter", lambda: rotate(stack))


def rotate(stack: Stack) -> None:
    """A key and its second secret."""
    key = make_key(stack)["id"]
    ask(stack, "POST", f"keys/{key}/rotate", json={})
