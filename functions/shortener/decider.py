"""What may happen to a short link."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, assert_never

from functions.kernel.codec import Data
from functions.kernel.decider import Decider
from functions.kernel.errors import Gone, Rejected
from functions.shortener.events import (
    CODEC,
    Event,
    LinkBanned,
    LinkCapChanged,
    LinkCleared,
    LinkCountingChanged,
    LinkCreated,
    LinkDeleted,
    LinkDisabled,
    LinkEnabled,
    LinkExpired,
    LinkExpiryChanged,
    LinkFallbackChanged,
    LinkPasswordChanged,
    LinkPurged,
    LinkQuarantined,
    LinkRedirectStatusChanged,
    LinkRetargeted,
    LinkRulesChanged,
    LinkStartChanged,
    LinkTagged,
    LinkTitled,
    LinkTransferred,
    Terms,
)

DEFAULT_DOMAIN = "default"
DEFAULT_REDIRECT_STATUS: Final = 302
DAY_MS = 24 * 3600 * 1000
MAX_LIFETIME_MS = 5 * 365 * DAY_MS
"""How far ahead a link may be set to expire: the five years that the sizing assumes."""
GRACE_MS = 30 * DAY_MS
"""How long after its expiry or deletion all is kept of a link, so that it can be mended."""
TOMBSTONE_MS = 365 * DAY_MS
"""How long after that its code stays taken, so that no old poster leads to a new page."""

Standing = Literal["clear", "quarantined", "banned"]
CLEAR: Final = "clear"
QUARANTINED: Final = "quarantined"
BANNED: Final = "banned"


@dataclass(frozen=True)
class CreateLink:
    """Give out a code. Times are epoch milliseconds."""

    domain: str
    code: str
    owner: str
    terms: Terms
    now: int


@dataclass(frozen=True)
class EditLink:
    """Set what `changes` names: fields of Terms, and `disabled`. `lost`: the link's domain is
    somebody else's by now."""

    now: int
    changes: Mapping[str, Any] = field(default_factory=dict)
    lost: bool = False


@dataclass(frozen=True)
class TransferLink:
    """Give the link to another owner. `refusal`: why they may not have it."""

    owner: str
    refusal: str | None = None


@dataclass(frozen=True)
class DeleteLink:
    """Take the link down for good."""

    now: int


@dataclass(frozen=True)
class Moderate:
    """Give the link another standing, for a reason."""

    standing: Standing
    reason: str = ""


@dataclass(frozen=True)
class Enforce:
    """Hold the link to the ban that it falls under now, or to none."""

    ban: str | None
    reason: str = ""


@dataclass(frozen=True)
class PassTime:
    """Do what has fallen due by `now`: tell that the link expired, purge it."""

    now: int


Command = CreateLink | EditLink | TransferLink | DeleteLink | Moderate | Enforce | PassTime


@dataclass(frozen=True, kw_only=True)
class Link(Terms):
    """A short link's state. `expired_at` is the expiry that was told of, `ban` the stream of the
    ban that its standing follows from, `quarantine` the reason of the one that lies beneath it."""

    domain: str
    code: str
    owner: str
    created_at: int
    disabled: bool = False
    standing: Standing = CLEAR
    reason: str | None = None
    ban: str | None = None
    quarantine: str | None = None
    expired_at: int | None = None
    deleted: bool = False
    deleted_at: int | None = None
    purged_at: int | None = None

    def over(self, now: int) -> bool:
        """Whether its time is over at `now`."""
        return self.expires_at is not None and now >= self.expires_at

    def live(self, now: int) -> bool:
        """Whether it redirects anybody at `now`."""
        begun = self.not_before is None or now >= self.not_before
        off = self.deleted or self.disabled or self.standing != CLEAR
        return begun and not off and not self.over(now)

    @property
    def due(self) -> int | None:
        """When time does something to it next (epoch ms): it expires, is purged, or its code
        becomes free. A link that was deleted before deletions had a time is kept."""
        if self.purged_at is not None:
            return self.purged_at + TOMBSTONE_MS
        if self.deleted:
            return None if self.deleted_at is None else self.deleted_at + GRACE_MS
        if self.expires_at is None or self.expired_at != self.expires_at:
            return self.expires_at
        return self.expires_at + GRACE_MS


def stream_id(domain: str, code: str) -> str:
    """The stream of a link."""
    return f"link#{domain}#{code}"


CHANGES: Mapping[str, Callable[[Any], Event]] = {
    "long_url": LinkRetargeted,
    "redirect_status": LinkRedirectStatusChanged,
    "expires_at": LinkExpiryChanged,
    "not_before": LinkStartChanged,
    "fallback_url": LinkFallbackChanged,
    "max_clicks": LinkCapChanged,
    "password": LinkPasswordChanged,
    "rules": LinkRulesChanged,
    "tags": LinkTagged,
    "title": LinkTitled,
    "counted": LinkCountingChanged,
}
"""What setting a field is told as; the event's only field has the same name."""


def decide(command: Command, link: Link | None) -> list[Event]:
    """The events that a command leads to. Raises Rejected, or Gone for a deleted link."""
    if isinstance(command, CreateLink):
        return _create(command)
    if link is None:
        raise Gone
    if isinstance(command, PassTime):
        return _pass_time(command.now, link)
    if link.deleted:
        raise Gone
    match command:
        case EditLink():
            return _edit(command, link)
        case TransferLink():
            return _transfer(command, link)
        case DeleteLink(now):
            return [LinkDeleted(now)]
        case Moderate():
            return _moderate(command, link)
        case Enforce():
            return _enforce(command, link)
        case _:
            assert_never(command)


