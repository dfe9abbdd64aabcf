"""Every minute: sends each link to which time does something to the queue of due links."""

from __future__ import annotations

from typing import Any, NamedTuple

from functions.edge.log import LogLine
from functions.edge.queue import send
from functions.edge.runtime import Event, Handler, Runtime, entry
from functions.edge.settings import settings
from functions.kernel.timers import Timers
from functions.kernel.views import ViewTable

RESERVE_MS = 10_000


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
        log = LogLine(runtime, "shortener", context.aws_request_id)

        def has_time() -> bool:
            return bool(context.get_remaining_time_in_millis() > RESERVE_MS)

        with log.closing():
            log.count("fired_timers", timers.fire(runtime.now(), hand_over, has_time))

    return handler


handler = entry(build)
