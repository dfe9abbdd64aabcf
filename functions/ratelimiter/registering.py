"""What comes in over HTTP about keys and upstreams, and what goes out."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from functions.edge.validation import Moment, Query, Schema, to_text
from functions.ratelimiter.headers import settable
from functions.ratelimiter.keys import DAY_MS, MAX_GRACE_MS
from functions.ratelimiter.upstreams import Authentication, Header

MAX_SCOPES = 20
MAX_HEADERS = 20
MIN_TIMEOUT_MS, MAX_TIMEOUT_MS = 100, 25_000
"""API Gateway gives up after 30 seconds, of which the rest is for the check and a cold start."""
TEXT = r"^[^\x00-\x1f\x7f]*$"
SCOPE = r"^[!#-\[\]-~]{1,100}$"
"""A scope token of OAuth (RFC 6749, 3.3)."""
ALL_UPSTREAMS = "gw:*"


def _distinct(scopes: list[str]) -> list[str]:
    if len(set(scopes)) < len(scopes):
        raise ValueError("has something twice")
    return scopes


def _settable(headers: dict[str, str]) -> dict[str, str]:
    if bad := [name for name in headers if not settable(name)]:
        raise ValueError(f"{bad[0][:100]!r} is no name in lower case that an upstream may set")
    return headers


Value = Annotated[str, Field(max_length=2000, pattern=r"^[\x20-\x7e]*$")]


class NewKey(Schema):
    """Body of POST /v1/keys. The scope `gw:<name>` lets a key through to that upstream, `gw:*` to
    all; any other is told to the upstream, which may make of it what it likes."""

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=TEXT)]
    scopes: Annotated[
        list[Annotated[str, Field(pattern=SCOPE)]],
        Field(max_length=MAX_SCOPES),
        AfterValidator(_distinct),
    ]
    tier: Annotated[str, Field(min_length=1, max_length=50, pattern=TEXT)] = "free"
    expires_at: Moment | None = None


class Rotation(Schema):
    """Body of POST /v1/keys/{id}/rotate: for how many seconds older secrets stay good, a day if
    absent. Of a secret that leaked, that is 0."""

    grace_seconds: Annotated[int, Field(ge=0, le=MAX_GRACE_MS // 1000)] = DAY_MS // 1000


class NewUpstream(Schema):
    """Body of PUT /v1/upstreams/{name}: all of it. `timeout_ms` is for a whole answer; `headers`
    are added to every request, in the place of any of the same name."""

    url: Annotated[str, Field(min_length=1, examples=["https://orders.example.com/api"])]
    timeout_ms: Annotated[int, Field(ge=MIN_TIMEOUT_MS, le=MAX_TIMEOUT_MS)] = 10_000
    authentication: Authentication = "key"
    headers: Annotated[
        dict[str, Value],
        Field(max_length=MAX_HEADERS, default_factory=dict),
        AfterValidator(_settable),
    ]

    def fixed(self) -> tuple[Header, ...]:
        """The headers as they are kept."""
        return tuple(sorted(self.headers.items()))


class TenantPageQuery(Query):
    """Query of the lists: at most `limit` items, going on after `cursor`."""

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: Annotated[str, Field(max_length=512)] | None = None


def shown(data: dict[str, Any]) -> dict[str, Any]:
    """A key's or an upstream's data with times as text."""
    return {name: _shown(name, value) for name, value in data.items()}


def _shown(name: str, value: Any) -> Any:
    if name == "older_until":
        return [to_text(each) for each in value]
    return to_text(value) if name.endswith("_at") and value is not None else value
