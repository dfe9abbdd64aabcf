"""Keeps the newest of what every capability tells: tallies and links alike."""

from __future__ import annotations

from typing import NamedTuple

from functions.edge.consumer import Consumed, consumer
from functions.edge.runtime import Handler, Runtime
from functions.edge.settings import settings
from functions.kernel.codec import Data
from functions.kernel.envelope import Envelope, keep
from functions.kernel.store import Stream
from functions.kernel.views import Row, View, ViewTable
from functions.shortener.publishing import TYPES
from tests.simulation.tally.decider import DECIDER


class Settings(NamedTuple):
    """What the function is told by its environment."""

    heard_table: str


def render(stream: Stream[Data]) -> Row:
    """A stream's row: what was told of it last."""
    return Row({"version": stream.version, "tenant": stream.tenant, "told": stream.state})


HEARD: View[Data] = View("heard", render)


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    name = settings(Settings, runtime.env).heard_table
    table = ViewTable(runtime.client("dynamodb"), name, runtime.backoff())

    def hear(envelope: Envelope) -> None:
        keep(table, HEARD, envelope)

    types = (*TYPES, *DECIDER.events.types)
    return consumer(runtime, "tally", {each: Consumed(1, hear) for each in types})
