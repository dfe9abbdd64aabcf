"""The sweep of tallies."""

from __future__ import annotations

from typing import Any

from functions.edge.runtime import Event, Handler, Runtime
from functions.edge.settings import settings
from functions.kernel.readers import Reader
from functions.kernel.replay import drop_retired
from functions.kernel.sweep import sweep
from tests.simulation.tally.wiring import Settings, projector, publisher, store, table


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Settings, runtime.env)
    rows, keeper = table(runtime, config), projector(runtime, config)
    tells = publisher(runtime, config)

    def handler(event: Event, context: Any) -> None:
        def has_time() -> bool:
            return bool(context.get_remaining_time_in_millis() > 10_000)

        def ring(current: Reader, stream: str) -> None:
            current.ring(stream)

        sweep(store(runtime, config), rows, ((keeper, ring), (tells, ring)), has_time)
        drop_retired(rows, runtime.now(), has_time)

    return handler
