"""The sweep, on a schedule: rings every site whose row is behind, drops what a replay retired."""

from __future__ import annotations

from functions.analytics.projecting import projection
from functions.edge.projection import Settings
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.settings import settings
from functions.edge.sweeping import Swept, sweeper


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Settings, runtime.env)
    wired = projection(runtime, config)
    readers = [Swept(wired.projector, config.retry_queue_url)]
    return sweeper(runtime, "analytics", wired, readers)


handler = entry(build)
