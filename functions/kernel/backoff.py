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


DEFAULT = Backoff()
"""Real waits and real chance, for who needs no other."""
