"""The enforcement, fed by its queue and once a day: holds the links to the bans, in slices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from functions.edge.log import LogLine
from functions.edge.queue import Message, consume, send
from functions.edge.runtime import Event, Handler, Runtime, entry
from functions.edge.settings import settings
from functions.kernel.commands import Commands, Context
from functions.kernel.dynamo import DynamoStore
from functions.kernel.views import ViewTable
from functions.shortener.decider import DECIDER
from functions.shortener.enforcement import Enforcer, Place

RESERVE_MS = 30_000
"""Time kept back for one more link, and to say where the next slice begins."""


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str
    views_table: str
    enforcement_queue_url: str


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime.

    A message is {"ban", "place"?}, a pass or a slice of one, or {"stream"}, a link that failed.
    """
    config = settings(Settings, runtime.env)
    client, backoff = runtime.client("dynamodb"), runtime.backoff()
    store = DynamoStore(client, config.events_table, backoff)
    table = ViewTable(client, config.views_table, backoff)
    commands = Commands(store, DECIDER, backoff)

    def enforcer(log: LogLine) -> Enforcer:
        def surroundings() -> Context:
            return Context(
                actor="enforcement",
                now=runtime.now(),
                commit_id=runtime.entropy(12).hex(),
                correlation=log.correlation,
                tenant=None,
            )

        return Enforcer(store, table, commands, runtime.now, surroundings)

    def slice_of(body: Any, log: LogLine, has_time: Callable[[], bool]) -> None:
        pass_, failed = enforcer(log), []

        def attempt(stream: str, hold: Callable[[], None]) -> None:
            try:
                hold()
            except Exception as error:
                log.add(error=type(error).__name__)
                failed.append(stream)

        pass_.know(body.get("ban"))
        begin = Place(*body["place"]) if body.get("place") else None
        place = pass_.go(begin, attempt, has_time)
        log.count("held_links", pass_.held)
        log.count("retried_links", len(failed))
        log.failed = bool(failed)
        following = [{"ban": body.get("ban"), "place": place}] if place else []
        tell([*({"stream": stream} for stream in failed), *following])

    def tell(bodies: list[Any]) -> None:
        send(runtime.client("sqs"), config.enforcement_queue_url, bodies)

    def handler(event: Event, context: Any) -> Any:
        log = LogLine(runtime, "shortener", context.aws_request_id)

        def has_time() -> bool:
            return bool(context.get_remaining_time_in_millis() > RESERVE_MS)

        def take(message: Message) -> None:
            if "stream" in message.body:
                one = enforcer(log)
                one.know(None)
                one.one(message.body["stream"])
            else:
                slice_of(message.body, log, has_time)

        with log.closing():
            if "Records" not in event:
                # With no ban in force too: a link may have been missed when the last one ended.
                tell([{"ban": None}])
                return None
            return consume(event, context, log, "failed_enforcements", take)

    return handler


handler = entry(build)
