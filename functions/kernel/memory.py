"""An event store in memory, for unit tests: the contract of the one on DynamoDB, without it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from functions.kernel.store import Commit


@dataclass
class MemoryStore:
    """An EventStore that keeps its commits, by stream, in `commits`."""

    commits: dict[str, list[Commit]] = field(default_factory=dict)

    def append(self, commit: Commit) -> Commit | None:
        """See EventStore."""
        standing = self.commits.setdefault(commit.stream, [])
        for other in standing:
            if other.before == commit.before:
                return None if other.id == commit.id else other
        standing.append(commit)
        standing.sort(key=lambda each: each.before)
        return None

    def backward(
        self, stream: str, *, before: int | None = None, limit: int, consistent: bool = True
    ) -> Iterator[Commit]:
        """See EventStore."""
        del limit, consistent
        for commit in reversed(self.commits.get(stream, [])):
            if before is None or commit.before < before:
                yield commit

    def forward(self, stream: str, *, after: int = 0, limit: int) -> tuple[list[Commit], bool]:
        """See EventStore."""
        found = [each for each in self.commits.get(stream, []) if each.before >= after]
        return found[:limit], len(found) > limit
