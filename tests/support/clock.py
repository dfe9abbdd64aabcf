"""Time that moves only when a test, or a handler that sleeps, moves it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

START = 1_793_491_200_000
"""2026-11-01T00:00:00Z in epoch milliseconds."""


@dataclass
class FakeClock:
    """A clock in epoch milliseconds."""

    milliseconds: int = START

    def now(self) -> int:
        return self.milliseconds

    def seconds(self) -> float:
        return self.milliseconds / 1000

    def advance(self, seconds: float) -> None:
        self.milliseconds += round(seconds * 1000)

    def naive_utc(self) -> datetime:
        """The form in which moto keeps its own times."""
        return datetime.fromtimestamp(self.seconds(), UTC).replace(tzinfo=None)
