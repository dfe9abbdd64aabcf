"""YOURLS: a dump of its MySQL table, or that table as CSV.

Sources: YOURLS, includes/functions-install.php (the table's columns); phpMyAdmin's CSV export (the
table without a header, or with one); GautamGupta/YOURLS-Import-Export, fileio/csv.php (the
plugin's CSV has source, the keyword between slashes, target and hits).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from functions.shortener.imports.mysql import Inserted, inserted
from functions.shortener.imports.rows import (
    BadRow,
    Fields,
    Row,
    csv_rows,
    new_link,
    number,
    required,
    row_at,
    title,
)

COLUMNS = ("keyword", "url", "title", "timestamp", "ip", "clicks")
TABLE = "url"
"""How the table's name ends; a prefix, by default yourls_, stands before it."""

_DUMP = re.compile(r"(?im)\A\s*(?:--|/\*)|^\s*(?:insert|replace)\s+(?:\w+\s+)?into\b")


def rows(export: str) -> Iterator[Row]:
    """The links of a dump or a CSV."""
    if _DUMP.search(export):
        return _dumped(export)
    headers = [("keyword", "url"), ("source", "target")]
    return csv_rows(export, _link, headers, otherwise=COLUMNS)


def _dumped(dump: str) -> Iterator[Row]:
    for record in inserted(dump):
        columns = record.columns or COLUMNS
        if not record.table.endswith(TABLE) or not {"keyword", "url"} <= set(columns):
            continue
        place = f"line {record.line}"
        if fault := _fault(record, columns):
            yield Row({}, fault=fault, place=place)
        else:
            yield row_at(place, dict(zip(columns, record.values, strict=True)), _link)


def _fault(record: Inserted, columns: tuple[str, ...]) -> str | None:
    if not record.whole:
        return "is cut off"
    if len(record.values) != len(columns):
        return f"has {len(record.values)} values for {len(columns)} columns"
    return None


def _link(fields: Fields) -> Row:
    if "source" in fields:
        code, url, clicks = required(fields, "source").strip("/"), "target", fields.get("hits")
    else:
        code, url, clicks = required(fields, "keyword"), "url", fields.get("clicks")
    if not code:
        raise BadRow("has no keyword")
    link = new_link(code, required(fields, url), title=title(fields, "title"))
    return Row(link, clicks=number(clicks) or 0)
