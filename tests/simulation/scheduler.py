"""Whose turn it is, and what time: greenlets switched at every call, under a seed, on a virtual
clock that jumps over every wait.

It shares `pause` with tests/support/interleave.py, which enumerates schedules but knows no time.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import greenlet

from tests.support.clock import START
from tests.support.interleave import Turns, pause

STEP_MS = 1
"""What one turn takes."""
NEVER = float("inf")


class Task(Turns):
    """An actor under way: asleep until `wake`; `weight` is its share of the turns."""

    def __init__(self, name: str, body: Callable[[], object], weight: float) -> None:
        super().__init__(body)
        self.name = name
        self.weight = weight
        self.wake = 0.0
        self.parked: object = None


class Stuck(Exception):
    """There was still work after the turns that were given."""


class Scheduler:
    """Runs tasks. `now` is epoch milliseconds."""

    def __init__(self, chance: random.Random, weights: tuple[float, ...] = (1.0,)) -> None:
        self.now = START
        self.step = 0
        self._chance = chance
        self._weights = weights
        self._tasks: list[Task] = []

    def spawn(self, name: str, body: Callable[[], object]) -> Task:
        """Starts an actor; its first turn comes when the scheduler gives it one."""
        task = Task(name, body, self._chance.choice(self._weights))
        if isinstance(current := greenlet.getcurrent(), Task):
            # A turn ends where turns are given, not with the actor that started this one.
            task.parent = current.parent
        task.wake = self.now
        self._tasks.append(task)
        return task

    def sleep(self, seconds: float) -> None:
        """Lets the calling actor wait."""
        task = greenlet.getcurrent()
        assert isinstance(task, Task), "only an actor can wait"
        task.wake = self.now + seconds * 1000
        pause()

    def park(self, place: object, seconds: float | None = None) -> None:
        """Lets the calling actor wait for somebody to `rouse` this place, at most so long."""
        task = greenlet.getcurrent()
        assert isinstance(task, Task), "only an actor can wait"
        task.wake = NEVER if seconds is None else self.now + seconds * 1000
        task.parked = place
        pause()
        task.parked = None

    def rouse(self, place: object) -> None:
        """Wakes who is parked there."""
        for task in self._tasks:
            if task.parked == place:
                task.wake = min(task.wake, self.now)

    def run(self, done: Callable[[], bool], turns: int) -> None:
        """Gives turns until `done()`. Raises Stuck after so many, or if nobody ever wakes."""
        for _ in range(turns):
            if done():
                return
            self._turn()
        if not done():
            raise Stuck(f"not done after {turns} turns")

    def _turn(self) -> None:
        self._tasks = [task for task in self._tasks if not task.dead]
        ready = [task for task in self._tasks if task.wake <= self.now]
        if not ready:
            soonest = min((task.wake for task in self._tasks), default=NEVER)
            if soonest == NEVER:
                raise Stuck("everybody waits for somebody else")
            self.now = int(soonest) + 1
            ready = [task for task in self._tasks if task.wake <= self.now]
        weights = [task.weight for task in ready]
        task = self._chance.choices(ready, weights)[0] if len(ready) > 1 else ready[0]
        self.step += 1
        self.now += STEP_MS
        task.switch()

    def close(self) -> None:
        """Ends every task where it stands."""
        for task in self._tasks:
            if not task.dead:
                task.throw(greenlet.GreenletExit)
