"""Building a view anew, from `begin` to `flip`, with somebody watching."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from functions.edge.runtime import Runtime
from functions.kernel.errors import Conflict
from functions.kernel.replay import RETIRED_MS, Replay
from millrace.capability import Capability
from millrace.errors import BenchError

MARGIN_SECONDS = 1
"""For this machine's clock being ahead of the one that a projector goes by."""


@dataclass(frozen=True)
class Replayed:
    """A replay's end: the generation that is read now, the one that was, and from when on (epoch
    milliseconds) the sweep drops that; `resumed` if an earlier run had begun it."""

    view: str
    generation: int
    retired: int | None
    drop_from: int
    verified: int
    resumed: bool


@dataclass(frozen=True)
class Watcher:
    """Who is told how it goes: seconds still to wait, then streams verified by each slice."""

    waiting: Callable[[float], None]
    verified: Callable[[int], None]


def replay(capability: Capability, view: str, wait: float | None, watcher: Watcher) -> Replayed:
    """Replays a view to its end, taking up a replay that died.

    `wait` in seconds replaces the projector's time-out. Raises NotVerified, and BenchError where
    the kernel will not begin.
    """
    run = Replay(capability.store, capability.table, capability.kinds, view)
    runtime = capability.deployment.runtime(capability.logical("Project"))
    began = runtime.now()
    try:
        standing = run.begin(began)
    except Conflict as error:
        raise BenchError(
            f"{error}: `millrace sweep {capability.name}` drops it {RETIRED_MS // 60_000} minutes "
            "after the flip"
        ) from error
    timeout = capability.deployment.timeout(capability.logical("Project")) + MARGIN_SECONDS
    until = standing.since + (timeout if wait is None else wait) * 1000
    wait_until(until, runtime, watcher.waiting)
    verified, complete = 0, False
    while not complete:
        progress = run.slice()
        verified, complete = verified + progress.verified, progress.complete
        watcher.verified(progress.verified)
    flipped = run.flip(runtime.now())
    return Replayed(
        view=view,
        generation=flipped.live,
        retired=flipped.retired,
        drop_from=flipped.since + RETIRED_MS,
        verified=verified,
        resumed=standing.since < began,
    )


def wait_until(until: float, runtime: Runtime, waiting: Callable[[float], None]) -> None:
    """Waits until a time in epoch ms; `waiting` hears of the seconds that are left."""
    while (left := (until - runtime.now()) / 1000) > 0:
        waiting(left)
        runtime.sleep(min(1.0, left))
