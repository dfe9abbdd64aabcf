"""A user's links, written to a file as they come."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from functions.shortener.exporting import COLUMNS, cells
from millrace.api import Api

Links = Iterable[dict[str, Any]]


def export(api: Api, out: TextIO, form: str, progress: Callable[[int], None]) -> int:
    """Writes every link, the newest first, as "ndjson" or "csv"; `progress` hears of each page.
    Gives their number."""
    written = 0

    def links() -> Iterator[dict[str, Any]]:
        nonlocal written
        for page in api.links():
            yield from page
            written += len(page)
            progress(len(page))

    FORMATS[form](links(), out)
    return written


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """A file that takes the place of `path` when it is complete, and never before."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8", newline="") as out:
        yield out
    os.replace(part, path)


def _ndjson(links: Links, out: TextIO) -> None:
    for link in links:
        out.write(json.dumps(link, ensure_ascii=False) + "\n")


def _csv(links: Links, out: TextIO) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(map(cells, links))


FORMATS: dict[str, Callable[[Links, TextIO], None]] = {"ndjson": _ndjson, "csv": _csv}
