"""Shlink: answers of its REST API, or the CSV that its web client exports.

Sources: shlink, docs/swagger (ShortUrl, ShortUrlMeta, VisitsSummary); shlink-web-component,
ExportShortUrlsBtn.tsx (the CSV's columns; tags joined by "|"); shlink-importer, README.md (the
"standard CSV": Long URL, Short code or Short URL, Domain, Title, Tags joined by "|" or ",").
The CSV has neither the time a link is valid in nor its visit limit: the API's answers have.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

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

RULES = "redirect rules"
QUERY = "forwarding of the visitor's query string"
USED_UP = "its visits are used up"


def rows(export: str) -> Iterator[Row]:
    """The links of JSON or a CSV."""
    if is_json(export):
        return json_rows(export, _link, "shortUrls", "data")
    return csv_rows(export, _exported, [("longurl", "shortcode"), ("longurl", "shorturl")])


def _link(fields: Fields) -> Row:
    meta = fields.get("meta") or {}
    if not isinstance(meta, dict):
        raise BadRow("has a meta that is no object")
    visits = _visits(fields)
    allowed = _allowed(meta)
    left = None if allowed is None else allowed - visits
    notes = {
        RULES: fields.get("hasRedirectRules") or fields.get("deviceLongUrls"),
        QUERY: fields.get("forwardQuery"),
    }
    link = new_link(
        required(fields, "shortCode"),
        required(fields, "longUrl"),
        moment(meta, "validUntil"),
        domain=text(fields, "domain"),
        title=title(fields, "title"),
        tags=_tags(fields.get("tags") or []),
        not_before=moment(meta, "validSince"),
        max_clicks=left,
    )
    return Row(
        link,
        clicks=visits,
        notes=tuple(note for note, applies in notes.items() if applies),
        left_out=USED_UP if left is not None and left <= 0 else None,
    )


def _visits(fields: Fields) -> int:
    summary = fields.get("visitsSummary")
    # Before Shlink 3.6 there was but one count.
    total = summary.get("total") if isinstance(summary, dict) else fields.get("visitsCount")
    return number(total) or 0


def _allowed(meta: Fields) -> int | None:
    given = meta.get("maxVisits")
    if given is None:
        return None
    allowed = number(given)
    if allowed is None:
        raise BadRow("has a maxVisits that is no number")
    return allowed


def _tags(given: Any) -> list[str]:
    if not isinstance(given, list) or not all(isinstance(tag, str) for tag in given):
        raise BadRow("has tags that are no list of texts")
    return [tag.strip() for tag in given if tag.strip()]


def _exported(fields: Fields) -> Row:
    host, path = _short_url(text(fields, "shorturl") or "")
    code = text(fields, "shortcode") or path.strip("/")
    if not code:
        raise BadRow("has no shortCode")
    tags = text(fields, "tags") or ""
    link = new_link(
        code,
        required(fields, "longurl"),
        domain=text(fields, "domain") or host,
        title=title(fields, "title"),
        tags=_tags(tags.split("," if "," in tags else "|")),
    )
    return Row(link, clicks=number(fields.get("visits") or fields.get("visitscount")) or 0)


def _short_url(url: str) -> tuple[str | None, str]:
    """Its host and path."""
    try:
        parts = urlsplit(url)
        return parts.hostname, parts.path
    except ValueError:
        raise BadRow("has a shortUrl that is no URL") from None
