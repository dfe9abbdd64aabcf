"""A capability's projector with what belongs to it, in a given runtime."""

from __future__ import annotations

from typing import NamedTuple

from functions.edge.runtime import Runtime
from functions.kernel.dynamo import DynamoStore
from functions.kernel.projector import Kinds, Projector
from functions.kernel.quarantine import Quarantine
from functions.kernel.views import ViewTable


class Settings(NamedTuple):
    """What the functions that keep the views are told by their environment."""

    events_table: str
    views_table: str
    retry_queue_url: str


class Projection(NamedTuple):
    """The projector, the store that it reads, the table that it writes, what it set aside."""

    store: DynamoStore
    table: ViewTable
    projector: Projector
    quarantine: Quarantine

    @classmethod
    def of(cls, runtime: Runtime, config: Settings, kinds: Kinds) -> Projection:
        """Wires it for every kind of stream of a capability."""
        client, backoff = runtime.client("dynamodb"), runtime.backoff()
        store = DynamoStore(client, config.events_table, backoff)
        table = ViewTable(client, config.views_table, backoff)
        projector = Projector(store, table, kinds)
        return cls(store, table, projector, Quarantine(client, config.views_table))
