"""The sweep, on a schedule: rings every key and upstream whose row is behind, drops what a replay
retired."""

from __future__ import annotations

from functions.edge.projection import Settings
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.settings import settings
from functions.edge.sweeping import Swept, sweeper
from functions.ratelimiter.projecting import projection


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Settings, runtime.env)
    wired = projection(runtime, config)
    readers = [Swept(wired.projector, config.retry_queue_url)]
    return sweeper(runtime, "ratelimiter", wired, readers)


handler = entry(build)
