"""A resource's past: as it was at a version or a time, and what happened to it, page by page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from functions.edge.cursor import Cursors
from functions.edge.problem import invalid
from functions.edge.validation import to_millis, to_text
from functions.kernel.codec import EventCodec, to_data
from functions.kernel.decider import Decider
from functions.kernel.errors import NotFound
from functions.kernel.history import version_at
from functions.kernel.store import Commit, EventStore, Stream, load, replay

S = TypeVar("S")

Shown = Callable[[str, Any], Any]
"""How a stored field of an event, by name, is shown."""


def as_stored(name: str, value: Any) -> Any:
    """Fields as they are, but for times."""
    return to_text(value) if name.endswith("_at") else value


@dataclass(frozen=True)
class Page:
    """Some of a stream's events. `cut`: the commits held more than fit. `following` tells where the
    next page starts: the place of a commit, and the version that was shown last."""

    items: list[dict[str, Any]]
    cut: bool
    following: tuple[int, int]


class Past(Generic[S]):
    """The past of one decider's streams, as their owners may see it."""

    def __init__(
        self,
        store: EventStore,
        decider: Decider[Any, S, Any],
        cursors: Cursors,
        shown: Shown = as_stored,
    ) -> None:
        self._store = store
        self._decider = decider
        self._cursors = cursors
        self._shown = shown

    def at(self, current: Stream[S], at: str) -> Stream[S]:
        """The stream as it was at a version or an RFC 3339 time. Raises NotFound, and a 422 Problem
        for what is neither."""
        numbered = at.isascii() and at.isdecimal()
        version = int(at) if numbered else version_at(self._store, current, _moment(at))
        if not 1 <= version <= current.version:
            raise NotFound(f"{current.id} has no version {version}")
        if version == current.version:
            return current
        then = load(self._store, self._decider, current.id, version=version)
        if not then.version:
            raise NotFound(f"{current.id} was purged")
        return then

    def history(
        self, stream: str, cursor: str | None, limit: int, reader: str, check: Callable[..., Any]
    ) -> dict[str, Any]:
        """At most `limit` events of a stream, oldest first, after `cursor`, which is good for
        `reader` alone. `check` gets the stream, and raises where the reader may not see it."""
        scope = ("history", stream, reader)
        place, seen = self._cursors.read(cursor, *scope) if cursor else (0, 0)
        commits, more = self._store.forward(stream, after=place, limit=limit)
        # A page that holds the whole history tells the owner; any other needs the newest commit.
        whole = place == 0 and commits and not more
        check(replay(self._decider, commits) if whole else load(self._store, self._decider, stream))
        page = page_of(self._decider.events, commits, seen, limit, self._shown)
        following = page.following if more or page.cut else None
        return {
            "items": page.items,
            "next_cursor": self._cursors.make(following, *scope) if following else None,
        }


def page_of(
    codec: EventCodec, commits: Sequence[Commit], seen: int, limit: int, shown: Shown = as_stored
) -> Page:
    """At most `limit` events of `commits` beyond version `seen`, oldest first."""
    items = [
        item
        for commit in commits
        for item in _events(codec, commit, shown)
        if item["version"] > seen
    ]
    page = items[:limit]
    last = page[-1]["version"] if page else seen
    place = next((commit.before for commit in commits if commit.after > last), last)
    return Page(page, cut=len(items) > limit, following=(place, last))


def _events(codec: EventCodec, commit: Commit, shown: Shown) -> list[dict[str, Any]]:
    return [
        {
            "version": version,
            "type": type(event).__name__,
            "at": to_text(commit.metadata.at),
            "actor": commit.metadata.actor,
            "data": {name: shown(name, value) for name, value in to_data(event).items()},
        }
        for version, event in enumerate(codec.decode(commit.events), commit.before + 1)
    ]


def _moment(at: str) -> int:
    try:
        return to_millis(at)
    except ValueError as error:
        raise invalid("at", "is neither a version nor an RFC 3339 time") from error
