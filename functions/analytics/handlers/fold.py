"""Folds the minutes of which the facts' stream tells; what fails goes to the retry queue.

A stream handler never reports partial failures, since a retried batch stalls its whole shard. The
queue feeds the same function, and there each message is reported for itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from functions.analytics.definitions import Definitions
from functions.analytics.folding import Folder, keys_of
from functions.analytics.hours import Hours
from functions.analytics.ledger import ExactLedger
from functions.edge.log import LogLine
from functions.edge.queue import Message, consume, send
from functions.edge.runtime import Event, Handler, Runtime, entry
from functions.edge.settings import settings
from functions.kernel.dynamo import DynamoStore


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str
    facts_table: str
    rollups_table: str
    hours_queue_url: str
    retry_queue_url: str


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Settings, runtime.env)
    client, sqs = runtime.client("dynamodb"), runtime.client("sqs")
    store = DynamoStore(client, config.events_table, runtime.backoff())
    ledger = ExactLedger(client, config.facts_table)
    hours = Hours(client, config.rollups_table, sqs, config.hours_queue_url)
    folder = Folder(ledger.read, Definitions(store, runtime.now).of, hours, runtime.now)

    def handler(event: Event, context: Any) -> Any:
        log = LogLine(runtime, "analytics", context.aws_request_id)
        records = event["Records"]
        log.add(records=len(records))
        with log.closing():
            if records and records[0].get("eventSource") == "aws:sqs":
                return consume(event, context, log, "failed_folds", again)
            rung((record["dynamodb"]["Keys"]["pk"]["S"] for record in records), log)
        return None

    def rung(keys: Iterable[str], log: LogLine) -> None:
        failed: list[str] = []
        for work in folder.plan(keys):
            try:
                folder.fold(work)
            except Exception as error:
                # Whatever it is, the other hours must go on.
                log.add(error=type(error).__name__)
                log.failed = True
                failed += keys_of(work)
        log.count("retried_buckets", len(failed))
        if failed:
            send(sqs, config.retry_queue_url, [{"bucket": key} for key in failed])

    def again(message: Message) -> None:
        for work in folder.plan([message.body["bucket"]]):
            folder.fold(work)

    return handler


handler = entry(build)
