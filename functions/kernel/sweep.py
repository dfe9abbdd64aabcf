"""The sweep: rings every stream whose head is beyond a row, so that even a lost last record heals.

It reads the event table in slices, once for all its readers, each run going on where the one before
stopped. A round costs half a read unit per 4 KB of log and half a one per stream and view, whatever
the traffic.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from functions.kernel.dynamo import DynamoStore
from functions.kernel.readers import Reader
from functions.kernel.views import ViewTable

MARK = "sweep"
SLICE = 1000
"""Commits per scan page."""


Ring = Callable[[Reader, str], None]
"""Brings one stream up to date; must not raise for a stream that cannot be."""


@dataclass(frozen=True)
class Swept:
    """What one run did: streams looked at, streams rung, and if it reached the table's end."""

    checked: int
    rung: int
    complete: bool


def sweep(
    store: DynamoStore,
    table: ViewTable,
    readers: Sequence[tuple[Reader, Ring]],
    has_time: Callable[[], bool],
    aside: Collection[str] = (),
    hand_over: Callable[[], None] = lambda: None,
) -> Swept:
    """Goes through the event table while `has_time()`, from where the last run stopped.

    Each reader comes with how it is rung. Streams in `aside` are left alone. `hand_over()` is
    called after each slice, before its place is noted: it brings to safety what the rings failed
    with, which no later slice may take along if it dies.
    """
    position, checked, rung = table.mark(MARK), 0, 0
    while True:
        heads, position = store.heads(position, SLICE)
        late: set[str] = set()
        for reader, ring in readers:
            current = reader.renewed()
            behind = current.behind(heads) - set(aside)
            for stream in sorted(behind):
                ring(current, stream)
            late |= behind
        checked, rung = checked + len(heads), rung + len(late)
        hand_over()
        table.set_mark(MARK, position)
        if position is None or not has_time():
            return Swept(checked, rung, complete=position is None)
