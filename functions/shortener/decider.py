"""What may happen to a short link."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, Literal, assert_never

from functions.kernel.decider import Decider
from functions.kernel.errors import Gone, Rejected
from functions.shortener.events import (
    CODEC,
    Event,
    LinkCreated,
    LinkDeleted,
    LinkDisabled,
    LinkEnabled,
    LinkExpiryChanged,
    LinkRedirectStatusChanged,
    LinkRetargeted,
)

DEFAULT_DOMAIN = "default"
DEFAULT_REDIRECT_STATUS: Final = 302
MAX_LIFETIME_MS = 5 * 365 * 24 * 3600 * 1000
"""How far ahead a link may be set to expire: the five years that the sizing assumes."""


class Keep(Enum):
    """Stands for "leave it as it is" where None has a meaning of its own."""

    KEEP = "keep"


KEEP = Keep.KEEP


@dataclass(frozen=True)
class CreateLink:
    """Give out a code. Times are epoch milliseconds."""

    domain: str
    code: str
    owner: str
    long_url: str
    redirect_status: int
    expires_at: int | None
    now: int


@dataclass(frozen=True)
class EditLink:
    """Change what is not KEEP."""

    now: int
    long_url: str | Literal[Keep.KEEP] = KEEP
    expires_at: int | Literal[Keep.KEEP] | None = KEEP
    redirect_status: int | Literal[Keep.KEEP] = KEEP
    disabled: bool | Literal[Keep.KEEP] = KEEP


@dataclass(frozen=True)
class DeleteLink:
    """Take the link down for good."""


Command = CreateLink | EditLink | DeleteLink


@dataclass(frozen=True)
class Link:
    """A short link's state."""

    domain: str
    code: str
    owner: str
    long_url: str
    redirect_status: int
    created_at: int
    expires_at: int | None = None
    disabled: bool = False
    deleted: bool = False

    def live(self, now: int) -> bool:
        """Whether it redirects at `now`: not deleted, not disabled, not expired."""
        expired = self.expires_at is not None and now >= self.expires_at
        return not (self.deleted or self.disabled or expired)


def stream_id(domain: str, code: str) -> str:
    """The stream of a link."""
    return f"link#{domain}#{code}"


def decide(command: Command, link: Link | None) -> list[Event]:
    """The events that a command leads to. Raises Rejected, or Gone for a deleted link."""
    if isinstance(command, CreateLink):
        return _create(command)
    if link is None or link.deleted:
        raise Gone
    match command:
        case EditLink():
            return _edit(command, link)
        case DeleteLink():
            return [LinkDeleted()]
        case _:
            assert_never(command)


def _create(command: CreateLink) -> list[Event]:
    _check_expiry(command.expires_at, command.now)
    created = LinkCreated(
        domain=command.domain,
        code=command.code,
        owner=command.owner,
        long_url=command.long_url,
        redirect_status=command.redirect_status,
        created_at=command.now,
        expires_at=command.expires_at,
    )
    return [created]


def _edit(command: EditLink, link: Link) -> list[Event]:
    events: list[Event] = []
    if command.long_url is not KEEP and command.long_url != link.long_url:
        events.append(LinkRetargeted(command.long_url))
    if command.expires_at is not KEEP and command.expires_at != link.expires_at:
        _check_expiry(command.expires_at, command.now)
        events.append(LinkExpiryChanged(command.expires_at))
    if command.redirect_status is not KEEP and command.redirect_status != link.redirect_status:
        events.append(LinkRedirectStatusChanged(command.redirect_status))
    if command.disabled is not KEEP and command.disabled != link.disabled:
        events.append(LinkDisabled() if command.disabled else LinkEnabled())
    return events


def _check_expiry(expires_at: int | None, now: int) -> None:
    if expires_at is None:
        return
    if expires_at <= now:
        raise Rejected("lies in the past", "expires_at")
    if expires_at > now + MAX_LIFETIME_MS:
        raise Rejected("is over 5 years ahead; use null for a link that stays", "expires_at")


def evolve(link: Link | None, event: Event) -> Link | None:
    """The state after one event."""
    if isinstance(event, LinkCreated):
        return Link(**vars(event))
    assert link is not None, "a link's first event is LinkCreated"
    match event:
        case LinkRetargeted(long_url):
            return replace(link, long_url=long_url)
        case LinkExpiryChanged(expires_at):
            return replace(link, expires_at=expires_at)
        case LinkRedirectStatusChanged(redirect_status):
            return replace(link, redirect_status=redirect_status)
        case LinkDisabled():
            return replace(link, disabled=True)
        case LinkEnabled():
            return replace(link, disabled=False)
        case LinkDeleted():
            return replace(link, deleted=True)
        case _:
            assert_never(event)


def visible(link: Link | None, actor: str) -> bool:
    """A link's state and history are its owner's alone; that it redirects is public."""
    return link is not None and link.owner == actor


DECIDER: Decider[Command, Link | None, Event] = Decider(
    state=Link,
    initial=None,
    decide=decide,
    evolve=evolve,
    events=CODEC,
    snapshot_every=1,
    visible=visible,
)
