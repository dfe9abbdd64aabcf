"""The publisher: fed by the event table's stream and by its own retry queue, it tells the other
capabilities what becomes of links."""

from __future__ import annotations

from functions.edge.doorbells import Doorbells
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.settings import settings
from functions.kernel.quarantine import Quarantine
from functions.shortener.projecting import PublisherSettings, publisher


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(PublisherSettings, runtime.env)
    aside = Quarantine(runtime.client("dynamodb"), config.views_table)
    reader = publisher(runtime, config)
    return Doorbells(runtime, "shortener", config.publish_retry_queue_url, reader, aside).handler


handler = entry(build)
