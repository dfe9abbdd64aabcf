"""What happened to a short link. Storage format: never change a shipped one, add a schema.

Times are epoch milliseconds, UTC.
"""

from __future__ import annotations

from dataclasses import dataclass

from functions.kernel.codec import EventCodec


@dataclass(frozen=True)
class LinkCreated:
    """A code was given out, for ever; `expires_at` None means that the link does not expire."""

    domain: str
    code: str
    owner: str
    long_url: str
    redirect_status: int
    created_at: int
    expires_at: int | None = None


@dataclass(frozen=True)
class LinkRetargeted:
    """The link leads elsewhere."""

    long_url: str


@dataclass(frozen=True)
class LinkExpiryChanged:
    """The link expires at another time, or no longer (None)."""

    expires_at: int | None = None


@dataclass(frozen=True)
class LinkRedirectStatusChanged:
    """The link redirects with another HTTP status."""

    redirect_status: int


@dataclass(frozen=True)
class LinkDisabled:
    """The owner switched the link off."""


@dataclass(frozen=True)
class LinkEnabled:
    """The owner switched the link on again."""


@dataclass(frozen=True)
class LinkDeleted:
    """The owner deleted the link. Its code is never given out again."""


Event = (
    LinkCreated
    | LinkRetargeted
    | LinkExpiryChanged
    | LinkRedirectStatusChanged
    | LinkDisabled
    | LinkEnabled
    | LinkDeleted
)

CODEC = EventCodec(
    LinkCreated,
    LinkRetargeted,
    LinkExpiryChanged,
    LinkRedirectStatusChanged,
    LinkDisabled,
    LinkEnabled,
    LinkDeleted,
)
