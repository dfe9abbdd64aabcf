"""Compacts hours of the bulk ledger, and deletes what is past its retention.

Its schedules only say what is to be done, a message each; its queue feeds the same function.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from functions.analytics.bulk import COMPACT, RAW
from functions.analytics.compaction import Compaction
from functions.analytics.definitions import Definitions
from functions.analytics.hours import Hours
from functions.analytics.marks import Marks
from functions.analytics.objects import Objects
from functions.analytics.retention import Retention
from functions.edge.log import LogLine
from functions.edge.queue import Message, consume, send
from functions.edge.runtime import Event, Handler, Runtime, entry
from functions.edge.settings import settings
from functions.kernel.dynamo import DynamoStore

RETENTION = "retention"
"""What the schedule says that is for retention."""


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str
    rollups_table: str
    raw_bucket: str
    hours_queue_url: str
    compaction_queue_url: str


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Settings, runtime.env)
    client, sqs, backoff = runtime.client("dynamodb"), runtime.client("sqs"), runtime.backoff()
    define = Definitions(DynamoStore(client, config.events_table, backoff), runtime.now).of
    hours = Hours(client, config.rollups_table, sqs, config.hours_queue_url, backoff)
    marks = Marks(client, config.rollups_table)
    objects = Objects(runtime.client("s3"), config.raw_bucket)
    compaction = Compaction(objects, hours, marks, define, runtime.now)
    retention = Retention(objects, define, runtime.now)

    def handler(event: Event, context: Any) -> Any:
        log = LogLine(runtime, "analytics", context.aws_request_id)
        with log.closing():
            if "Records" in event:
                return consume(
                    event, context, log, "failed_compactions", lambda each: do(each, log)
                )
            send(sqs, config.compaction_queue_url, due(event))
        return None

    def due(event: Event) -> list[dict[str, Any]]:
        if event.get("for") == RETENTION:
            return [{"folder": folder, "after": ""} for folder in (RAW, COMPACT)]
        settled = marks.settled(runtime.now())
        return [{"site": site, "hour": hour} for site, hour in settled]

    def do(message: Message, log: LogLine) -> None:
        body = message.body
        if "hour" in body:
            log.count("compacted_hours", compaction.compact(body["site"], body["hour"]))
        elif (last := retention.expire(body["folder"], body["after"])) is not None:
            send(sqs, config.compaction_queue_url, [{**body, "after": last}])

    return handler


handler = entry(build)
