"""Spans of time as they are asked for: local days, or moments."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

from functions.analytics.facts import Span
from functions.analytics.zones import zone
from functions.edge.problem import invalid
from functions.edge.validation import to_millis

__all__ = ["Span", "span"]

EARLIEST, LATEST = 0, 32_503_680_000_000
"""1970 and 3000."""
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def span(first: str, last: str, timezone: str) -> Span:
    """From the parameters `from` and `to`: dates of the site's own days, of which `to` is the last
    one, or RFC 3339 times, of which `to` is the first moment after. Raises a 422 Problem."""
    found = Span(_moment(first, timezone, "from", 0), _moment(last, timezone, "to", 1))
    if found.since >= found.until:
        raise invalid("to", "is not after from")
    return found


def _moment(text: str, timezone: str, name: str, days: int) -> int:
    try:
        moment = _midnight(text, timezone, days) if _DATE.fullmatch(text) else to_millis(text)
    except ValueError as error:
        reason = "is neither a date, such as 2030-01-31, nor an RFC 3339 time"
        raise invalid(name, reason) from error
    if not EARLIEST <= moment < LATEST:
        raise invalid(name, "is not between 1970 and 2999")
    return moment


def _midnight(text: str, timezone: str, days: int) -> int:
    day = date.fromisoformat(text)
    # Before the days are added: after the last year there is none.
    if day.year > 2999:
        return LATEST
    day += timedelta(days=days)
    moment = datetime(day.year, day.month, day.day, tzinfo=zone(timezone))
    return int(moment.timestamp()) * 1000
