"""What became of a create that was accepted while the store was down: one stream each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from functions.kernel.codec import EventCodec
from functions.kernel.decider import Decider


@dataclass(frozen=True)
class LinkIssued:
    """The link stands."""

    owner: str
    domain: str
    code: str


@dataclass(frozen=True)
class LinkRefused:
    """There is no link; `kind` and `detail` are those of the problem that a prompt answer would
    have been, `field` and `reason` what it names."""

    owner: str
    status: int
    kind: str
    detail: str
    field: str | None = None
    reason: str | None = None


Event = LinkIssued | LinkRefused


@dataclass(frozen=True)
class Conclude:
    """Keep what became of it."""

    event: Event


@dataclass(frozen=True)
class Outcome:
    """The state: what became of it."""

    owner: str
    domain: str | None = None
    code: str | None = None
    status: int | None = None
    kind: str | None = None
    detail: str | None = None
    field: str | None = None
    reason: str | None = None


def stream_id(tenant: str, command: str) -> str:
    """The stream of an accepted command."""
    return f"command#{tenant}#{command}"


def decide(command: Conclude, outcome: Outcome | None) -> list[Event]:
    """The outcome, once."""
    return [command.event]


def evolve(outcome: Outcome | None, event: Event) -> Outcome:
    """The state after it."""
    match event:
        case LinkIssued() | LinkRefused():
            return Outcome(**vars(event))
        case _:
            assert_never(event)


OUTCOMES: Decider[Conclude, Outcome | None, Event] = Decider(
    state=Outcome,
    initial=None,
    decide=decide,
    evolve=evolve,
    events=EventCodec(LinkIssued, LinkRefused),
    snapshot_every=1,
)
