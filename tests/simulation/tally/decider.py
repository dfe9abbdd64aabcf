"""What may happen to a tally, what time does to it, and its view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from functions.kernel.codec import EventCodec
from functions.kernel.decider import Decider
from functions.kernel.envelope import Public
from functions.kernel.errors import Gone
from functions.kernel.store import Stream
from functions.kernel.views import Row, View

SNAPSHOT_EVERY = 4
IDLE_MS = 30_000
"""How long after its last count a tally closes."""
GRACE_MS = 300_000
"""How long after that it is purged."""
LONGEST_RUN_MS = 960_000
"""The time-outs of the functions that write tallies, and twice as far as clocks may be off."""
TOMBSTONE_MS = 3 * 3600_000
"""How long after that its name is free: records of it live under an hour, late copies for two."""


@dataclass(frozen=True)
class Open:
    """Begin a tally."""

    owner: str
    now: int


@dataclass(frozen=True)
class Add:
    """Count something."""

    amounts: tuple[int, ...]
    now: int


@dataclass(frozen=True)
class PassTime:
    """Do what has fallen due by `now`."""

    now: int


@dataclass(frozen=True)
class TallyOpened:
    owner: str
    opened_at: int


@dataclass(frozen=True)
class Added:
    amount: int
    counted_at: int


@dataclass(frozen=True)
class TallyClosed:
    closed_at: int


@dataclass(frozen=True)
class TallyPurged:
    purged_at: int


Command = Open | Add | PassTime
Event = TallyOpened | Added | TallyClosed | TallyPurged


@dataclass(frozen=True)
class Tally:
    """A tally's state; `added` shows whether any event was left out or counted twice."""

    owner: str = ""
    total: int = 0
    added: int = 0
    counted_at: int = 0
    closed_at: int | None = None
    purged_at: int | None = None

    @property
    def due(self) -> int:
        """When time does something to it next (epoch ms)."""
        if self.purged_at is not None:
            return self.purged_at + TOMBSTONE_MS
        if self.closed_at is not None:
            return self.closed_at + GRACE_MS
        return self.counted_at + IDLE_MS


def decide(command: Command, tally: Tally) -> Sequence[Event]:
    """The events that a command leads to. Raises Gone for a tally that is closed."""
    if isinstance(command, Open):
        return [TallyOpened(command.owner, command.now)]
    if isinstance(command, PassTime):
        return _pass_time(command.now, tally)
    if tally.closed_at is not None:
        raise Gone
    return [Added(amount, command.now) for amount in command.amounts]


def _pass_time(now: int, tally: Tally) -> list[Event]:
    """Every event that is due, in its order."""
    events: list[Event] = []
    while tally.due <= now and tally.purged_at is None:
        event = TallyClosed(tally.due) if tally.closed_at is None else TallyPurged(now)
        events.append(event)
        tally = evolve(tally, event)
    return events


def evolve(tally: Tally, event: Event) -> Tally:
    """The state after one event."""
    match event:
        case TallyOpened(owner, opened_at):
            return replace(tally, owner=owner, counted_at=opened_at)
        case Added(amount, counted_at):
            latest = max(tally.counted_at, counted_at)
            total, added = tally.total + amount, tally.added + 1
            return replace(tally, total=total, added=added, counted_at=latest)
        case TallyClosed(closed_at):
            return replace(tally, closed_at=closed_at)
        case TallyPurged(purged_at):
            return Tally(closed_at=tally.closed_at, purged_at=purged_at)


def stream_id(name: str) -> str:
    """The stream of a tally."""
    return f"tally#default#{name}"


def _render(stream: Stream[Tally]) -> Row:
    tally = stream.state
    data = {"version": stream.version, "total": tally.total}
    listed = "all" if tally.purged_at is None else None
    return Row(data, listed, stream.id, due=tally.due)


def public(events: Sequence[Event], tally: Tally) -> Public | None:
    """What one commit tells: a single count tells nothing."""
    if len(events) == 1 and isinstance(events[0], Added):
        return None
    state = {"owner": tally.owner, "total": tally.total, "closed": tally.closed_at is not None}
    return Public(type(events[-1]).__name__, state)


DECIDER: Decider[Command, Tally, Event] = Decider(
    state=Tally,
    initial=Tally(),
    decide=decide,
    evolve=evolve,
    events=EventCodec(TallyOpened, Added, TallyClosed, TallyPurged),
    snapshot_every=SNAPSHOT_EVERY,
    buried=lambda tally: tally.purged_at is not None,
)
TALLIES: View[Tally] = View("tallies", _render)
