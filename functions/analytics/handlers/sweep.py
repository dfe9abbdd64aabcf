"""The sweep, on a schedule: rings every site whose row is behind, drops what a replay retired."""

from __future__ import annotations

from typing import Any

from functions.analytics.projecting import Settings, projection
from functions.edge.doorbells import Retries
from functions.edge.log import LogLine
from functions.edge.runtime import Event, Handler, Runtime, entry
from functions.edge.settings import settings
from functions.kernel.replay import drop_retired
from functions.kernel.sweep import sweep

RESERVE_MS = 10_000
"""Time kept back to finish a slice in: a thousand late streams are beyond any good day."""


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Settings, runtime.env)
    wired = projection(runtime, config)

    def handler(event: Event, context: Any) -> None:
        log = LogLine(runtime, "analytics", context.aws_request_id)
        retries = Retries(runtime, config.retry_queue_url, log)
        readers = [(wired.projector, retries.ring)]

        def has_time() -> bool:
            return bool(context.get_remaining_time_in_millis() > RESERVE_MS)

        with log.closing():
            aside = {each.stream for each in wired.quarantine.all()}
            swept = sweep(wired.store, wired.table, readers, has_time, aside)
            log.count("swept_streams", swept.rung)
            log.add(checked=swept.checked, complete=swept.complete)
            retries.close()
            log.count("dropped_rows", drop_retired(wired.table, runtime.now(), has_time))

    return handler


handler = entry(build)
