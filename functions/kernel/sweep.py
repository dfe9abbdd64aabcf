"""The sweep: rings every stream whose head is beyond a row, so that even a lost last record heals.

It reads the event table in slices, each run going on where the one before stopped. A round costs
half a read unit per 4 KB of log and half a one per stream and view, whatever the traffic.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from functions.kernel.dynamo import DynamoStore
from functions.kernel.projector import Projector
from functions.kernel.views import ViewTable

MARK = "sweep"
SLICE = 1000
"""Commits per scan page."""


@dataclass(frozen=True)
class Swept:
    """What one run did: streams looked at, streams rung, and if it reached the table's end."""

    checked: int
    rung: int
    complete: bool


def sweep(
    store: DynamoStore,
    table: ViewTable,
    projector: Projector,
    ring: Callable[[Projector, str], None],
    has_time: Callable[[], bool],
    aside: Collection[str] = (),
) -> Swept:
    """Goes through the event table while `has_time()`, from where the last run stopped.

    `ring` brings one stream's rows up to date and must not raise for a stream that cannot be.
    Streams in `aside` are left alone.
    """
    position, checked, rung = table.mark(MARK), 0, 0
    while True:
        heads, position = store.heads(position, SLICE)
        current = projector.renewed()
        late = current.behind(heads) - set(aside)
        for stream in sorted(late):
            ring(current, stream)
        checked, rung = checked + len(heads), rung + len(late)
        table.set_mark(MARK, position)
        if position is None or not has_time():
            return Swept(checked, rung, complete=position is None)
