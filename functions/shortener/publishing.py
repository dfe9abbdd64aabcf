"""What a link's commits tell the other capabilities: contracts/shortener. Pure.

Few types, since the data always says all: what a consumer keeps is the newest of each link, and the
type is for who acts on a change. An expiry is a change, for its owner may put it off; a purge is a
deletion, the second one of a link that was deleted before, and tells consumers to forget it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from functions.kernel.envelope import Public
from functions.shortener.decider import Link
from functions.shortener.events import (
    Event,
    LinkCreated,
    LinkDeleted,
    LinkPurged,
    LinkTransferred,
)

CREATED, CHANGED = "LinkCreated", "LinkChanged"
TRANSFERRED, DELETED = "LinkTransferred", "LinkDeleted"
TYPES = (CREATED, CHANGED, TRANSFERRED, DELETED)

State = Literal["active", "disabled", "expired", "deleted", "purged"]


def public(events: Sequence[Event], link: Link | None) -> Public | None:
    """What one commit tells: its type, and the link as anybody may know it afterwards."""
    assert link is not None, "a commit on a link leaves a link"
    return Public(_type(events), _shown(link))


def _type(events: Sequence[Event]) -> str:
    kinds = {type(event) for event in events}
    if LinkCreated in kinds:
        return CREATED
    if kinds & {LinkDeleted, LinkPurged}:
        return DELETED
    return TRANSFERRED if LinkTransferred in kinds else CHANGED


def _shown(link: Link) -> dict[str, object]:
    """Never the hash of a password, and no rules or reasons, which are the owner's and the
    moderator's. Of a purged link only its code is left. What is None is left out."""
    shown = {
        "domain": link.domain,
        "code": link.code,
        "owner": link.owner or None,
        "state": _state(link),
        "standing": link.standing,
        "long_url": link.long_url or None,
        "redirect_status": link.redirect_status,
        "created_at": link.created_at,
        "not_before": link.not_before,
        "expires_at": link.expires_at,
        "fallback_url": link.fallback_url,
        "max_clicks": link.max_clicks,
        "protected": link.password is not None,
        "title": link.title,
        "tags": link.tags,
        "counted": link.counted,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _state(link: Link) -> State:
    """What was done to it last. An expiry is told once it is a fact, within some minutes; a link
    whose time begins or ends has `not_before`, `expires_at`."""
    if link.purged_at is not None:
        return "purged"
    if link.deleted:
        return "deleted"
    if link.expires_at is not None and link.expired_at == link.expires_at:
        return "expired"
    return "disabled" if link.disabled else "active"
