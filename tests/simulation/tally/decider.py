"""What may happen to a tally, and its view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from functions.kernel.codec import EventCodec
from functions.kernel.decider import Decider
from functions.kernel.store import Stream
from functions.kernel.views import Row, View

SNAPSHOT_EVERY = 4


@dataclass(frozen=True)
class Open:
    """Begin a tally."""

    owner: str


@dataclass(frozen=True)
class Add:
    """Count something."""

    amounts: tuple[int, ...]


@dataclass(frozen=True)
class TallyOpened:
    owner: str


@dataclass(frozen=True)
class Added:
    amount: int


@dataclass(frozen=True)
class Tally:
    """A tally's state; `added` shows whether any event was left out or counted twice."""

    owner: str = ""
    total: int = 0
    added: int = 0


def decide(command: Open | Add, tally: Tally) -> Sequence[TallyOpened | Added]:
    """The events that a command leads to."""
    if isinstance(command, Open):
        return [TallyOpened(command.owner)]
    return [Added(amount) for amount in command.amounts]


def evolve(tally: Tally, event: TallyOpened | Added) -> Tally:
    """The state after one event."""
    if isinstance(event, TallyOpened):
        return replace(tally, owner=event.owner)
    return replace(tally, total=tally.total + event.amount, added=tally.added + 1)


def stream_id(name: str) -> str:
    """The stream of a tally."""
    return f"tally#default#{name}"


def _render(stream: Stream[Tally]) -> Row:
    return Row({"version": stream.version, "total": stream.state.total}, "all", stream.id)


DECIDER: Decider[Open | Add, Tally, TallyOpened | Added] = Decider(
    state=Tally,
    initial=Tally(),
    decide=decide,
    evolve=evolve,
    events=EventCodec(TallyOpened, Added),
    snapshot_every=SNAPSHOT_EVERY,
)
TALLIES: View[Tally] = View("tallies", _render)
