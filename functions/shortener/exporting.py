"""Links as files: CSV for people and spreadsheets, newline-delimited JSON for programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from typing import Any, NamedTuple

COLUMNS = (
    *("code", "domain", "short_url", "long_url", "title", "tags", "created_at", "expires_at"),
    *("not_before", "fallback_url", "max_clicks", "password", "rules", "redirect_status"),
    *("counted", "disabled", "standing", "reason", "version"),
)
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet run a cell (OWASP, CSV Injection)."""

Links = Sequence[Mapping[str, Any]]


class Format(NamedTuple):
    """A file's media type, and links written so."""

    media: str
    written: Callable[[Links], str]


def _csv(links: Links) -> str:
    """RFC 4180, with a header."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows(map(cells, links))
    return out.getvalue()


def cells(link: Mapping[str, Any]) -> list[str]:
    """A link's row under COLUMNS, in which no cell is a formula."""
    return [_cell(link[name]) for name in COLUMNS]


def _cell(value: Any) -> str:
    match value:
        case None | []:
            return ""
        case bool():
            text = str(value).lower()
        case [str(), *_]:
            text = ",".join(value)
        case list():
            text = json.dumps(value, ensure_ascii=False)
        case _:
            text = str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _ndjson(links: Links) -> str:
    return "".join(json.dumps(link, ensure_ascii=False) + "\n" for link in links)


FORMATS = {
    "csv": Format("text/csv; charset=utf-8", _csv),
    "ndjson": Format("application/x-ndjson", _ndjson),
}
