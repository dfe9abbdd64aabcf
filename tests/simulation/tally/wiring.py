"""The projector of tallies, as its two functions use it."""

from __future__ import annotations

from typing import NamedTuple

from functions.edge.runtime import Runtime
from functions.kernel.dynamo import DynamoStore
from functions.kernel.projector import Kind, Projector
from functions.kernel.views import ViewTable
from tests.simulation.tally.decider import DECIDER, TALLIES

KINDS = {"tally": Kind(DECIDER, [TALLIES])}


class Settings(NamedTuple):
    """What both functions are told by their environment."""

    events_table: str
    views_table: str
    retry_queue_url: str


def store(runtime: Runtime, config: Settings) -> DynamoStore:
    """The events of tallies."""
    return DynamoStore(runtime.client("dynamodb"), config.events_table, runtime.backoff())


def table(runtime: Runtime, config: Settings) -> ViewTable:
    """The rows of tallies."""
    return ViewTable(runtime.client("dynamodb"), config.views_table, runtime.backoff())


def projector(runtime: Runtime, config: Settings) -> Projector:
    """What keeps the rows."""
    return Projector(store(runtime, config), table(runtime, config), KINDS)
