"""A run through everything that the functions of this capability may do, faults included."""

from __future__ import annotations

from tests.integration.analytics.bulk import drive_bulk
from tests.integration.analytics.costs import sites
from tests.integration.analytics.evaluating import drive_evaluation
from tests.integration.analytics.sites import ANY, ask, make
from tests.integration.analytics.tending import drive_tending
from tests.support.pump import Stack


def drive(stack: Stack) -> None:
    """Drives every function of analytics."""
    sites(stack)
    fail_and_heal(stack)
    drive_bulk(stack)
    drive_evaluation(stack)
    drive_tending(stack)


def fail_and_heal(stack: Stack) -> None:
    """A projection that fails into the retry queue, and a sweep of a late row that does; one that
    fails into quarantine."""
    for function in ("AnalyticsProject", "AnalyticsSweep"):
        ask(stack, "DELETE", f"/{make(stack)}", 204, headers=ANY)
        stack.faults.fail(
            "dynamodb", "PutItem", "InternalServerError", status=500, times=3, function=function
        )
        if function == "AnalyticsSweep":
            stack.stream_records()
            stack.tick(function)
        stack.drain()
    make(stack)
    failing = stack.faults.fail(
        "dynamodb",
        "PutItem",
        "InternalServerError",
        status=500,
        times=-1,
        resource="AnalyticsViews",
    )
    stack.drain()
    assert failing.fired
    stack.faults.clear()
