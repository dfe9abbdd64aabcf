"""What a request tells of visits: looked at field by field, every fault named. Pure; it imports
little, since it is on the hot public path.

What is not to be kept is taken out here, before anything is sent on: query strings, and what looks
like an e-mail address.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit
from zlib import crc32

from functions.analytics.facts import MINUTE_MS, Utm

MAX_BODY_BYTES = 256 * 1024
MAX_EVENTS = 500
MAX_METADATA = 20
MAX_KEY = 64
MAX_TEXT = 2_000
"""Characters of an address or of another text; what is kept of it is less."""
MAX_AGENT = 512
"""Characters of a user agent that are looked at; a real one has half as many."""
SKEW_MS = 5 * 60_000
"""Clocks that differ by no more count as the same; so much may an event lie ahead of ours."""
DAY_MS = 86_400_000
PAGEVIEW = "pageview"
UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
REDACTED = "[redacted]"
UNTIMED_MINUTES = 10_000_000
"""Minutes, all of them before 1990, in one of which an id is looked for that came without a time of
its own by which a repeat could be told."""

_SITE = re.compile(r"[a-z0-9]{12}")
_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_COUNTRY = re.compile(r"[A-Z0-9]{2}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_WORD = re.compile(r"[^\s/?&=;:,\"'<>()|]+")
# However often it was encoded. Neither of the two takes more than linear time.
_AT = re.compile(r"(?:@|%(?:25)*40)+")
_DOMAIN = re.compile(r"(?:[\w\x80-\U0010ffff-]+\.)+[A-Za-z\x80-\U0010ffff]{2}")
_ENVELOPE = {"site", "sent_at", "events"}
_FIELDS = {"id", "event_type", "timestamp", "page", "referrer", "user_id", "metadata", "link"}
_OWN_FIELDS = {"ip", "agent", "country"}
"""What an event from a site's own server may tell besides: of its visitor, not of itself."""


class Fault(Exception):
    """A field that cannot be accepted, and why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class Envelope(NamedTuple):
    """A request's body, of which no event was looked at yet; times are epoch ms."""

    site: str
    sent_at: int | None
    events: list[Any]


class Tracked(NamedTuple):
    """An event that is accepted. `at` is its time by our clock, `sent_as` by its sender's: the same
    in every repeat. `page` keeps utm parameters, `user` is who the site says it is."""

    id: str | None
    at: int
    sent_as: int
    name: str
    page: str | None = None
    referrer: str | None = None
    link: str | None = None
    user: str | None = None
    props: tuple[tuple[str, str], ...] = ()
    ip: str | None = None
    agent: str | None = None
    country: str | None = None


class Window(NamedTuple):
    """The times, in epoch ms, that are taken: from `oldest` to a little after `received`. `sent_at`
    is what the sender's clock said, ours if it said nothing, and `skew` how far it is behind
    ours."""

    received: int
    oldest: int
    sent_at: int
    skew: int


def envelope(text: str, site: str | None = None) -> Envelope:
    """The body as JSON, its events still unread; `site` is what the route names. Raises Fault, and
    ValueError for what is no JSON."""
    body = _parsed(text)
    if not isinstance(body, dict):
        raise Fault("", "is not an object")
    _refuse_unknown(body, _ENVELOPE if site is None else _ENVELOPE - {"site"})
    named = body.get("site") if site is None else site
    if not isinstance(named, str) or not _SITE.fullmatch(named):
        raise Fault("site", "is not the id of a site")
    events = body.get("events")
    if not isinstance(events, list) or not 1 <= len(events) <= MAX_EVENTS:
        raise Fault("events", f"is not a list of 1 to {MAX_EVENTS} events")
    sent_at = None if body.get("sent_at") is None else _moment(body["sent_at"], "sent_at")
    return Envelope(named, sent_at, events)


def window(received: int, sent_at: int | None, retention_days: int) -> Window:
    """The times that are taken of a request."""
    said = received if sent_at is None else sent_at
    skew = received - said
    return Window(
        received=received,
        oldest=received - retention_days * DAY_MS,
        sent_at=said,
        skew=skew if abs(skew) > SKEW_MS else 0,
    )


def event(given: Any, times: Window, own: bool = False) -> Tracked:
    """One event; `own` if it comes from the site's own server. Raises Fault."""
    if not isinstance(given, dict):
        raise Fault("", "is not an object")
    _refuse_unknown(given, _FIELDS | _OWN_FIELDS if own else _FIELDS)
    id = _id(given.get("id"))
    at, sent_as = _times(given.get("timestamp"), id, times)
    return Tracked(
        id=id,
        at=at,
        sent_as=sent_as,
        name=_name(given.get("event_type")),
        page=_page(_text(given, "page", MAX_TEXT)),
        referrer=_referrer(_text(given, "referrer", MAX_TEXT)),
        link=_link(_text(given, "link", MAX_TEXT)),
        user=_text(given, "user_id", 200),
        props=_props(given.get("metadata")),
        ip=_text(given, "ip", 45),
        agent=_text(given, "agent", MAX_TEXT),
        country=_country(_text(given, "country", 2)),
    )


def country_of(header: str) -> str | None:
    """The country that an edge's header tells."""
    return header.upper() if _COUNTRY.fullmatch(header.upper()) else None


def place(url: str) -> str | None:
    """Where a link leads: host and path. Raises Fault."""
    parts = _split(url, "link")
    host = parts.netloc.rpartition("@")[2].lower()
    return host + _path(parts.path) or None