def _create(command: CreateLink) -> list[Event]:
    created = LinkCreated(
        domain=command.domain,
        code=command.code,
        owner=command.owner,
        created_at=command.now,
        **vars(command.terms),
    )
    _check_expiry(created.expires_at, command.now)
    _check_together(created)
    return [created]


def _edit(command: EditLink, link: Link) -> list[Event]:
    if command.lost:
        raise Rejected("is another owner's", "domain")
    changes = {n: new for n, new in command.changes.items() if new != getattr(link, n)}
    if "expires_at" in changes:
        _check_expiry(changes["expires_at"], command.now)
    _check_together(replace(link, **changes))
    events: list[Event] = [CHANGES[name](new) for name, new in changes.items() if name in CHANGES]
    if "disabled" in changes:
        events.append(LinkDisabled() if changes["disabled"] else LinkEnabled())
    return events


def _transfer(command: TransferLink, link: Link) -> list[Event]:
    if command.owner == link.owner:
        return []
    if command.refusal is not None:
        raise Rejected(command.refusal, "owner")
    return [LinkTransferred(command.owner)]


def _check_expiry(expires_at: int | None, now: int) -> None:
    if expires_at is None:
        return
    if expires_at <= now:
        raise Rejected("lies in the past", "expires_at")
    if expires_at > now + MAX_LIFETIME_MS:
        raise Rejected("is over 5 years ahead; use null for a link that stays", "expires_at")


def _check_together(terms: Terms) -> None:
    if None not in (terms.not_before, terms.expires_at) and terms.not_before >= terms.expires_at:  # type: ignore[operator]
        raise Rejected("is not before expires_at", "not_before")
    if not terms.counted and (terms.max_clicks or terms.password or terms.rules):
        raise Rejected("must be true with max_clicks, password or rules", "counted")


def _moderate(command: Moderate, link: Link) -> list[Event]:
    match command.standing:
        case "clear":
            if command.reason:
                raise Rejected("is kept nowhere of a link that is clear", "reason")
            return _unless_so(link, LinkCleared())
        case "quarantined":
            return _unless_so(link, LinkQuarantined(command.reason))
        case "banned":
            return _unless_so(link, LinkBanned(command.reason))
        case _:
            assert_never(command.standing)


def _enforce(command: Enforce, link: Link) -> list[Event]:
    if link.ban is None and (command.ban is None or link.standing == BANNED):
        return []
    if command.ban is not None:
        return _unless_so(link, LinkBanned(command.reason, command.ban))
    return [LinkCleared() if link.quarantine is None else LinkQuarantined(link.quarantine)]


def _unless_so(link: Link, event: Event) -> list[Event]:
    return [] if _evolved(link, event) == link else [event]


def _pass_time(now: int, link: Link) -> list[Event]:
    """Every event that is due, in its order."""
    events: list[Event] = []
    while link.due is not None and link.due <= now and link.purged_at is None:
        ended = link.deleted or link.expired_at == link.expires_at
        event = LinkPurged(now) if ended else LinkExpired(link.due)
        events.append(event)
        link = _evolved(link, event)
    return events


def evolve(link: Link | None, event: Event) -> Link | None:
    """The state after one event."""
    if isinstance(event, LinkCreated):
        return Link(**vars(event))
    assert link is not None, "a link's first event is LinkCreated"
    return _evolved(link, event)


def _evolved(link: Link, event: Event) -> Link:
    match event:
        case LinkDisabled():
            return replace(link, disabled=True)
        case LinkEnabled():
            return replace(link, disabled=False)
        case LinkQuarantined(reason):
            return _judged(link, QUARANTINED, reason)
        case LinkBanned(reason, None):
            return _judged(link, BANNED, reason)
        case LinkBanned(reason, ban):
            beneath = link.reason if link.standing == QUARANTINED else link.quarantine
            return replace(link, standing=BANNED, reason=reason, ban=ban, quarantine=beneath)
        case LinkCleared():
            return _judged(link, CLEAR, None)
        case LinkExpired(expires_at):
            return replace(link, expired_at=expires_at)
        case LinkDeleted(deleted_at):
            return replace(link, deleted=True, deleted_at=deleted_at)
        case LinkPurged(purged_at):
            return _tombstone(link, purged_at)
        case _:
            # What is left sets the one field that it is named after.
            return replace(link, **vars(event))


def _judged(link: Link, standing: Standing, reason: str | None) -> Link:
    return replace(link, standing=standing, reason=reason, ban=None, quarantine=None)


def _tombstone(link: Link, purged_at: int) -> Link:
    return Link(
        domain=link.domain,
        code=link.code,
        owner="",
        long_url="",
        redirect_status=DEFAULT_REDIRECT_STATUS,
        created_at=link.created_at,
        deleted=True,
        purged_at=purged_at,
    )


def visible(link: Link | None, actor: str) -> bool:
    """A link's state and history are its owner's alone; that it redirects is public."""
    return link is not None and link.owner == actor


def _upgrade(state: Data, schema: int) -> Data:
    """What an older state lacks may be absent. One of schema 2 does not know of a quarantine
    beneath its ban: the link is clear when that ends."""
    return state


DECIDER: Decider[Command, Link | None, Event] = Decider(
    state=Link,
    initial=None,
    decide=decide,
    evolve=evolve,
    events=CODEC,
    snapshot_every=1,
    state_schema=3,
    upgrade=_upgrade,
    visible=visible,
    buried=lambda link: link is not None and link.purged_at is not None,
)
