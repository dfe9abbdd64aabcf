"""Whose a custom domain is. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from functions.kernel.codec import EventCodec
from functions.kernel.decider import Decider
from functions.kernel.errors import Rejected

KIND = "domain"


@dataclass(frozen=True)
class DomainClaimed:
    """The domain is this owner's: nobody else makes links on it."""

    host: str
    owner: str
    claimed_at: int


@dataclass(frozen=True)
class DomainReleased:
    """Nobody makes links on the domain any more; those that are there stay."""


@dataclass(frozen=True)
class ClaimDomain:
    """Give a domain that is nobody's to an owner."""

    host: str
    owner: str
    now: int


@dataclass(frozen=True)
class ReleaseDomain:
    """Take the domain from whoever has it."""


@dataclass(frozen=True)
class Domain:
    """A domain's state."""

    host: str
    owner: str
    claimed_at: int
    released: bool = False


Event = DomainClaimed | DomainReleased
Command = ClaimDomain | ReleaseDomain


class Taken(Rejected):
    """The domain is another owner's."""


def stream_id(host: str) -> str:
    """The stream of a domain."""
    return f"{KIND}#{host}"


def decide(command: Command, domain: Domain | None) -> list[Event]:
    """The events that a command leads to; none where it is so already. Raises Taken."""
    held = domain if domain is not None and not domain.released else None
    match command:
        case ClaimDomain(host, owner, now):
            if held is None:
                return [DomainClaimed(host, owner, now)]
            if held.owner != owner:
                raise Taken("is another owner's", "host")
            return []
        case ReleaseDomain():
            return [] if held is None else [DomainReleased()]
        case _:
            assert_never(command)


def evolve(domain: Domain | None, event: Event) -> Domain | None:
    """The state after one event."""
    if isinstance(event, DomainClaimed):
        return Domain(**vars(event))
    assert domain is not None, "a domain's first event is DomainClaimed"
    return replace(domain, released=True)


DECIDER: Decider[Command, Domain | None, Event] = Decider(
    state=Domain,
    initial=None,
    decide=decide,
    evolve=evolve,
    events=EventCodec(DomainClaimed, DomainReleased),
    snapshot_every=1,
)
