"""The recording in examples/ratelimiter: two minutes of a small shop, always the same.

`python -m tests.support.recording` writes it anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from functions.edge.validation import to_text
from tests.support.handlers import ROOT

PAGE = ROOT / "examples" / "ratelimiter" / "traffic.ndjson"
NOON = 1_795_262_400_000
"""2026-11-21T12:00:00Z in epoch milliseconds."""

Request = dict[str, Any]


def requests() -> Iterator[tuple[int, Request]]:
    """Each with its milliseconds after noon."""
    for n in range(40):
        # Somebody guesses passwords, every two seconds.
        yield n * 2000, {"endpoint": "/api/login", "method": "POST", "ip": "198.51.100.23"}
    for n in range(130):
        # A free user's script searches twice a second.
        yield n * 500 + 120, {"endpoint": "/api/search", "user": "ada", "ip": "203.0.113.7"}
    for n in range(100):
        # A premium user's does, too, and a little faster.
        search = {"endpoint": "/api/search", "user": "bob", "tier": "premium", "ip": "203.0.113.8"}
        yield n * 450 + 240, search
    for n in range(12):
        # An album, picture by picture.
        upload = {"endpoint": "/api/upload", "method": "POST", "user": "eve", "ip": "203.0.113.9"}
        yield n * 7000 + 3300, upload
    for n in range(60):
        # A partner's job, fifteen orders at a time.
        yield n // 15 * 20_000 + n % 15 * 10, {"endpoint": "/api/v1/orders", "api_key": "shop-7"}


def lines() -> str:
    """The recording, in the order of its times."""
    found = sorted(requests(), key=lambda pair: pair[0])
    recorded = ({"at": to_text(NOON + after), **request} for after, request in found)
    return "".join(json.dumps(each) + "\n" for each in recorded)


if __name__ == "__main__":
    PAGE.write_text(lines())
