"""The publisher of tallies."""

from __future__ import annotations

from functions.edge.doorbells import Doorbells
from functions.edge.runtime import Handler, Runtime
from functions.edge.settings import settings
from functions.kernel.quarantine import Quarantine
from tests.simulation.tally.wiring import Settings, publisher


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Settings, runtime.env)
    aside = Quarantine(runtime.client("dynamodb"), config.views_table)
    tells = publisher(runtime, config)
    return Doorbells(runtime, "tally", config.retry_queue_url, tells, aside).handler
