"""Carrying out a command: load, decide, append; answer repeats; retry conflicts, boundedly."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from functions.kernel import ring
from functions.kernel.backoff import DEFAULT, Backoff
from functions.kernel.decider import Decider
from functions.kernel.errors import (
    AlreadyExists,
    Conflict,
    NotFound,
    Rejected,
    VersionMismatch,
)
from functions.kernel.ring import Signature
from functions.kernel.store import (
    DEFAULT_TENANT,
    Commit,
    EventStore,
    Metadata,
    Stream,
    load,
    replay,
    snapshot,
)

S = TypeVar("S")


@dataclass(frozen=True)
class Context:
    """What surrounds a command: `now` in epoch milliseconds, a fresh `commit_id` per request,
    the `signature` of a command that may be repeated. Who acts for the service itself is of no
    `tenant`: it sees every stream, and starts none."""

    actor: str
    now: int
    commit_id: str
    correlation: str
    tenant: str | None = DEFAULT_TENANT
    causation: str | None = None
    signature: Signature | None = None


@dataclass(frozen=True)
class Outcome(Generic[S]):
    """The state and version that the command led to, at recorded time `at`.

    `repeated`: it had been carried out before; nothing was appended now. `conflicts` counts the
    appends that other writers won first.
    """

    state: S
    version: int
    at: int
    repeated: bool = False
    conflicts: int = 0


class Commands(Generic[S]):
    """Carries out the commands of one decider on one store."""

    def __init__(
        self,
        store: EventStore,
        decider: Decider[Any, S, Any],
        backoff: Backoff = DEFAULT,
    ) -> None:
        self.store = store
        self.decider = decider
        self._backoff = backoff

    def create(self, stream: str, command: Any, context: Context) -> Outcome[S]:
        """Starts a stream without reading it first; the store's condition is the dedupe.

        Raises AlreadyExists if another command did, CommandReused if it was this command's id
        with another payload, and whatever the decider raises; the first before that, where the
        command may be a repeat, so that it is looked for wherever it may have led to.
        """
        try:
            outcome, standing = self._attempt(
                Stream(stream, self.decider.initial), command, context
            )
        except Rejected:
            # What was right the first time may be too late by now, and is a repeat all the same.
            first = self.store.forward(stream, limit=1)[0] if context.signature else []
            if not first:
                raise
            standing = first[0]
        if standing is None:
            return outcome
        if (done := self._first_answer(standing, context)) is None:
            raise AlreadyExists(standing)
        return done

    def execute(
        self,
        stream: str,
        command: Any,
        context: Context,
        expected: Collection[int] | None = None,
    ) -> Outcome[S]:
        """Changes a stream that exists: visibility, ring, expected versions, decide, append.

        Raises NotFound, CommandReused, VersionMismatch, Conflict, and what the decider raises.
        """
        for attempt in self._backoff.tries():
            current = self._load(stream, context)
            # Before visibility: who once carried it out may have given the resource away by it.
            if (done := self._repeat(current, context)) is not None:
                return done
            if context.tenant and not self.decider.visible(current.state, context.actor):
                raise NotFound(stream)
            if expected is not None and current.version not in expected:
                raise VersionMismatch(current.version)
            outcome, standing = self._attempt(current, command, context, conflicts=attempt)
            if standing is None:
                return outcome
        raise Conflict(f"{stream}: {self._backoff.attempts} attempts lost")

    def _first_answer(self, first: Commit, context: Context) -> Outcome[S] | None:
        if context.signature is None or ring.find(first.ring, context.signature) is None:
            return None
        then = replay(self.decider, [first])
        return Outcome(then.state, then.version, then.at, repeated=True)

    def _load(self, stream: str, context: Context) -> Stream[S]:
        current = load(self.store, self.decider, stream)
        if not current.version or context.tenant not in (None, current.tenant):
            raise NotFound(stream)
        return current

    def _repeat(self, current: Stream[S], context: Context) -> Outcome[S] | None:
        if context.signature is None:
            return None
        version = ring.find(current.ring, context.signature)
        if version is None:
            return None
        then = load(self.store, self.decider, current.id, version=version)
        if then.version != version:
            raise NotFound(f"{current.id} was purged of event {version}")
        return Outcome(then.state, then.version, then.at, repeated=True)

    def _attempt(
        self, current: Stream[S], command: Any, context: Context, conflicts: int = 0
    ) -> tuple[Outcome[S], Commit | None]:
        events = tuple(self.decider.decide(command, current.state))
        if not events:
            return Outcome(current.state, current.version, current.at, conflicts=conflicts), None
        commit, state = self._commit(current, events, context)
        outcome = Outcome(state, commit.after, commit.metadata.at, conflicts=conflicts)
        return outcome, self.store.append(commit)

    def _commit(
        self, current: Stream[S], events: tuple[Any, ...], context: Context
    ) -> tuple[Commit, S]:
        decider, after = self.decider, current.version + len(events)
        tenant = context.tenant or current.tenant
        state = decider.fold(current.state, events)
        full = current.tail + 1 >= decider.snapshot_every or decider.buried(state)
        due = current.version > 0 and full
        entries = ring.capacity(decider.snapshot_every)
        commit = Commit(
            stream=current.id,
            before=current.version,
            after=after,
            id=context.commit_id,
            events=decider.events.encode(events),
            metadata=Metadata(
                at=max(context.now, current.at),
                actor=context.actor,
                tenant=tenant if tenant != DEFAULT_TENANT else None,
                correlation=context.correlation,
                causation=context.causation,
            ),
            snapshot=snapshot(decider, state) if due else None,
            ring=ring.remember(current.ring, context.signature, after, entries),
        )
        commit.check_size()
        return commit, state
