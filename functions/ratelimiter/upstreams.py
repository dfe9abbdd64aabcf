"""Upstreams: the services that the gateway forwards to, by the names that a tenant gives. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, assert_never

from functions.kernel.codec import EventCodec
from functions.kernel.decider import Decider
from functions.kernel.errors import Gone

KIND = "upstream"

Authentication = Literal["key", "none"]
Header = tuple[str, str]


@dataclass(frozen=True)
class UpstreamSet:
    """Requests of this name go to `url` and what follows, with these headers, at most so long."""

    name: str
    url: str
    timeout_ms: int
    authentication: Authentication
    headers: tuple[Header, ...]
    set_at: int


@dataclass(frozen=True)
class UpstreamRemoved:
    """Requests of this name go nowhere."""

    removed_at: int


Event = UpstreamSet | UpstreamRemoved
CODEC = EventCodec(*Event.__args__)


@dataclass(frozen=True)
class SetUpstream:
    """Have it be so; `now` is epoch ms."""

    name: str
    url: str
    timeout_ms: int
    authentication: Authentication
    headers: tuple[Header, ...]
    now: int


@dataclass(frozen=True)
class RemoveUpstream:
    """Take it away; its name may be set again."""

    now: int


Command = SetUpstream | RemoveUpstream


@dataclass(frozen=True)
class Upstream:
    """The state."""

    name: str
    url: str
    timeout_ms: int
    authentication: Authentication
    headers: tuple[Header, ...]
    created_at: int
    removed_at: int | None = None


def stream_id(tenant: str, name: str) -> str:
    """The stream of an upstream."""
    return f"{KIND}#{tenant}#{name}"


def decide(command: Command, upstream: Upstream | None) -> list[Event]:
    """The events that a command leads to; none where it is so already. Raises Gone."""
    match command:
        case SetUpstream():
            wanted = UpstreamSet(
                command.name,
                command.url,
                command.timeout_ms,
                command.authentication,
                command.headers,
                set_at=command.now,
            )
            return [] if upstream == _set(upstream, wanted) else [wanted]
        case RemoveUpstream(now):
            if upstream is None or upstream.removed_at is not None:
                raise Gone
            return [UpstreamRemoved(now)]
        case _:
            assert_never(command)


def evolve(upstream: Upstream | None, event: Event) -> Upstream:
    """The state after one event."""
    match event:
        case UpstreamSet():
            return _set(upstream, event)
        case UpstreamRemoved(removed_at):
            assert upstream is not None, "an upstream's first event is UpstreamSet"
            # What it was sent with may be secret, and is of no use any more.
            return replace(upstream, headers=(), removed_at=removed_at)
        case _:
            assert_never(event)


def _set(upstream: Upstream | None, event: UpstreamSet) -> Upstream:
    standing = upstream is not None and upstream.removed_at is None
    return Upstream(
        event.name,
        event.url,
        event.timeout_ms,
        event.authentication,
        event.headers,
        created_at=upstream.created_at if upstream and standing else event.set_at,
    )


UPSTREAMS: Decider[Command, Upstream | None, Event] = Decider(
    state=Upstream, initial=None, decide=decide, evolve=evolve, events=CODEC, snapshot_every=1
)
