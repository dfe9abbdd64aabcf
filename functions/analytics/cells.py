"""A row: one value's day, in twenty-four cells and the set of its visitors. Pure."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import NamedTuple

from functions.analytics.hours import EPOCH_BITS, REVISION_BITS
from functions.analytics.rollups import Tally
from functions.analytics.sketches import EMPTY, estimate, merge, sketch


class Cell(NamedTuple):
    """An hour of a value. `version` is that of the hour when it was counted, `revision` how often
    the numbers changed after the hour's watermark."""

    version: int
    events: int
    pageviews: int
    visitors: int
    revision: int = 0

    @property
    def epoch(self) -> int:
        """How often the hour had been built anew."""
        return self.version >> EPOCH_BITS

    @property
    def seen(self) -> int:
        """How many facts of the hour were counted."""
        return self.version & ((1 << REVISION_BITS) - 1)


NOTHING = Cell(0, 0, 0, 0)
"""Stands for an hour that was never counted."""


class Row(NamedTuple):
    """A day of a value: cells by hour of the day. `version` counts the times it was written."""

    cells: Mapping[int, Cell] = {}
    visitors: bytes = EMPTY
    epoch: int = 0
    version: int = 0

    @property
    def total(self) -> tuple[int, int, int]:
        """The day's events, page views and visitors."""
        events = sum(cell.events for cell in self.cells.values())
        pageviews = sum(cell.pageviews for cell in self.cells.values())
        return events, pageviews, estimate(self.visitors)


def counted(row: Row, place: int, version: int, tally: Tally, late: bool) -> Row:
    """The row with one cell as tallied at that version of the hour; the same row if that is no
    newer, or nothing changed. In a newer epoch than the row's, visitors are collected anew."""
    cell = row.cells.get(place, NOTHING)
    numbers = (tally.events, tally.pageviews, len(tally.visitors))
    epoch = version >> EPOCH_BITS
    same = numbers == cell[1:4]
    # Even so a new revision is noted: an older one, which may have seen more, may yet come.
    unnoted = cell.version >> REVISION_BITS != version >> REVISION_BITS
    if version <= cell.version or (same and not unnoted):
        return row
    visitors = sketch(tally.visitors)
    return Row(
        cells={**row.cells, place: Cell(version, *numbers, cell.revision + (late and not same))},
        visitors=visitors if epoch > row.epoch else merge([row.visitors, visitors]),
        epoch=max(epoch, row.epoch),
        version=row.version + 1,
    )


def encode_cells(cells: Mapping[int, Cell]) -> bytes:
    """Cells as bytes; the same cells give the same ones."""
    rows = [[place, *cell] for place, cell in sorted(cells.items())]
    return zlib.compress(json.dumps(rows, separators=(",", ":")).encode())


def decode_cells(content: bytes) -> dict[int, Cell]:
    """The cells that were encoded."""
    return {place: Cell(*cell) for place, *cell in json.loads(zlib.decompress(content))}
