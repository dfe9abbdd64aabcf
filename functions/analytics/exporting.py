"""Facts as files: CSV for people and spreadsheets, newline-delimited JSON for programs. Pure."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from io import StringIO
from typing import Any, NamedTuple

from functions.analytics.facts import Fact

UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
COLUMNS = (
    *("id", "at", "event", "visitor", "page", "link", "referrer", "country", "device", "browser"),
    *("os", *UTM, "machine", "properties"),
)
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet run a cell (OWASP, CSV Injection)."""


class Format(NamedTuple):
    """A file's media type, what it begins with, and facts written so."""

    media: str
    head: str
    written: Callable[[Iterable[Fact]], str]


def shown(fact: Fact) -> dict[str, Any]:
    """A fact by COLUMNS; of what it has not, None."""
    return {
        "id": fact.id,
        "at": _moment(fact.at),
        "event": fact.name,
        "visitor": fact.visitor,
        "page": fact.page,
        "link": fact.link,
        "referrer": fact.referrer,
        "country": fact.country,
        "device": fact.device,
        "browser": fact.browser,
        "os": fact.os,
        **dict(zip(UTM, fact.utm, strict=True)),
        "machine": fact.machine,
        "properties": dict(fact.props),
    }


def _moment(at: int) -> str:
    """RFC 3339 in UTC, with milliseconds."""
    moment = datetime.fromtimestamp(at // 1000, UTC).replace(tzinfo=None)
    return f"{moment.isoformat()}.{at % 1000:03}Z"


def _csv(facts: Iterable[Fact]) -> str:
    """RFC 4180."""
    return _rows(map(_cell, shown(fact).values()) for fact in facts)


def _rows(rows: Iterable[Iterable[str]]) -> str:
    out = StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue()


def _cell(value: str | dict[str, str] | None) -> str:
    """A cell that is no formula."""
    if not value:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(FORMULA) else text


def _ndjson(facts: Iterable[Fact]) -> str:
    return "".join(json.dumps(shown(fact), ensure_ascii=False) + "\n" for fact in facts)


FORMATS = {
    "csv": Format("text/csv; charset=utf-8", _rows([COLUMNS]), _csv),
    "ndjson": Format("application/x-ndjson", "", _ndjson),
}
