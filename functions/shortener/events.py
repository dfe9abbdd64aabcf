"""What happened to a short link. Storage format: never change a shipped one, add a schema.

Times are epoch milliseconds, UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from functions.kernel.codec import Data, EventCodec

Rule = tuple[tuple[tuple[str, ...], ...], tuple[tuple[str, int], ...]]
"""Conditions, each the name of what is looked at and the values that fit, then targets, each a URL
and its weight. See policy.py."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a link's owner may set.

    `expires_at` None: it does not expire. `fallback_url`: where it leads when it is over or used
    up. `max_clicks`: how many people it redirects at most. `password`: an argon2 hash. `counted`:
    whether its clicks are told of.
    """

    long_url: str
    redirect_status: int
    expires_at: int | None = None
    not_before: int | None = None
    fallback_url: str | None = None
    max_clicks: int | None = None
    password: str | None = None
    rules: tuple[Rule, ...] | None = None
    tags: tuple[str, ...] | None = None
    title: str | None = None
    counted: bool = True


@dataclass(frozen=True, kw_only=True)
class LinkCreated(Terms):
    """A code was given out."""

    schema: ClassVar[int] = 2

    domain: str
    code: str
    owner: str
    created_at: int


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
class LinkStartChanged:
    """The link begins to redirect at another time, or does at once (None)."""

    not_before: int | None = None


@dataclass(frozen=True)
class LinkFallbackChanged:
    """The link leads elsewhere, or nowhere (None), once it is over."""

    fallback_url: str | None = None


@dataclass(frozen=True)
class LinkCapChanged:
    """The link redirects so many people at most, or any number (None)."""

    max_clicks: int | None = None


@dataclass(frozen=True)
class LinkPasswordChanged:
    """The link asks for another password, by its hash, or for none (None)."""

    password: str | None = None


@dataclass(frozen=True)
class LinkRulesChanged:
    """The link leads elsewhere for some visitors, or to one place for all (None)."""

    rules: tuple[Rule, ...] | None = None


@dataclass(frozen=True)
class LinkTagged:
    """The link has these tags now, or none (None)."""

    tags: tuple[str, ...] | None = None


@dataclass(frozen=True)
class LinkTitled:
    """The link has another title, or none (None)."""

    title: str | None = None


@dataclass(frozen=True)
class LinkCountingChanged:
    """The link's clicks are told of, or no longer."""

    counted: bool


@dataclass(frozen=True)
class LinkDisabled:
    """The owner switched the link off."""


@dataclass(frozen=True)
class LinkEnabled:
    """The owner switched the link on again."""


@dataclass(frozen=True)
class LinkTransferred:
    """The link has another owner."""

    owner: str


@dataclass(frozen=True)
class LinkQuarantined:
    """A moderator has the link looked at: visitors are warned and not redirected."""

    reason: str


@dataclass(frozen=True)
class LinkBanned:
    """The link leads nowhere any more. `ban` is the stream of the ban that it falls under, None
    where the link itself was banned."""

    reason: str
    ban: str | None = None


@dataclass(frozen=True)
class LinkCleared:
    """Neither banned nor quarantined any more."""


@dataclass(frozen=True)
class LinkExpired:
    """The link's time is over, as of `expires_at`."""

    expires_at: int


@dataclass(frozen=True)
class LinkDeleted:
    """The owner deleted the link."""

    schema: ClassVar[int] = 2

    deleted_at: int | None = None


@dataclass(frozen=True)
class LinkPurged:
    """The grace period is over: nothing is kept of the link but that its code was given out."""

    purged_at: int


Event = (
    LinkCreated
    | LinkRetargeted
    | LinkExpiryChanged
    | LinkRedirectStatusChanged
    | LinkStartChanged
    | LinkFallbackChanged
    | LinkCapChanged
    | LinkPasswordChanged
    | LinkRulesChanged
    | LinkTagged
    | LinkTitled
    | LinkCountingChanged
    | LinkDisabled
    | LinkEnabled
    | LinkTransferred
    | LinkQuarantined
    | LinkBanned
    | LinkCleared
    | LinkExpired
    | LinkDeleted
    | LinkPurged
)


def _created_before_policies(data: Data) -> tuple[str, Data]:
    return "LinkCreated", data


def _deleted_before_purges(data: Data) -> tuple[str, Data]:
    return "LinkDeleted", data


CODEC = EventCodec(
    *Event.__args__,
    upcasters={
        ("LinkCreated", 1): _created_before_policies,
        ("LinkDeleted", 1): _deleted_before_purges,
    },
)
