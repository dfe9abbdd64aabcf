"""Fed by the queue of tracked events: makes facts of them and keeps each once.

A message that fails comes again whole, and harmlessly: what of it is kept already stays as it is.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from functions.analytics.hotsites import HotSites
from functions.analytics.ledger import ExactLedger
from functions.analytics.sightings import of_message
from functions.edge.log import LogLine
from functions.edge.queue import Message, consume
from functions.edge.runtime import Event, Handler, Runtime, entry
from functions.edge.settings import settings
from functions.kernel.dynamo import DynamoStore

RESERVE_MS = 15_000
"""What a message of the most events may take. With less time left it is left for another run."""


class Unfinished(Exception):
    """Time is running out; the message comes again."""


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str
    facts_table: str


class Ingest:
    """Keeps the facts of messages, with what one container remembers."""

    def __init__(self, runtime: Runtime, config: Settings) -> None:
        client = runtime.client("dynamodb")
        store = DynamoStore(client, config.events_table, runtime.backoff())
        # Consistent: who sent the message has seen the site, so it must be seen here.
        self._sites = HotSites(store, runtime.now, consistent=True)
        self._ledger = ExactLedger(client, config.facts_table)

    def take(self, message: Any, log: LogLine, context: Any) -> None:
        """Keeps a message's facts. Raises Unfinished; a site that was deleted keeps no more."""
        if context.get_remaining_time_in_millis() < RESERVE_MS:
            raise Unfinished
        site = self._sites.find(message["site"]).state
        if site is None or site.deleted:
            log.count("dropped_events", len(message["events"]))
            return
        # All are read before one is kept: a message that cannot be read leaves nothing behind.
        sightings = list(of_message(message, site))
        outcomes = Counter(self._ledger.keep(sighting, site) for sighting in sightings)
        for outcome, number in outcomes.items():
            log.count(f"{outcome}_events", number)


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    ingest = Ingest(runtime, settings(Settings, runtime.env))

    def handler(event: Event, context: Any) -> Any:
        log = LogLine(runtime, "analytics", context.aws_request_id)

        def take(message: Message) -> None:
            ingest.take(message.body, log, context)

        with log.closing():
            return consume(event, context, log, "failed_batches", take)

    return handler


handler = entry(build)
