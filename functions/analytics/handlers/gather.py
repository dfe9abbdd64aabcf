"""Fed by the queue of events tracked on sites of the bulk ledger: what one batch of messages tells
of a site is kept together.

A message that cannot be read is reported alone; a site's, where they cannot be kept, together.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from functions.analytics.batches import Batches
from functions.analytics.decider import Site
from functions.analytics.facts import Fact
from functions.analytics.hotsites import HotSites
from functions.analytics.hours import Hours
from functions.analytics.marks import Marks
from functions.analytics.objects import Objects
from functions.analytics.sightings import of_message
from functions.edge.log import LogLine
from functions.edge.queue import Message, consume
from functions.edge.runtime import Event, Handler, Runtime, entry
from functions.edge.settings import settings
from functions.kernel.dynamo import DynamoStore


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str
    rollups_table: str
    raw_bucket: str
    hours_queue_url: str


class Gathered(NamedTuple):
    """A site's facts, and the messages that they came with."""

    site: Site
    facts: list[Fact]
    messages: list[str]


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Settings, runtime.env)
    client, backoff = runtime.client("dynamodb"), runtime.backoff()
    store = DynamoStore(client, config.events_table, backoff)
    # Consistent: who sent the message has seen the site, so it must be seen here.
    sites = HotSites(store, runtime.now, consistent=True)
    hours = Hours(
        client, config.rollups_table, runtime.client("sqs"), config.hours_queue_url, backoff
    )
    objects = Objects(runtime.client("s3"), config.raw_bucket)
    batches = Batches(objects, hours, Marks(client, config.rollups_table), runtime.now)

    def handler(event: Event, context: Any) -> Any:
        log = LogLine(runtime, "analytics", context.aws_request_id)
        gathered: dict[str, Gathered] = {}

        def take(message: Message) -> None:
            gather(message, gathered, log)

        with log.closing():
            answer = consume(event, context, log, "failed_batches", take)
            for each in gathered.values():
                failed = keep(each, log)
                log.count("failed_batches", len(failed))
                answer["batchItemFailures"] += [{"itemIdentifier": name} for name in failed]
        return answer

    def gather(message: Message, gathered: dict[str, Gathered], log: LogLine) -> None:
        site = sites.find(message.body["site"]).state
        if site is None or site.deleted:
            log.count("dropped_events", len(message.body["events"]))
            return
        # All are read before one is kept: a message that cannot be read leaves nothing behind.
        facts = [sighting.fact for sighting in of_message(message.body, site)]
        mine = gathered.setdefault(site.id, Gathered(site, [], []))
        mine.facts.extend(facts)
        mine.messages.append(message.id)

    def keep(gathered: Gathered, log: LogLine) -> list[str]:
        """Keeps a site's facts; gives the messages that are to come again."""
        try:
            batches.keep(gathered.site, gathered.facts)
        except Exception as error:
            # Whatever it is, the other sites must go on.
            log.add(error=type(error).__name__)
            log.failed = True
            return gathered.messages
        log.count("gathered_events", len(gathered.facts))
        return []

    return handler


handler = entry(build)
