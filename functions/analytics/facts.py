"""A fact: something that happened on a site, once and unchangeably, and where it is kept.

Minutes are minutes of the epoch. An hour is an hour of UTC moved by its site's `phase`, its time
zone's offset modulo an hour, so that local days are made of whole hours. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple
from zlib import crc32

MINUTE_MS = 60_000
MAX_VALUE = 200
"""Bytes of UTF-8 that a value has at most, since it becomes part of keys."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_EPOCH = date(1970, 1, 1)

Lanes = Sequence[tuple[int, int]]
"""(minute, number of lanes from that minute on), by minute. What is past never changes."""
Utm = tuple[str | None, str | None, str | None, str | None, str | None]
NO_UTM: Utm = (None, None, None, None, None)


class Fact(NamedTuple):
    """`at` is the event's own time in epoch ms, by our clock; `visitor` 16 hex digits that mean
    nothing once their salt is gone; `utm` source, medium, campaign, term and content; `machine`
    what is no person: "bot", "preview", "prefetch" or "head"."""

    id: str
    site: str
    at: int
    name: str
    visitor: str | None = None
    page: str | None = None
    link: str | None = None
    referrer: str | None = None
    country: str | None = None
    device: str | None = None
    browser: str | None = None
    os: str | None = None
    utm: Utm = NO_UTM
    props: tuple[tuple[str, str], ...] = ()
    machine: str | None = None


class Sighting(NamedTuple):
    """A fact with the time, in epoch ms, that its sender's clock gave it: always the same in every
    repeat, when the fact's own may be another in each."""

    fact: Fact
    sent_as: int


_DEFAULTS = Fact._field_defaults
_DIMENSIONS = ("page", "link", "referrer", "country", "device", "browser", "os")


def encode(fact: Fact) -> str:
    """A fact as one line of JSON; what it has not is left out."""
    data = {
        name: value
        for name, value in zip(Fact._fields, fact, strict=True)
        if name not in _DEFAULTS or value != _DEFAULTS[name]
    }
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)


def decode(text: str) -> Fact:
    """The fact that was encoded."""
    data = json.loads(text)
    known: dict[str, Any] = {key: data[key] for key in Fact._fields if key in data}
    if "utm" in known:
        known["utm"] = tuple(known["utm"])
    known["props"] = tuple((key, value) for key, value in known.get("props", ()))
    return Fact(**known)


def bounded(fact: Fact) -> Fact:
    """A fact whose values fit into keys: at most MAX_VALUE bytes, no control characters. What is
    left empty is none."""
    cut: dict[str, Any] = {name: _short(getattr(fact, name)) for name in _DIMENSIONS}
    cut["utm"] = tuple(_short(value) for value in fact.utm)
    cut["props"] = tuple((key, value) for key, text in fact.props if (value := short(text)))
    return fact._replace(name=short(fact.name), **cut)


def short(text: str) -> str:
    """A value of at most MAX_VALUE bytes, without control characters, which separate values in
    keys, and without halves of surrogate pairs, which no store takes."""
    clean = _CONTROL.sub(" ", text).encode(errors="replace")[:MAX_VALUE]
    return clean.decode(errors="ignore").strip()


def _short(text: str | None) -> str | None:
    return None if text is None else short(text) or None


def minute_of(at: int) -> int:
    """The minute of a time in epoch ms."""
    return at // MINUTE_MS


def hour_of(minute: int, phase: int) -> int:
    """The hour that a minute is in, for a site of that phase (0, 15, 30 or 45 minutes)."""
    return (minute + phase) // 60


def minutes_of(hour: int, phase: int) -> range:
    """The sixty minutes of an hour."""
    return range(hour * 60 - phase, hour * 60 - phase + 60)


def day_of(hour: int) -> str:
    """The day that an hour is in, as YYYY-MM-DD: of UTC moved by the phase, not a local one."""
    return (_EPOCH + timedelta(days=hour // 24)).isoformat()


def hours_of(day: str) -> range:
    """The twenty-four hours of a day. Raises ValueError for what is no day."""
    first = (date.fromisoformat(day) - _EPOCH).days * 24
    return range(first, first + 24)


def lanes_at(lanes: Lanes, minute: int) -> int:
    """Over how many buckets a minute's facts are spread."""
    number = 1
    for since, more in lanes:
        if since <= minute:
            number = more
    return number


def lane_of(id: str, lanes: int) -> int:
    """The one of so many lanes that a fact's id puts it in."""
    return crc32(id.encode()) % lanes


def bucket(site: str, minute: int, lane: int) -> str:
    """The key under which a minute's facts of one lane are kept; keys sort by minute."""
    return f"{site}#{minute:09}#{lane}"


def parts(key: str) -> tuple[str, int, int]:
    """Site, minute and lane of a bucket's key. Raises ValueError for what is none."""
    site, minute, lane = key.rsplit("#", 2)
    return site, int(minute), int(lane)


def bucket_of(fact: Fact, lanes: Lanes) -> str:
    """The bucket that a fact belongs in."""
    minute = minute_of(fact.at)
    return bucket(fact.site, minute, lane_of(fact.id, lanes_at(lanes, minute)))


class Span(NamedTuple):
    """From `since` until before `until`, epoch milliseconds."""

    since: int
    until: int

    def hours(self, phase: int) -> range:
        """Every hour of which some part is in it."""
        first = hour_of(minute_of(self.since), phase)
        return range(first, hour_of(minute_of(self.until - 1), phase) + 1)
