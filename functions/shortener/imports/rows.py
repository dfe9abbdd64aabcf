"""The rows of an export, and the formats that it may have: CSV with a header, and JSON.

A row that cannot be read is a row as well, with its fault, so that it never stops the rest.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

DELIMITERS = ",;\t"
NOTHING = ("", "NULL", r"\N")
"""What stands for null in a CSV: the second by phpMyAdmin, the third by MySQL."""

MAX_TITLE = 200
"""Characters of a title (schemas.Title); a longer one is cut rather than its link refused."""
CUT_TITLE = f"what a title has beyond {MAX_TITLE} characters"

_QUOTED = re.compile(r'"[^"]*"')
_DOCUMENT = re.compile(r"^[\[{]", re.MULTILINE)


class BadRow(Exception):
    """A row that cannot be read; the message is what the row does wrong."""


class Row(NamedTuple):
    """One link of an export; `place` says where it stands.

    `link` is what POST /v1/links takes, the short code as its `alias`, the `domain` that of the
    source if it names one; {} if the row has a `fault`. `left_out` says why the link is not to be
    moved, `notes` what of it cannot be. `clicks` are those counted at the source.
    """

    link: Mapping[str, Any]
    clicks: int = 0
    notes: tuple[str, ...] = ()
    left_out: str | None = None
    fault: str | None = None
    place: str = ""


Fields = Mapping[str, Any]
Convert = Callable[[Fields], Row]


def row_at(place: str, fields: Fields, convert: Convert) -> Row:
    """The row that `convert` makes of `fields`; where it raises BadRow, one with that fault."""
    try:
        row = convert(fields)
        _check_characters(row)
    except BadRow as error:
        return Row({}, fault=_readable(str(error)), place=place)
    named = str(row.link.get("title") or "")
    if len(named) > MAX_TITLE:
        cut = {**row.link, "title": named[:MAX_TITLE].rstrip()}
        row = row._replace(link=cut, notes=(*row.notes, CUT_TITLE))
    return row._replace(place=place)


def _check_characters(row: Row) -> None:
    # Bytes that are no UTF-8 were read as lone surrogates, and JSON can spell such.
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BadRow("holds what is not UTF-8") from None


def _readable(fault: str) -> str:
    """A fault that may quote lone surrogates, which no file or terminal takes."""
    return fault.encode(errors="replace").decode()


# ---- The fields of a row ----------------------------------------------------------------------


def new_link(
    alias: str, long_url: str, expires_at: str | None = None, **rest: Any
) -> dict[str, Any]:
    """The fields of a new link, the empty ones of `rest` left out. Without an expiry it never
    expires, as it never did at its source: an absent one would take the stack's default."""
    given = {name: value for name, value in rest.items() if value not in (None, [])}
    return {"long_url": long_url, "alias": alias, "expires_at": expires_at, **given}


def text(fields: Fields, name: str) -> str | None:
    """A field without the space around it; None if it is absent or empty. Raises BadRow."""
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadRow(f"has a {name} that is no text")
    return value.strip() or None


def title(fields: Fields, name: str) -> str | None:
    """A field as one line. Raises BadRow."""
    return " ".join((text(fields, name) or "").split()) or None


def required(fields: Fields, name: str) -> str:
    """A field that must be there. Raises BadRow."""
    value = text(fields, name)
    if value is None:
        raise BadRow(f"has no {name}")
    return value


def number(value: Any) -> int | None:
    """A whole number, however written; None if it is none."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def moment(fields: Fields, name: str) -> str | None:
    """A field that is an ISO 8601 time, as RFC 3339; UTC if it names no zone. Raises BadRow."""
    value = text(fields, name)
    if value is None:
        return None
    try:
        given = datetime.fromisoformat(value)
        given = given if given.tzinfo else given.replace(tzinfo=UTC)
        return given.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError):
        raise BadRow(f"has a {name} that is no time: {value[:40]}") from None


# ---- CSV --------------------------------------------------------------------------------------


def csv_rows(
    document: str,
    convert: Convert,
    headers: Sequence[Collection[str]],
    otherwise: Sequence[str] = (),
) -> Iterator[Row]:
    """The rows of a CSV whose first line names all columns of one of `headers`, in any case and
    with any spaces; without such a line the columns are `otherwise`. The delimiter is the one of
    DELIMITERS that its first line has most of."""
    # Universal newlines; and other line separators of Unicode end no line.
    reader = csv.reader(io.StringIO(document, newline=None), delimiter=_delimiter(document))
    columns: Sequence[str] | None = None
    for line, last, values in _records(reader):
        if columns is None:
            named = ["".join(name.split()).lower() for name in values or ()]
            columns = named if any(set(each) <= set(named) for each in headers) else otherwise
            if not columns:
                wanted = " or ".join(", ".join(sorted(each)) for each in headers)
                yield Row({}, fault=f"names no columns {wanted}", place=f"line {line}")
                return
            if columns is named:
                continue
        place = f"line {line}"
        if values is None or len(values) != len(columns):
            found = "a field that is too long" if values is None else f"{len(values)} fields"
            reach = f", and reaches to line {last}" if last > line else ""
            fault = f"has {found} instead of {len(columns)} fields{reach}"
            yield Row({}, fault=fault, place=place)
            continue
        given = zip(columns, values, strict=True)
        yield row_at(place, {n: None if v in NOTHING else v for n, v in given}, convert)


def _delimiter(document: str) -> str:
    first = _QUOTED.sub("", document.lstrip().partition("\n")[0])
    return max(DELIMITERS, key=first.count)


def _records(reader: Any) -> Iterator[tuple[int, int, list[str] | None]]:
    """The first line, the last and the values of each record that is not empty; None for the values
    where the reader gave up."""
    while True:
        line = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield line, reader.line_num, None
            continue
        if any(value.strip() for value in values):
            yield line, reader.line_num, values


# ---- JSON -------------------------------------------------------------------------------------


def is_json(document: str) -> bool:
    """Whether a text is JSON, if it is anything."""
    return document.lstrip()[:1] in ("{", "[")


def json_rows(document: str, convert: Convert, *path: str) -> Iterator[Row]:
    """The rows of JSON documents, one after the other: a link each, a list of links, or an answer
    of the source's API, which has that list at `path`."""
    for place, found in _documents(document):
        if isinstance(found, BadRow):
            yield Row({}, fault=str(found), place=place)
            continue
        items = _items(found, path)
        for which, item in enumerate(items, 1):
            at = place if len(items) == 1 else f"{place}, link {which}"
            if isinstance(item, dict):
                yield row_at(at, item, convert)
            else:
                yield Row({}, fault="is no JSON object", place=at)


def _items(found: Any, path: Sequence[str]) -> list[Any]:
    listed = found
    for name in path:
        listed = listed.get(name) if isinstance(listed, dict) else None
    if isinstance(listed, list) and path:
        return listed
    return found if isinstance(found, list) else [found]


def _documents(document: str) -> Iterator[tuple[str, Any]]:
    """Each JSON document and the line on which it starts; a BadRow for what is none, after which
    it goes on at the next line that starts like a document."""
    decoder, at, line, counted = json.JSONDecoder(), 0, 1, 0
    while at < len(document):
        if document[at] in " \t\r\n,":
            at += 1
            continue
        line, counted = line + document.count("\n", counted, at), at
        try:
            found, at = decoder.raw_decode(document, at)
            yield f"line {line}", found
        except (ValueError, RecursionError) as error:
            yield f"line {line}", BadRow(f"is not JSON: {error}")
            following = _DOCUMENT.search(document, at + 1)
            at = following.start() if following else len(document)
