"""Fed by the queue of what the shortener tells: keeps whose every short link is."""

from __future__ import annotations

from typing import NamedTuple

from functions.analytics.audience import AUDIENCE, SCHEMA, TYPES
from functions.edge.consumer import Consumed, consumer
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.settings import settings
from functions.kernel.envelope import Envelope, keep
from functions.kernel.views import ViewTable


class Settings(NamedTuple):
    """What the function is told by its environment."""

    views_table: str


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    name = settings(Settings, runtime.env).views_table
    table = ViewTable(runtime.client("dynamodb"), name, runtime.backoff())

    def hear(envelope: Envelope) -> None:
        keep(table, AUDIENCE, envelope)

    return consumer(runtime, "analytics", {each: Consumed(SCHEMA, hear) for each in TYPES})


handler = entry(build)
