"""The sweep, on a schedule: rings every link that is behind in a view or was not published, drops
what a replay retired."""

from __future__ import annotations

from functions.edge.projection import Settings
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.settings import settings
from functions.edge.sweeping import Swept, sweeper
from functions.shortener.projecting import PublisherSettings, projection, publisher


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Settings, runtime.env)
    publishing = settings(PublisherSettings, runtime.env)
    wired, tells = projection(runtime, config), publisher(runtime, publishing)
    readers = [
        Swept(wired.projector, config.retry_queue_url),
        Swept(tells, publishing.publish_retry_queue_url),
    ]
    return sweeper(runtime, "shortener", wired, readers)


handler = entry(build)
