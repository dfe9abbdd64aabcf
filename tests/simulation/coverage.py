"""What the generator reached: a simulator proves only what it exercises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from rich.table import Table

Cell = tuple[str, ...]
"""What was reached: a group, then names within it."""


@dataclass
class Coverage:
    """How often each cell was reached."""

    hits: Counter[Cell] = field(default_factory=Counter)

    def hit(self, *cell: str) -> None:
        self.hits[cell] += 1

    def add(self, other: Coverage) -> None:
        self.hits.update(other.hits)

    def missing(self, expected: Iterable[Cell]) -> list[Cell]:
        """Expected cells that nothing reached."""
        return sorted(cell for cell in set(expected) if not self.hits[cell])

    def tables(self, expected: Iterable[Cell]) -> list[Table]:
        """One table per group: rows by all names but the last, columns by the last."""
        cells = {*self.hits, *expected}
        return [self._table(group, cells) for group in sorted({cell[0] for cell in cells})]

    def _table(self, group: str, cells: set[Cell]) -> Table:
        own = sorted(cell for cell in cells if cell[0] == group)
        columns = sorted({cell[-1] for cell in own})
        table = Table(title=group, title_justify="left", header_style="bold")
        table.add_column("")
        for column in columns:
            table.add_column(column, justify="right", overflow="fold")
        for row in sorted({cell[1:-1] for cell in own}):
            counts = [self._count((group, *row, column), cells) for column in columns]
            table.add_row(" ".join(row), *counts)
        return table

    def _count(self, cell: Cell, cells: set[Cell]) -> str:
        if cell not in cells:
            return ""
        return str(self.hits[cell]) if self.hits[cell] else "[bold red]0[/]"
