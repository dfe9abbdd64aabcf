"""Every minute: sends each tally to which time does something to the queue of due tallies."""

from __future__ import annotations

from typing import Any, NamedTuple

from functions.edge.queue import send
from functions.edge.runtime import Event, Handler, Runtime
from functions.edge.settings import settings
from functions.kernel.timers import Timers
from functions.kernel.views import ViewTable


class Settings(NamedTuple):
    """What the function is told by its environment."""

    views_table: str
    due_queue_url: str


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Settings, runtime.env)
    timers = Timers(ViewTable(runtime.client("dynamodb"), config.views_table, runtime.backoff()))

    def hand_over(streams: list[str]) -> None:
        bodies = [{"stream": stream} for stream in streams]
        send(runtime.client("sqs"), config.due_queue_url, bodies)

    def handler(event: Event, context: Any) -> None:
        def has_time() -> bool:
            return bool(context.get_remaining_time_in_millis() > 10_000)

        timers.fire(runtime.now(), hand_over, has_time)

    return handler
