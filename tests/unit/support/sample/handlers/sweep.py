"""Says when it was fired, as the schedule told it."""

from __future__ import annotations

from typing import Any

from functions.edge.runtime import Event, Handler, Runtime


def build(runtime: Runtime) -> Handler:
    def handler(event: Event, context: Any) -> Any:
        runtime.client("sqs").list_queues()
        return event["time"]

    return handler
