"""The projector of tallies, as its functions use it, and what it works on."""

from __future__ import annotations

from typing import NamedTuple

from functions.edge.runtime import Runtime
from functions.kernel.dynamo import DynamoStore
from functions.kernel.projector import Kind, Projector
from functions.kernel.views import ViewTable
from tests.simulation.tally.decider import DECIDER, TALLIES

KINDS = {"tally": Kind(DECIDER, [TALLIES])}


class Tables(NamedTuple):
    """What the functions are told of their tables by their environment."""

    events_table: str
    views_table: str


class Settings(NamedTuple):
    """What both functions that keep the rows are told by their environment."""

    events_table: str
    views_table: str
    retry_queue_url: str


def store(runtime: Runtime, config: Tables | Settings) -> DynamoStore:
    """The events of tallies."""
    return DynamoStore(runtime.client("dynamodb"), config.events_table, runtime.backoff())


def table(runtime: Runtime, config: Tables | Settings) -> ViewTable:
    """The rows of tallies."""
    return ViewTable(runtime.client("dynamodb"), config.views_table, runtime.backoff())


def projector(runtime: Runtime, config: Settings) -> Projector:
    """What keeps the rows."""
    return Projector(store(runtime, config), table(runtime, config), KINDS)
