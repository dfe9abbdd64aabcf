"""Waiting between attempts: exponential backoff with full jitter.

Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """A bounded number of attempts; the waits between them are in seconds."""

    attempts: int = 5
    base: float = 0.02
    cap: float = 0.4
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random

    def tries(self) -> Iterator[int]:
        """Counts the attempts from 0, sleeping before each but the first."""
        for attempt in range(self.attempts):
            if attempt:
                self.sleep(self.jitter() * min(self.cap, self.base * 2**attempt))
            yield attempt


class Pause:
    """How long somebody who fails is left alone by one container, which has another way out.

    `first` and `longest` are in milliseconds, as is `now`: the pause doubles with every failure in
    a row. `jitter` takes up to half of it away, so that containers do not all try at once.
    """

    def __init__(
        self, first: int, longest: int, now: Callable[[], int], jitter: Callable[[], float]
    ) -> None:
        self._first = first
        self._longest = longest
        self._now = now
        self._jitter = jitter
        self._until = 0
        self._failures = 0

    @property
    def over(self) -> bool:
        """Whether it is time to try again."""
        return self._now() >= self._until

    def failed(self) -> None:
        """Begins a pause."""
        pause = min(self._first << self._failures, self._longest)
        self._until = self._now() + pause - round(self._jitter() * pause / 2)
        self._failures = min(self._failures + 1, self._longest.bit_length())

    def succeeded(self) -> None:
        """Ends it; the next is short again."""
        self._until = self._failures = 0


DEFAULT = Backoff()
"""Real waits and real chance, for who needs no other."""
