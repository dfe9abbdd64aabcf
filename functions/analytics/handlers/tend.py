"""On a schedule, and told what for: hours whose message was lost, salts whose time has come, facts
that do not count yet."""

from __future__ import annotations

from typing import Any, NamedTuple

from functions.analytics import salts
from functions.analytics.catching import Catcher
from functions.analytics.definitions import Definitions
from functions.analytics.folding import Folder, Work, keys_of
from functions.analytics.hours import Hours
from functions.analytics.ledger import ExactLedger
from functions.analytics.rows import Rows
from functions.edge.log import LogLine
from functions.edge.queue import send
from functions.edge.runtime import Event, Handler, Runtime, entry
from functions.edge.settings import settings
from functions.kernel.dynamo import DynamoStore
from functions.kernel.views import ViewTable

RESERVE_MS = 10_000
"""Time kept back to finish a slice in."""


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str
    views_table: str
    facts_table: str
    rollups_table: str
    salts_table: str
    hours_queue_url: str
    retry_queue_url: str


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Settings, runtime.env)
    client, sqs, backoff = runtime.client("dynamodb"), runtime.client("sqs"), runtime.backoff()
    define = Definitions(DynamoStore(client, config.events_table, backoff), runtime.now).of
    hours = Hours(client, config.rollups_table, sqs, config.hours_queue_url, backoff)
    folder = Folder(ExactLedger(client, config.facts_table).read, define, hours, runtime.now)
    rows = Rows(client, config.rollups_table, backoff)
    catcher = Catcher(client, config.facts_table, define, hours, rows, folder, runtime.now)
    marks = ViewTable(client, config.views_table, backoff)

    def hand_over(work: Work) -> None:
        send(sqs, config.retry_queue_url, [{"bucket": key} for key in keys_of(work)])

    def handler(event: Event, context: Any) -> None:
        log = LogLine(runtime, "analytics", context.aws_request_id)

        def has_time() -> bool:
            return bool(context.get_remaining_time_in_millis() > RESERVE_MS)

        with log.closing():
            if event["for"] == "facts":
                swept = catcher.sweep(marks, hand_over, has_time)
                log.count("swept_buckets", swept.rung)
                log.add(checked=swept.checked, complete=swept.complete)
                return
            now = runtime.now()
            log.count("deleted_salts", salts.delete_old(client, config.salts_table, now))
            log.count("resent_hours", hours.resend(now))

    return handler


handler = entry(build)
