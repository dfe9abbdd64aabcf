"""The sweep's edge: on a schedule, rings every stream that some reader is behind with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from functions.edge.doorbells import Retries
from functions.edge.log import LogLine
from functions.edge.projection import Projection
from functions.edge.runtime import Event, Handler, Runtime
from functions.kernel.readers import Reader
from functions.kernel.replay import drop_retired
from functions.kernel.sweep import sweep

RESERVE_MS = 10_000
"""Time kept back to finish a slice in: a thousand late streams are beyond any good day."""
DROPPING_MS = 60_000
"""Time that the sweep leaves for dropping what a replay retired: a log that would take all of every
run must not put that off for ever."""


class Swept(NamedTuple):
    """A reader, and the queue that takes the streams that it fails with."""

    reader: Reader
    retry_queue_url: str


def sweeper(
    runtime: Runtime, capability: str, wired: Projection, readers: Sequence[Swept]
) -> Handler:
    """The Lambda handler for the schedule; drops what a replay retired, too."""

    def handler(event: Event, context: Any) -> None:
        log = LogLine(runtime, capability, context.aws_request_id)
        retries = [Retries(runtime, each.retry_queue_url, log) for each in readers]
        rung = [(each.reader, retry.ring) for each, retry in zip(readers, retries, strict=True)]

        def until(reserve_ms: int) -> Callable[[], bool]:
            return lambda: bool(context.get_remaining_time_in_millis() > reserve_ms)

        def hand_over() -> None:
            for retry in retries:
                retry.hand_over()

        with log.closing():
            aside = {each.stream for each in wired.quarantine.all()}
            has_time = until(RESERVE_MS + DROPPING_MS)
            swept = sweep(wired.store, wired.table, rung, has_time, aside, hand_over)
            log.count("swept_streams", swept.rung)
            log.add(checked=swept.checked, complete=swept.complete)
            dropped = drop_retired(wired.table, runtime.now(), until(RESERVE_MS))
            log.count("dropped_rows", dropped)

    return handler
