"""What may happen to a ban over an owner, or over a host and all below it. Pure.

The links that fall under a ban are another matter: see enforcement.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal, assert_never

from functions.kernel.codec import EventCodec
from functions.kernel.decider import Decider

KIND = "ban"
BanKind = Literal["owner", "host"]
OWNER: Final = "owner"
HOST: Final = "host"


@dataclass(frozen=True)
class BanImposed:
    """From now on no link of this owner, or to this host, leads anywhere."""

    kind: BanKind
    value: str
    reason: str
    imposed_at: int


@dataclass(frozen=True)
class BanLifted:
    """The ban is over."""


@dataclass(frozen=True)
class ImposeBan:
    """Ban an owner or a host, in the form that links keep it in."""

    kind: BanKind
    value: str
    reason: str
    now: int


@dataclass(frozen=True)
class LiftBan:
    """End a ban."""


@dataclass(frozen=True)
class Ban:
    """A ban's state."""

    kind: BanKind
    value: str
    reason: str
    imposed_at: int
    lifted: bool = False


Event = BanImposed | BanLifted
Command = ImposeBan | LiftBan


def stream_id(kind: str, value: str) -> str:
    """The stream of a ban."""
    return f"{KIND}#{kind}#{value}"


def over_owner(owner: str) -> str:
    """The stream of the ban that an owner may be under."""
    return stream_id(OWNER, owner)


def over_host(host: str) -> Iterator[str]:
    """The streams of the bans that a host may be under: its own and those of all above it."""
    while host:
        yield stream_id(HOST, host)
        host = host.partition(".")[2]


def decide(command: Command, ban: Ban | None) -> list[Event]:
    """The events that a command leads to; none where it is so already."""
    match command:
        case ImposeBan(kind, value, reason, now):
            if ban is not None and not ban.lifted and ban.reason == reason:
                return []
            return [BanImposed(kind, value, reason, now)]
        case LiftBan():
            return [] if ban is None or ban.lifted else [BanLifted()]
        case _:
            assert_never(command)


def evolve(ban: Ban | None, event: Event) -> Ban | None:
    """The state after one event."""
    if isinstance(event, BanImposed):
        return Ban(**vars(event))
    assert ban is not None, "a ban's first event is BanImposed"
    return replace(ban, lifted=True)


DECIDER: Decider[Command, Ban | None, Event] = Decider(
    state=Ban,
    initial=None,
    decide=decide,
    evolve=evolve,
    events=EventCodec(BanImposed, BanLifted),
    snapshot_every=1,
)
