"""The readers of tallies' events, as their functions use them, and what they work on."""

from __future__ import annotations

from typing import NamedTuple

from functions.edge.runtime import Runtime
from functions.edge.topic import Topic
from functions.kernel.dynamo import DynamoStore
from functions.kernel.projector import Kind, Projector
from functions.kernel.publisher import Publisher
from functions.kernel.views import ViewTable
from tests.simulation.tally.decider import DECIDER, TALLIES, public

KINDS = {"tally": Kind(DECIDER, [TALLIES], public)}


class Tables(NamedTuple):
    """What the functions are told of their tables by their environment."""

    events_table: str
    views_table: str


class Settings(NamedTuple):
    """What the functions that read the stream are told by their environment."""

    events_table: str
    views_table: str
    retry_queue_url: str
    domain_events_arn: str


def store(runtime: Runtime, config: Tables | Settings) -> DynamoStore:
    """The events of tallies."""
    return DynamoStore(runtime.client("dynamodb"), config.events_table, runtime.backoff())


def table(runtime: Runtime, config: Tables | Settings) -> ViewTable:
    """The rows of tallies."""
    return ViewTable(runtime.client("dynamodb"), config.views_table, runtime.backoff())


def projector(runtime: Runtime, config: Settings) -> Projector:
    """What keeps the rows."""
    return Projector(store(runtime, config), table(runtime, config), KINDS)


def publisher(runtime: Runtime, config: Settings) -> Publisher:
    """What tells of tallies."""
    topic = Topic(runtime, config.domain_events_arn, "tally")
    return Publisher(store(runtime, config), table(runtime, config), KINDS, topic.publish)