def redact(text: str) -> str:
    """Text in which every word that has what looks like an e-mail address is replaced."""
    if not _AT.search(text):
        return text
    return _WORD.sub(lambda found: REDACTED if _has_address(found[0]) else found[0], text)


def _has_address(word: str) -> bool:
    # Whatever may stand behind a domain, from brackets to dots, its beginning tells it.
    return any(name and _DOMAIN.match(host) for name, host in pairwise(_AT.split(word)))


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("too deep") from None


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _refuse_unknown(given: Mapping[str, Any], known: set[str]) -> None:
    for name in given:
        if name not in known:
            raise Fault(_CONTROL.sub("", name)[:MAX_KEY], "is not a field")


def _moment(given: Any, field: str) -> int:
    """Epoch milliseconds of a time, whole already or RFC 3339."""
    if isinstance(given, str) and _RFC3339.fullmatch(given):
        try:
            given = round(datetime.fromisoformat(given.upper()).timestamp() * 1000)
        except ValueError:
            raise Fault(field, "is no time that there is") from None
    if not isinstance(given, int) or isinstance(given, bool):
        raise Fault(field, "is neither an RFC 3339 time nor whole milliseconds")
    # Years 1970 to 3871: what a minute of nine digits can say.
    if not 0 <= given < 10**9 * MINUTE_MS:
        raise Fault(field, "is not within the times that are kept")
    return given


def _times(given: Any, id: str | None, times: Window) -> tuple[int, int]:
    """When it happened by our clock, and by the sender's."""
    sent_as = times.sent_at if given is None else _moment(given, "timestamp")
    at = sent_as + times.skew
    if at > times.received + SKEW_MS:
        raise Fault("timestamp", "lies in the future")
    if at < max(times.oldest, 0):
        raise Fault("timestamp", "is older than the site keeps events")
    if given is None and id is not None:
        # Whoever tries again may say another `sent_at`: what tries have in common is the id.
        sent_as = crc32(id.encode()) % UNTIMED_MINUTES * MINUTE_MS
    return at, sent_as


def _id(given: Any) -> str | None:
    if given is None:
        return None
    if not isinstance(given, str) or not _ID.fullmatch(given):
        raise Fault("id", "is not 1 to 64 letters, digits or any of ._:-")
    return given


def _name(given: Any) -> str:
    if given is None:
        return PAGEVIEW
    name = _checked(given, "event_type", MAX_KEY).strip()
    if not name:
        raise Fault("event_type", "is empty")
    return redact(name)


def _text(given: Mapping[str, Any], field: str, most: int) -> str | None:
    value = given.get(field)
    return None if value is None else _checked(value, field, most) or None


def _checked(value: Any, field: str, most: int) -> str:
    if not isinstance(value, str):
        raise Fault(field, "is not text")
    if len(value) > most:
        raise Fault(field, f"is longer than {most} characters")
    if _CONTROL.search(value):
        raise Fault(field, "has characters that are no text")
    return value


def _props(given: Any) -> tuple[tuple[str, str], ...]:
    if given is None:
        return ()
    if not isinstance(given, dict):
        raise Fault("metadata", "is not an object")
    if len(given) > MAX_METADATA:
        raise Fault("metadata", f"has more than {MAX_METADATA} keys")
    return tuple(sorted((_key(key), _value(key, value)) for key, value in given.items()))


def _key(key: str) -> str:
    if not _checked(key, "metadata", MAX_KEY).strip():
        raise Fault("metadata", "has an empty key")
    return redact(key)


def _value(key: str, value: Any) -> str:
    field = f"metadata.{key}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if abs(value) >= 10**18:
            raise Fault(field, "is a number of more than 18 digits")
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Fault(field, "is not a finite number")
        return repr(value)
    if not isinstance(value, str):
        raise Fault(field, "is neither text nor a number nor true or false")
    return redact(_checked(value, field, MAX_TEXT))


def _country(given: str | None) -> str | None:
    if given is None:
        return None
    if (country := country_of(given)) is None:
        raise Fault("country", "is not a code of two letters")
    return country


def _page(given: str | None) -> str | None:
    """The path, with those parameters alone that say which campaign it was."""
    if given is None:
        return None
    # What begins with two slashes would be read as a host.
    parts = _split(f"//{given}" if given.startswith("//") else given, "page")
    path = _path(parts.path) or "/"
    utm = [
        (name, redact(value))
        for name, value in parse_qsl(parts.query)
        if name in UTM and not _CONTROL.search(value)
    ]
    return f"{path}?{urlencode(utm)}" if utm else path


def campaign(page: str) -> tuple[str, Utm]:
    """A tracked page's path, and the values of UTM."""
    path, _, query = page.partition("?")
    values = dict(parse_qsl(query))
    source, medium, name, term, content = (values.get(name) for name in UTM)
    return path, (source, medium, name, term, content)


def _referrer(given: str | None) -> str | None:
    """The host: what stood behind it may be anybody's secret, and is nobody's statistics."""
    if given is None:
        return None
    parts = _split(given, "referrer")
    try:
        return redact(parts.hostname or "") or None
    except ValueError:
        raise Fault("referrer", "is not an address") from None


def _link(given: str | None) -> str | None:
    return None if given is None else place(given)


def _path(path: str) -> str:
    # Decoded, so that an address cannot hide in it; what separates keys has no place in it.
    return redact(_CONTROL.sub(" ", unquote(path, errors="replace"))).replace("?", "%3F")


def _split(given: str, field: str) -> Any:
    try:
        return urlsplit(given)
    except ValueError:
        raise Fault(field, "is not an address") from None
