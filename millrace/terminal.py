"""What the person, or the program, at the other end gets to see."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from functions.edge.validation import to_text

WIDTH = 100
"""Columns where no terminal says how many it has."""


class Terminal:
    """Standard output, in words and tables or, `as_json`, as one JSON document."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self._console = console()

    def show(self, data: Any, *shown: Any) -> None:
        """The JSON document `data`, or what stands for it here."""
        if self.as_json:
            print(json.dumps(data, indent=2, ensure_ascii=False))
            return
        for each in shown:
            self._console.print(each)

    def progress(self) -> Progress:
        """A bar on standard error, for a person only, which goes when it is done."""
        where = console(stderr=True)
        return Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=where,
            transient=True,
            disable=self.as_json or not where.is_terminal,
        )


def console(stderr: bool = False, plain: bool = False) -> Console:
    """A console that leaves what it is given as it is; in colours on a terminal only, and never if
    `plain`."""
    made = Console(stderr=stderr, highlight=False, color_system=None if plain else "auto")
    if not made.is_terminal:
        made.width = WIDTH
    return made


def table(*columns: str, rows: Iterable[Sequence[object]], right: Sequence[str] = ()) -> Table:
    """A table, with a header if a column has a name; the columns in `right` hold numbers."""
    made = Table(
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        header_style="dim",
        show_header=any(columns),
    )
    for column in columns:
        side = "right" if column in right else "left"
        made.add_column(column, justify=side, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    return made


def readable(name: str, value: object) -> str:
    """A stored value for people: what is named as a moment is epoch milliseconds."""
    if value is None:
        return "-"
    if name.endswith("_at") and isinstance(value, int):
        return to_text(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def counted(number: int, noun: str) -> str:
    """So many of them, as in "1 event", "2 events"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def ago(milliseconds: int) -> str:
    """A span of time in its largest unit."""
    seconds = max(0, milliseconds) / 1000
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
