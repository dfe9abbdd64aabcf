"""The publisher: tells the other capabilities what a commit made public.

It is a view whose row says up to where a stream was published. It publishes first and moves the row
then: dying in between it publishes again, and never leaves anything out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from functions.kernel.envelope import Envelope
from functions.kernel.errors import Unreadable
from functions.kernel.projector import Kind, Kinds, ProjectionFailed, kind_in
from functions.kernel.readers import late
from functions.kernel.store import DEFAULT_TENANT, Commit, EventStore, load, replay
from functions.kernel.views import Row, View, ViewTable

PAGE = 100
"""Commits of a gap that are read, published and noted at a time."""
SILENT = 16
"""So many commits in a row that tell nothing are noted as well: the next gap need not read them."""

PUBLISHED: View[Any] = View("published", lambda stream: Row())
"""Up to where each stream was published; a row without data."""

Publish = Callable[[Sequence[Envelope]], None]
"""Sends envelopes in their order. Raises if any of them was not accepted."""


class Publisher:
    """Publishes every public commit of one store's streams, at least once."""

    def __init__(self, store: EventStore, table: ViewTable, kinds: Kinds, publish: Publish) -> None:
        self._store = store
        self._table = table
        self._kinds = kinds
        self._publish = publish

    def renewed(self) -> Publisher:
        """See Reader."""
        return self

    def ring(self, stream: str) -> None:
        """Publishes what a stream has told since it was last published, and notes how far that is
        even if it is nothing. Raises ProjectionFailed, or what the load raises."""
        kind = kind_in(self._kinds, stream)
        if kind.public is not None:
            self._fill(kind, stream, self._reached(stream), silent=1)

    def take(self, commit: Commit) -> None:
        """The same, sparing reads where the commit itself tells all; it notes nothing of a commit
        that tells nothing."""
        kind = kind_in(self._kinds, commit.stream)
        if kind.public is None:
            return
        # Of a first commit nothing was published yet, or it is published again.
        reached = self._reached(commit.stream) if commit.before else 0
        if reached == commit.before and commit.stateful:
            self._tell(kind, [(commit, replay(kind.decider, [commit]).state)], SILENT)
        elif reached < commit.after:
            self._fill(kind, commit.stream, reached, SILENT)

    def behind(self, heads: Mapping[str, int], *, consistent: bool = False) -> set[str]:
        """See Reader."""
        views = {n: [PUBLISHED] if kind.public else [] for n, kind in self._kinds.items()}
        return late(self._table, heads, views, consistent=consistent)

    def again(self, stream: str) -> bool:
        """Publishes a stream's newest public commit once more, or all that was not published yet.
        Says whether there is any; the row never moves back."""
        kind = kind_in(self._kinds, stream)
        newest = self._newest(kind, stream)
        if newest is None:
            return False
        if self._reached(stream) < newest.version:
            self.ring(stream)
        else:
            self._publish([newest])
        return True

    def _newest(self, kind: Kind, stream: str) -> Envelope | None:
        if kind.public is None:
            return None
        for commit in self._store.backward(stream, limit=1):
            known = replay(kind.decider, [commit]) if commit.stateful else None
            then = known or load(self._store, kind.decider, stream, version=commit.after)
            if envelope := _envelope(kind, commit, then.state):
                return envelope
        return None

    def _reached(self, stream: str) -> int:
        row = self._table.row(PUBLISHED, stream, consistent=True)
        return row[0] if row else 0

    def _fill(self, kind: Kind, stream: str, reached: int, silent: int) -> None:
        """Publishes all commits beyond `reached`, oldest first, page by page."""
        state, more = None, True
        while more:
            commits, more = self._store.forward(stream, after=reached, limit=PAGE)
            if not commits:
                return
            if state is None and not commits[0].stateful:
                state = load(self._store, kind.decider, stream, version=reached).state
            told = list(_folded(kind, commits, state, reached))
            self._tell(kind, told, silent)
            reached, state = commits[-1].after, told[-1][1]

    def _tell(self, kind: Kind, told: Sequence[tuple[Commit, Any]], silent: int) -> None:
        newest = told[-1][0]
        envelopes = [each for pair in told if (each := _envelope(kind, *pair))]
        if not envelopes and len(told) < silent:
            return
        try:
            if envelopes:
                self._publish(envelopes)
            self._table.put(PUBLISHED, newest.stream, newest.after, Row())
        except Exception as error:
            raise ProjectionFailed(PUBLISHED.name) from error


def published(table: ViewTable, stream: str, version: int) -> bool:
    """Whether a stream was published up to a version: nothing before that may be deleted else."""
    row = table.row(PUBLISHED, stream, consistent=True)
    return row is not None and row[0] >= version


def _folded(
    kind: Kind, commits: Sequence[Commit], state: Any, reached: int
) -> Iterator[tuple[Commit, Any]]:
    """Each commit with the state after it, from the state at `reached`."""
    for commit in commits:
        if commit.stateful:
            state = replay(kind.decider, [commit]).state
        elif commit.before == reached:
            state = kind.decider.fold(state, kind.decider.events.decode(commit.events))
        else:
            raise Unreadable(f"{commit.stream} lacks its commits before event {commit.before}")
        reached = commit.after
        yield commit, state


def _envelope(kind: Kind, commit: Commit, state: Any) -> Envelope | None:
    assert kind.public is not None, "only kinds that tell something are published"
    told = kind.public(kind.decider.events.decode(commit.events), state)
    if told is None:
        return None
    # One command's commits on several streams share their id.
    identity = f"{commit.id} {commit.stream} {commit.after}"
    return Envelope(
        id=blake2b(identity.encode(), digest_size=12).hexdigest(),
        type=told.type,
        schema=told.schema,
        stream=commit.stream,
        version=commit.after,
        time=commit.metadata.at,
        tenant=commit.metadata.tenant or DEFAULT_TENANT,
        data=told.data,
        correlation=commit.metadata.correlation,
        causation=commit.metadata.causation,
    )
