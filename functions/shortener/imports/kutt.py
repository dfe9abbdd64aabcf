"""Kutt: answers of its API (GET /api/v2/links), or its table `links` as CSV; it exports no file.

Sources: Kutt, server/utils/utils.js (sanitize.link), server/models/link.model.js. SQLite keeps
times as text in UTC.
"""

from __future__ import annotations

from collections.abc import Iterator

from functions.shortener.imports.rows import (
    BadRow,
    Fields,
    Row,
    csv_rows,
    is_json,
    json_rows,
    moment,
    new_link,
    number,
    required,
    text,
    title,
)

FALSE = {"", "0", "f", "false", "no"}


def rows(export: str) -> Iterator[Row]:
    """The links of JSON or a CSV."""
    if is_json(export):
        return json_rows(export, _link, "data")
    return csv_rows(export, _link, [("address", "target")])


def _link(fields: Fields) -> Row:
    # The table names a domain by number alone, and leaves that of the default domain empty.
    if "domain" not in fields and fields.get("domain_id"):
        raise BadRow(f"is of domain_id {fields['domain_id']}, whose name is not in the file")
    link = new_link(
        required(fields, "address"),
        required(fields, "target"),
        moment(fields, "expire_in"),
        domain=text(fields, "domain"),
        title=title(fields, "description"),
    )
    return Row(link, clicks=number(fields.get("visit_count")) or 0, left_out=_left_out(fields))


def _left_out(fields: Fields) -> str | None:
    if _true(fields.get("banned")):
        return "is banned"
    if _true(fields.get("password")):
        return "has a password, which cannot be moved"
    return None


def _true(value: object) -> bool:
    return value is not None and str(value).strip().lower() not in FALSE
