"""What comes in and goes out over HTTP, of sites."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic.json_schema import SkipJsonSchema

from functions.analytics import decider
from functions.analytics.decider import DEFAULT_PAIRS, Site
from functions.analytics.events import EXACT, Identity, Ledger, Step, Terms, What
from functions.analytics.zones import phase_of
from functions.edge.problem import invalid
from functions.edge.validation import Query, Schema, to_text

SITE_ID = "^[a-z0-9]{12}$"
NAME = "^[a-z0-9][a-z0-9_-]{0,39}$"
"""Of a goal or a funnel."""
DEFAULTS: dict[str, Any] = {
    "origins": (),
    "timezone": "UTC",
    "identity": "day",
    "retention_days": 365,
    "properties": (),
    "pairs": DEFAULT_PAIRS,
    "blocked_referrers": (),
}
"""What null sets a field to, and an absent field of a new site; what is not here must be given."""

_HOST = r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)"
_ORIGIN = re.compile(rf"https?://{_HOST}(?:\.{_HOST})*(?::[1-9][0-9]{{0,4}})?", re.ASCII)
_DEFAULT_PORT = {"http": ":80", "https": ":443"}


def origin(text: str) -> str:
    """An origin as browsers send it: in lower case, without the port that goes without saying.
    Raises ValueError."""
    lower = text.lower()
    if not _ORIGIN.fullmatch(lower):
        raise ValueError("is no origin, such as https://example.com: http or https, host and port")
    parts = urlsplit(lower)
    host = parts.hostname or ""
    if len(host) > 253 or (parts.port or 0) > 65535:
        raise ValueError("is no origin: its host or its port is too large")
    if "." not in host and host != "localhost":
        raise ValueError("is no origin of a site: its host has no dot and is not localhost")
    return lower.removesuffix(_DEFAULT_PORT[parts.scheme])


TEXT = r"^[^\x00-\x1f\x7f]*$"
SiteName = Annotated[str, Field(min_length=1, max_length=100, pattern=TEXT)]
Origin = Annotated[
    str,
    Field(min_length=1, max_length=300, json_schema_extra={"examples": ["https://example.com"]}),
    AfterValidator(origin),
]
Zone = Annotated[str, Field(min_length=1, max_length=64, examples=["Europe/Berlin"])]
Days = Annotated[int, Field(ge=1, le=decider.MAX_RETENTION_DAYS)]
Key = Annotated[str, Field(pattern="^[A-Za-z_][A-Za-z0-9_-]{0,39}$")]
Rollup = Annotated[str, Field(pattern="^(prop:)?[A-Za-z_][A-Za-z0-9_-]{0,39}$")]
Host = Annotated[
    str, Field(max_length=253, pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9-]*[a-z0-9])*$")
]
Pattern = Annotated[str, Field(min_length=1, max_length=100, pattern=TEXT)]

Origins = Annotated[list[Origin], Field(max_length=decider.MAX_ORIGINS)]
Properties = Annotated[list[Key], Field(max_length=decider.MAX_PROPERTIES)]
Together = Annotated[list[Rollup], Field(min_length=2, max_length=2)]
Pairs = Annotated[list[Together], Field(max_length=decider.MAX_PAIRS)]
Blocked = Annotated[list[Host], Field(max_length=decider.MAX_BLOCKED)]


class NewSite(Schema):
    """Body of POST /v1/sites. What is absent takes its default; `pairs` are then page and country,
    page and device, country and device."""

    name: SiteName
    origins: Origins | None = None
    timezone: Zone | None = None
    ledger: Ledger = EXACT
    identity: Identity | None = None
    retention_days: Days | None = None
    properties: Properties | None = None
    pairs: Pairs | None = None
    blocked_referrers: Blocked | None = None

    def terms(self, now: int) -> Terms:
        """How it is to be counted. Raises a 422 Problem."""
        given = self.model_dump(exclude={"name", "origins"}, exclude_none=True)
        wanted = _set({**DEFAULTS, **given}, now)
        del wanted["origins"]
        return Terms(**wanted)


class SitePatch(Schema):
    """Body of PATCH /v1/sites/{site}: absent keeps, null sets what a new site has."""

    name: SiteName | SkipJsonSchema[None] = None
    origins: Origins | None = None
    timezone: Zone | None = None
    identity: Identity | None = None
    retention_days: Days | None = None
    properties: Properties | None = None
    pairs: Pairs | None = None
    blocked_referrers: Blocked | None = None

    def changes(self, now: int) -> dict[str, Any]:
        """The given fields, as they are kept. Raises a 422 Problem."""
        given = self.model_dump(exclude_unset=True)
        for name, value in given.items():
            if value is None and name not in DEFAULTS:
                raise invalid(name, "cannot be cleared")
        cleared = {n: DEFAULTS[n] if value is None else value for n, value in given.items()}
        return _set(cleared, now)


def _set(fields: dict[str, Any], now: int) -> dict[str, Any]:
    """Fields as a site keeps them: lists as tuples, a time zone with its phase."""
    kept = {name: _frozen(value) for name, value in fields.items()}
    if "timezone" in kept:
        try:
            kept["phase"] = phase_of(kept["timezone"], now)
        except ValueError as error:
            raise invalid("timezone", str(error)) from error
    return kept


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


class Looked(Schema):
    """What fits: the name of an event, or the page of a page view. In `pattern`, * stands for any
    text."""

    what: What
    pattern: Pattern


class NewGoal(Looked):
    """Body of PUT /v1/sites/{site}/goals/{name}."""


class NewFunnel(Schema):
    """Body of PUT /v1/sites/{site}/funnels/{name}: its steps in their order, and the seconds from
    the first to the last, a day if absent."""

    steps: Annotated[
        list[Looked], Field(min_length=decider.MIN_STEPS, max_length=decider.MAX_STEPS)
    ]
    window_seconds: Annotated[int, Field(ge=1, le=30 * 24 * 3600)] = 24 * 3600

    def kept(self) -> tuple[Step, ...]:
        """The steps as a site keeps them."""
        return tuple((step.what, step.pattern) for step in self.steps)


class SitePageQuery(Query):
    """Query of the lists of sites and of their events: at most `limit` items, going on after
    `cursor`."""

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: Annotated[str, Field(max_length=512)] | None = None


class NoQuery(Query):
    """Query of what takes none."""


class SiteQuery(Query):
    """Query of GET /v1/sites/{site}: `at` is a version or an RFC 3339 time."""

    at: Annotated[str, Field(min_length=1, max_length=40)] | None = Field(
        None, description="A version, or an RFC 3339 time."
    )


def site_body(site: Site, version: int) -> dict[str, Any]:
    """A site as its owner sees it."""
    return {
        "id": site.id,
        "name": site.name,
        "origins": list(site.origins),
        "timezone": site.timezone,
        "ledger": site.ledger,
        "identity": site.identity,
        "retention_days": site.retention_days,
        "properties": list(site.properties),
        "pairs": [list(pair) for pair in site.pairs],
        "blocked_referrers": list(site.blocked_referrers),
        "rollups": list(site.rollups),
        "goals": [
            {"name": name, "what": what, "pattern": pattern} for name, what, pattern in site.goals
        ],
        "funnels": [
            {
                "name": name,
                "window_seconds": window // 1000,
                "steps": [{"what": what, "pattern": pattern} for what, pattern in steps],
            }
            for name, window, steps in site.funnels
        ],
        "created_at": to_text(site.created_at),
        "deleted": site.deleted,
        "version": version,
    }
