"""The projector of this capability's views and its publisher, as their functions use them."""

from __future__ import annotations

from typing import NamedTuple

from functions.edge.runtime import Runtime
from functions.edge.topic import Topic
from functions.kernel.dynamo import DynamoStore
from functions.kernel.projector import Kind, Projector
from functions.kernel.publisher import Publisher
from functions.kernel.quarantine import Quarantine
from functions.kernel.views import ViewTable
from functions.shortener import bans, domains, reports
from functions.shortener.decider import DECIDER
from functions.shortener.directory import DIRECTORY
from functions.shortener.outcomes import OUTCOMES
from functions.shortener.publishing import public
from functions.shortener.reports import REPORTS
from functions.shortener.views import LINKS

KINDS = {
    "link": Kind(DECIDER, [LINKS], public),
    "command": Kind(OUTCOMES),
    bans.KIND: Kind(bans.DECIDER, [DIRECTORY]),
    domains.KIND: Kind(domains.DECIDER, [DIRECTORY]),
    reports.KIND: Kind(reports.DECIDER, [REPORTS]),
}
"""Every kind of stream in the event table."""


class Settings(NamedTuple):
    """What the functions that keep the views are told by their environment."""

    events_table: str
    views_table: str
    retry_queue_url: str


class PublisherSettings(NamedTuple):
    """What the functions that publish are told by their environment."""

    events_table: str
    views_table: str
    publish_retry_queue_url: str
    domain_events_arn: str


class Projection(NamedTuple):
    """The projector, the store that it reads, the table that it writes, what it set aside."""

    store: DynamoStore
    table: ViewTable
    projector: Projector
    quarantine: Quarantine


def projection(runtime: Runtime, config: Settings) -> Projection:
    """Wires it in a given runtime."""
    client, backoff = runtime.client("dynamodb"), runtime.backoff()
    store = DynamoStore(client, config.events_table, backoff)
    table = ViewTable(client, config.views_table, backoff)
    projector = Projector(store, table, KINDS)
    return Projection(store, table, projector, Quarantine(client, config.views_table))


def publisher(runtime: Runtime, config: PublisherSettings) -> Publisher:
    """Wires the publisher in a given runtime."""
    client, backoff = runtime.client("dynamodb"), runtime.backoff()
    store = DynamoStore(client, config.events_table, backoff)
    table = ViewTable(client, config.views_table, backoff)
    topic = Topic(runtime, config.domain_events_arn, "shortener")
    return Publisher(store, table, KINDS, topic.publish)
