"""The smallest decider that shows what the kernel does: values put onto a pile, one event each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from functions.kernel.backoff import Backoff
from functions.kernel.codec import EventCodec
from functions.kernel.commands import Commands, Context
from functions.kernel.decider import Decider
from functions.kernel.errors import Rejected
from functions.kernel.memory import MemoryStore
from functions.kernel.ring import Signature
from functions.kernel.store import Commit

OWNER = "alice"
STREAM = "pile#default#1"


@dataclass(frozen=True)
class Put:
    values: tuple[int, ...]
    until: int | None = None
    now: int = 0


@dataclass(frozen=True)
class Added:
    value: int


@dataclass(frozen=True)
class Pile:
    values: tuple[int, ...] = ()


def decide(command: Put, pile: Pile) -> list[Added]:
    if any(value < 0 for value in command.values):
        raise Rejected("is negative", "values")
    if command.until is not None and command.until <= command.now:
        raise Rejected("lies in the past", "until")
    return [Added(value) for value in command.values]


def evolve(pile: Pile, event: Added) -> Pile:
    return Pile((*pile.values, event.value))


PILE: Decider[Put, Pile, Added] = Decider(
    state=Pile,
    initial=Pile(),
    decide=decide,
    evolve=evolve,
    events=EventCodec(Added),
    visible=lambda pile, actor: actor == OWNER,
)


def every(commits: int) -> Decider[Put, Pile, Added]:
    return replace(PILE, snapshot_every=commits)


@dataclass
class Watched(MemoryStore):
    """A store that counts what is read, and lets rivals append just before we do."""

    fetched: int = 0
    appends: int = 0
    rivals: list[Commit] = field(default_factory=list)

    def backward(self, *args: Any, **options: Any) -> Iterator[Commit]:
        for commit in super().backward(*args, **options):
            self.fetched += 1
            yield commit

    def append(self, commit: Commit) -> Commit | None:
        self.appends += 1
        if self.rivals:
            super().append(
                replace(self.rivals.pop(), before=commit.before, after=commit.before + 1)
            )
        return super().append(commit)


@dataclass
class Waits:
    """A backoff that records how long it would have slept; its chance is always the worst."""

    slept: list[float] = field(default_factory=list)

    def backoff(self, attempts: int = 5) -> Backoff:
        return Backoff(attempts=attempts, sleep=self.slept.append, jitter=lambda: 1.0)


def put(*values: int) -> Put:
    return Put(values)


_serial = iter(range(10**9))


def by(
    actor: str = OWNER, *, now: int = 1000, key: str | None = None, payload: str = "", **more: Any
) -> Context:
    """The surroundings of one request."""
    signature = None if key is None else Signature.of(actor=actor, key=key, payload=payload)
    return Context(
        actor, now, f"commit-{next(_serial)}", "correlation", signature=signature, **more
    )


def commands(
    store: MemoryStore, decider: Decider[Any, Any, Any] = PILE, waits: Waits | None = None
) -> Commands[Pile]:
    return Commands(store, decider, (waits or Waits()).backoff())
