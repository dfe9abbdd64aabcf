"""Rolls dirty hours up into rows and top lists; has lanes grow where it sees that they are full."""

from __future__ import annotations

from typing import Any, NamedTuple

from functions.analytics.decider import DECIDER, GrowLanes, stream_id
from functions.analytics.definitions import Definitions
from functions.analytics.hours import Dirty, Hours
from functions.analytics.rolling import Roller
from functions.analytics.rows import Rows
from functions.edge.log import LogLine
from functions.edge.queue import Message, consume
from functions.edge.runtime import Event, Handler, Runtime, entry
from functions.edge.settings import settings
from functions.kernel.commands import Commands, Context
from functions.kernel.dynamo import DynamoStore

ACTOR = "analytics"
"""Whom a site's history names for what nobody asked for."""


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str
    rollups_table: str
    hours_queue_url: str


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Settings, runtime.env)
    client, backoff = runtime.client("dynamodb"), runtime.backoff()
    store = DynamoStore(client, config.events_table, backoff)
    hours = Hours(client, config.rollups_table, runtime.client("sqs"), config.hours_queue_url)
    rows = Rows(client, config.rollups_table, backoff)
    define = Definitions(store, runtime.now).of
    commands = Commands(store, DECIDER, backoff)
    roller = Roller(define, hours, rows, runtime.now)

    def handler(event: Event, context: Any) -> Any:
        log = LogLine(runtime, "analytics", context.aws_request_id)

        def grow(site: str, command: GrowLanes) -> None:
            surroundings = Context(
                actor=ACTOR,
                now=runtime.now(),
                commit_id=runtime.entropy(12).hex(),
                correlation=log.correlation,
                tenant=None,
            )
            commands.execute(stream_id(site), command, surroundings)

        def roll(message: Message) -> None:
            log.count("rows", roller.roll(Dirty(**message.body), grow))

        with log.closing():
            return consume(event, context, log, "failed_hours", roll)

    return handler


handler = entry(build)
