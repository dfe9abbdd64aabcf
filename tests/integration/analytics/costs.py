"""What the definitions of sites cost: each operation once under the meter, on warm containers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from functions.kernel.replay import RETIRED_MS
from tests.integration.analytics.sites import ANY, FUNNEL, GOAL, ask, change, make
from tests.integration.costs import Priced, line
from tests.integration.keeping import replay
from tests.support.pump import Stack

FIRST = {"at": "1"}


def sites(stack: Stack) -> list[Priced]:
    """The bills of sites and of their list."""

    def priced(operation: str, work: Callable[[], Any]) -> Priced:
        with stack.meter.operation(operation) as bill:
            work()
        return line(bill)

    site = make(stack)
    change(stack, site, json={"name": "Store"})
    bills = [
        priced("create a site", lambda: make(stack)),
        priced("own site", lambda: ask(stack, "GET", f"/{site}")),
        priced("edit a site", lambda: change(stack, site, json={"name": "Shop"})),
        priced("set a goal", lambda: change(stack, site, "/goals/buy", "PUT", json=GOAL)),
        priced("set a funnel", lambda: change(stack, site, "/funnels/buy", "PUT", json=FUNNEL)),
        priced(
            "own site as of a version", lambda: ask(stack, "GET", f"/{site}", query={"at": "1"})
        ),
        priced("history of 5 events", lambda: ask(stack, "GET", f"/{site}/history")),
    ]
    stack.drain()
    for _ in range(18):
        make(stack)
    stack.drain()
    change(stack, site, "/goals/buy", "DELETE")
    bills += [
        priced("project 1 edit of a site", stack.drain),
        priced("list, cold container", lambda: ask(stack, "GET", query={"limit": "1"})),
        priced("list of 20 sites", lambda: ask(stack, "GET", query={"limit": "20"})),
    ]
    gone = make(stack)
    bills.append(
        priced("delete a site", lambda: ask(stack, "DELETE", f"/{gone}", 204, headers=ANY))
    )
    stack.drain()
    bills += [
        priced("sweep of 21 sites, none late", lambda: stack.tick("AnalyticsSweep")),
        priced("replay of 21 sites", lambda: replay(stack, "analytics", "sites")),
    ]
    stack.advance(RETIRED_MS / 1000)
    bills.append(priced("sweep that drops the retired rows", lambda: stack.tick("AnalyticsSweep")))
    return bills
