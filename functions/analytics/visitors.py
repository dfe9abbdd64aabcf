"""Who visits, as sixteen hex digits that tell nothing: no cookie, no address that is kept. Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Literal, NamedTuple

Identity = Literal["day", "week", "month"]
USER_KEY = "analytics/user"
"""The purpose of the key that known users are digested with. It never rotates."""


class Period(NamedTuple):
    """For how long a visitor stays the same: a calendar day, week (of Monday) or month of UTC.

    `name` tells kind and first day; `end` is epoch ms.
    """

    name: str
    end: int


def period_at(identity: Identity, at: int) -> Period:
    """The period that a time in epoch ms is in."""
    day = datetime.fromtimestamp(at // 1000, UTC).date()
    match identity:
        case "day":
            first, after = day, day + timedelta(days=1)
        case "week":
            first = day - timedelta(days=day.weekday())
            after = first + timedelta(days=7)
        case "month":
            first = day.replace(day=1)
            after = (first + timedelta(days=31)).replace(day=1)
    return Period(f"{identity}#{first.isoformat()}", _millis(after))


def anonymous(salt: bytes, site: str, address: str, agent: str) -> str:
    """A visitor of one site, for as long as the salt is kept: afterwards nobody, we included, can
    tell whose digits they were."""
    return _digest(salt, f"{site}|{address}|{agent}")


def known(key: bytes, site: str, user: str) -> str:
    """A visitor whom the site has named: the same on every day and device. `key` is of USER_KEY."""
    return _digest(key, f"{site}|{user}")


def opted_out(headers: Mapping[str, str]) -> bool:
    """Whether the browser asks not to be followed: Global Privacy Control or Do Not Track."""
    return headers.get("sec-gpc") == "1" or headers.get("dnt") == "1"


def _digest(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode(errors="replace"), hashlib.sha256)[:8].hex()


def _millis(day: date) -> int:
    return (day - date(1970, 1, 1)).days * 86_400_000
