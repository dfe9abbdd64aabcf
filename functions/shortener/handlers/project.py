"""The projector: fed by the event table's stream and by the retry queue, it keeps the views."""

from __future__ import annotations

from functions.edge.doorbells import doorbells
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.settings import settings
from functions.shortener.projecting import Settings, projection


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Settings, runtime.env)
    projector = projection(runtime, config).projector
    return doorbells(runtime, "shortener", config.retry_queue_url, projector)


handler = entry(build)
