"""The projector of this capability's views, as its two functions use it."""

from __future__ import annotations

from typing import NamedTuple

from functions.analytics import decider, exports
from functions.analytics.decider import DECIDER
from functions.analytics.exports import EXPORTS
from functions.analytics.views import SITES
from functions.edge.runtime import Runtime
from functions.kernel.dynamo import DynamoStore
from functions.kernel.projector import Kind, Projector
from functions.kernel.quarantine import Quarantine
from functions.kernel.views import ViewTable

KINDS = {decider.KIND: Kind(DECIDER, [SITES]), exports.KIND: Kind(EXPORTS)}
"""Every kind of stream in the event table."""


class Settings(NamedTuple):
    """What both functions are told by their environment."""

    events_table: str
    views_table: str
    retry_queue_url: str


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
