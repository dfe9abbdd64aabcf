"""The projector: fed by the event table's stream and by the retry queue, it keeps the views."""

from __future__ import annotations

from functions.edge.doorbells import Doorbells
from functions.edge.projection import Settings
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.settings import settings
from functions.ratelimiter.projecting import projection


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Settings, runtime.env)
    wired = projection(runtime, config)
    queue = config.retry_queue_url
    return Doorbells(runtime, "ratelimiter", queue, wired.projector, wired.quarantine).handler


handler = entry(build)
