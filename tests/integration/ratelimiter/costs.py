"""What rules and checks cost: each operation once under the meter, on warm containers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tests.integration.costs import Priced, line
from tests.integration.ratelimiter.asking import (
    LOGIN,
    SAMPLE,
    activate,
    adjust,
    check,
    denials,
    deny,
    hold,
    publish,
)
from tests.support.pump import Stack

IP, OTHER = "203.0.113.7", "203.0.113.8"


def ratelimiter(stack: Stack) -> list[Priced]:
    """The bills of the rate limiter."""

    def priced(operation: str, work: Callable[[], Any]) -> Priced:
        with stack.meter.operation(operation) as bill:
            work()
        return line(bill)

    user = {**LOGIN, "name": "user", "endpoint": "/pair", "identifiers": ["user"], "limit": 3}
    tenant = {**user, "name": "tenant", "identifiers": ["tenant"], "limit": 1000}
    two = [{**LOGIN, "name": n, "endpoint": "/two", "window": n} for n in ("1s", "1m")]
    flight = {**LOGIN, "name": "flight", "endpoint": "/flight", "algorithm": "concurrency"}
    hold(stack, *SAMPLE, user, tenant, *two)
    log = {**LOGIN, "name": "log", "endpoint": "/log", "algorithm": "sliding_log", "limit": 100}
    bills = [
        priced("publish rules", lambda: publish(stack, *SAMPLE, user, tenant, *two, log, flight)),
        priced("activate rules", lambda: activate(stack, 2)),
        priced("rules that hold", lambda: stack.request("GET", "/v1/rules", user="olga")),
        priced("check, cold container", lambda: check(stack, "/api/login", ip=IP)),
        priced("check", lambda: check(stack, "/api/login", ip=IP)),
        priced("check that no rule fits", lambda: check(stack, "/elsewhere", ip=IP)),
        priced("check of two limits of one identity", lambda: check(stack, "/two", ip=IP)),
        priced("check of two identities", lambda: check(stack, "/pair", user="ada", tenant="acme")),
    ]
    both = {"user": "ada", "tenant": "acme"}
    slot = check(stack, "/flight", ip=IP).json()["slot"]
    bills += [
        priced("adjust", lambda: adjust(stack, "/two", "a", ip=IP, cost=-1)),
        priced("adjust, again", lambda: adjust(stack, "/two", "a", ip=IP, cost=-1)),
        priced("adjust of two identities", lambda: adjust(stack, "/pair", "b", **both, cost=1)),
        priced("check that takes a slot", lambda: check(stack, "/flight", ip=IP)),
        priced("free a slot", lambda: adjust(stack, "/flight", ip=IP, slot=slot)),
        priced("free a slot, again", lambda: adjust(stack, "/flight", ip=IP, slot=slot)),
    ]
    for _ in range(99):
        check(stack, "/log", ip=IP)
    bills.append(priced("check of a log of 100 entries", lambda: check(stack, "/log", ip=IP)))
    for _ in range(4):
        check(stack, "/api/login", ip=IP)
    bills.append(priced("check, known to be denied", lambda: check(stack, "/api/login", ip=IP)))
    stack.advance(2)
    bills.append(priced("check, denied again", lambda: check(stack, "/api/login", ip=IP)))
    deny(stack, ip="203.0.113.9")
    stack.cold_start()
    check(stack, "/elsewhere", ip=IP)
    bills.append(
        priced(
            "check, denied by a new container, which says so",
            lambda: check(stack, "/api/login", ip="203.0.113.9"),
        )
    )
    return bills + _denials(stack, priced)


def _denials(stack: Stack, priced: Callable[[str, Callable[[], Any]], Priced]) -> list[Priced]:
    """What becomes of samples: the first of an address, one more of it, and the lists."""

    stack.drain()
    deny(stack, ip=OTHER)
    bills = [priced("first denial of somebody kept, listed and told", stack.drain)]
    stack.advance(60)
    deny(stack, ip=OTHER)
    bills.append(priced("the next of a minute later", stack.drain))
    # The first page that goes on needs the secret.
    denials(stack, limit=1)
    for sort in ("last_at", "denied"):
        bills.append(priced(f"denials of a day by {sort}", partial(denials, stack, sort=sort)))
    return bills
