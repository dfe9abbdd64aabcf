"""The projector of this capability's views, as its two functions use it."""

from __future__ import annotations

from typing import NamedTuple

from functions.edge.runtime import Runtime
from functions.kernel.dynamo import DynamoStore
from functions.kernel.views import Projector, ViewTable
from functions.shortener.decider import DECIDER, Link
from functions.shortener.views import LINKS


class Settings(NamedTuple):
    """What both functions are told by their environment."""

    events_table: str
    views_table: str
    retry_queue_url: str


class Projection(NamedTuple):
    """The projector with the store that it reads and the table that it writes."""

    store: DynamoStore
    table: ViewTable
    projector: Projector[Link | None]


def projection(runtime: Runtime, config: Settings) -> Projection:
    """Wires it in a given runtime."""
    client, backoff = runtime.client("dynamodb"), runtime.backoff()
    store = DynamoStore(client, config.events_table, backoff)
    table = ViewTable(client, config.views_table, backoff)
    return Projection(store, table, Projector(store, table, DECIDER, [LINKS]))
