"""What is done to any capability's views: a replay, and failures that heal."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from functions.edge.projection import Settings
from functions.edge.settings import settings
from functions.kernel.replay import Replay
from tests.support.pump import Stack


def replay(stack: Stack, capability: str, view: str) -> None:
    """Replays a view to its end."""
    projecting = import_module(f"functions.{capability}.projecting")
    runtime = stack.runtime(f"{capability.capitalize()}Sweep")
    wired = projecting.projection(runtime, settings(Settings, runtime.env))
    run = Replay(wired.store, wired.table, projecting.KINDS, view)
    run.begin(stack.clock.now())
    while not run.slice().complete:
        pass
    run.flip(stack.clock.now())


def fail_and_heal(stack: Stack, capability: str, change: Callable[[], object]) -> None:
    """A projection that fails into the retry queue, and a sweep of a late row that does; one that
    fails into quarantine. `change` leads to a record that has to be loaded."""
    prefix, error = capability.capitalize(), "InternalServerError"
    for function in (f"{prefix}Project", f"{prefix}Sweep"):
        change()
        stack.faults.fail("dynamodb", "PutItem", error, status=500, times=3, function=function)
        if function.endswith("Sweep"):
            stack.stream_records()
            stack.tick(function)
        stack.drain()
    change()
    views = f"{prefix}Views"
    failing = stack.faults.fail("dynamodb", "PutItem", error, status=500, times=-1, resource=views)
    stack.drain()
    assert failing.fired
    stack.faults.clear()
