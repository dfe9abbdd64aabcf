"""What an event store must do, the commits that it keeps, and how they fold to a stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from functions.kernel.codec import from_data, to_data, to_json
from functions.kernel.decider import Decider
from functions.kernel.errors import CommitTooLarge, NotFound, Unreadable

S = TypeVar("S")

MAX_COMMIT_BYTES = 64 * 1024
DEFAULT_TENANT = "default"


def kind_of(stream: str) -> str:
    """The kind of a stream: the first part of its id."""
    return stream.partition("#")[0]


@dataclass(frozen=True)
class Metadata:
    """Who did it, when, on whose behalf, as a part of what.

    `at` is the recorded time in epoch milliseconds, never before the previous commit's.
    """

    at: int
    actor: str | None = None
    tenant: str | None = None
    correlation: str | None = None
    causation: str | None = None


@dataclass(frozen=True)
class Commit:
    """Events appended together; immutable once stored.

    `before` and `after` are the numbers of the stream's events before and after it; `after` is
    the version that it leads to. `events`, `snapshot` are JSON: [[type, schema, data], ...] and
    [schema, state]. `ring` remembers recent commands (see ring.py).
    """

    stream: str
    before: int
    after: int
    id: str
    events: str
    metadata: Metadata
    snapshot: str | None = None
    ring: bytes = b""

    def check_size(self) -> None:
        """Raises CommitTooLarge above MAX_COMMIT_BYTES."""
        if len(self.events.encode()) + len((self.snapshot or "").encode()) > MAX_COMMIT_BYTES:
            raise CommitTooLarge(f"a commit on {self.stream} is above {MAX_COMMIT_BYTES} bytes")

    @property
    def stateful(self) -> bool:
        """Whether this commit alone tells the state: a first commit is its own snapshot."""
        return self.before == 0 or self.snapshot is not None


class EventStore(Protocol):
    """The contract that tests/integration/test_store_contract.py holds every store to."""

    def append(self, commit: Commit) -> Commit | None:
        """Stores `commit` if its place is free, else gives the commit that stands there.

        A commit that stands there with the same id is our own, whose answer was lost: None.
        """

    def backward(
        self, stream: str, *, before: int | None = None, limit: int, consistent: bool = True
    ) -> Iterator[Commit]:
        """Commits from the newest down, of those with fewer than `before` events before them.

        Fetches `limit` at first and goes on only as far as the caller reads.
        """

    def forward(self, stream: str, *, after: int = 0, limit: int) -> tuple[list[Commit], bool]:
        """At most `limit` commits with `before >= after`, oldest first, and if more may follow."""


@dataclass(frozen=True)
class Stream(Generic[S]):
    """One aggregate as loaded. `version` 0 means that it does not exist.

    `at` is the newest commit's recorded time; `tail` counts the commits since the last snapshot.
    """

    id: str
    state: S
    version: int = 0
    at: int = 0
    tenant: str = DEFAULT_TENANT
    ring: bytes = b""
    tail: int = 0


def load(
    store: EventStore,
    decider: Decider[Any, S, Any],
    stream: str,
    *,
    version: int | None = None,
    consistent: bool = True,
) -> Stream[S]:
    """The stream now, or as it was at `version` (events after the wanted change).

    One backward query that stops at the newest usable snapshot, however long the history is.
    A version that does not exist yet gives the newest one, and one that a purge took may give the
    one before; compare `version` in the answer. Raises NotFound where a purge took what led to it.
    """
    pending: list[Commit] = []
    for commit in store.backward(
        stream, before=version, limit=decider.snapshot_every, consistent=consistent
    ):
        if pending and commit.after != pending[-1].before:
            raise NotFound(f"{stream} was purged of what led to event {pending[-1].before}")
        pending.append(commit)
        if commit.before == 0 or _usable(commit, version):
            return replay(decider, pending[::-1], version)
    if pending:
        raise Unreadable(f"{stream} lacks its commits before event {pending[-1].before}")
    return Stream(stream, decider.initial)


def _usable(commit: Commit, version: int | None) -> bool:
    return commit.snapshot is not None and (version is None or commit.after <= version)


def replay(
    decider: Decider[Any, S, Any], commits: list[Commit], version: int | None = None
) -> Stream[S]:
    """Folds commits, oldest first, of which the first is a stream's first or has a snapshot."""
    base, newest = commits[0], commits[-1]
    if base.snapshot is None:
        state, reached, pending = decider.initial, 0, commits
    else:
        state, reached, pending = restore(decider, base.snapshot), base.after, commits[1:]
    events = [event for commit in pending for event in decider.events.decode(commit.events)]
    wanted = events if version is None else events[: version - reached]
    return Stream(
        id=newest.stream,
        state=decider.fold(state, wanted),
        version=reached + len(wanted),
        at=newest.metadata.at,
        tenant=newest.metadata.tenant or DEFAULT_TENANT,
        ring=newest.ring,
        tail=len(commits) - 1,
    )


def restore(decider: Decider[Any, S, Any], snapshot: str) -> S:
    """The state in a snapshot, upgraded if it is of an older schema.

    Raises Unreadable for a schema newer than the code.
    """
    schema, data = json.loads(snapshot)
    if schema > decider.state_schema:
        raise Unreadable(f"state of schema {schema}")
    if schema < decider.state_schema:
        data = decider.upgrade(data, schema)
    state: S = from_data(decider.state, data)
    return state


def snapshot(decider: Decider[Any, S, Any], state: S) -> str:
    """The stored form of a state."""
    return to_json([decider.state_schema, to_data(state)])
