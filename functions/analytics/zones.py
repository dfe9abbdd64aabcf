"""Time zones: which there are, and at which minutes their hours begin."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

SAMPLES = range(0, 370, 7)
"""Days ahead at which a zone's clock is looked at: a year, by weeks."""

# Every zone's name starts so; of what else the system's folder holds, none does.
_NAME = re.compile(r"[A-Z][A-Za-z0-9_+-]*(/[A-Z][A-Za-z0-9_+-]*){0,2}", re.ASCII)


def zone(name: str) -> ZoneInfo:
    """An IANA time zone. Raises ValueError."""
    if len(name) <= 64 and _NAME.fullmatch(name):
        try:
            return ZoneInfo(name)
        except (KeyError, OSError, ValueError):
            pass
    raise ValueError("is no IANA time zone, such as Europe/Berlin")


def phase_of(name: str, now: int) -> int:
    """The minutes by which a zone's hours begin before the full hour of UTC, at `now` (epoch ms)
    and for a year: 0, 15, 30 or 45.

    Raises ValueError for what is no zone, and for a zone whose hours begin at other minutes in
    summer (Lord Howe Island) or between the quarters: its days are not made of whole hours.
    """
    clock, start = zone(name), datetime.fromtimestamp(now // 1000, UTC)
    moments = [start + timedelta(days=days) for days in SAMPLES]
    offsets = {moment.astimezone(clock).utcoffset() or timedelta() for moment in moments}
    phases = {offset % timedelta(hours=1) // timedelta(minutes=1) for offset in offsets}
    if len(phases) > 1 or max(phases) % 15:
        raise ValueError("has hours that do not begin at the same quarter of an hour all year")
    return phases.pop()
