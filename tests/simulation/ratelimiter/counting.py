"""How much may be taken of a limit, as its documentation says it: the oracle's own six ways to
count.

Written beside production's, not with it: a bucket is the leaky bucket of ITU-T I.371 in its other
form, as a level that runs out, and windows are counted by their numbers. Times are nanoseconds.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, Self

SECOND = 1_000_000_000


class Terms(NamedTuple):
    """What a rule says of its limit; `window` in nanoseconds, `burst` of buckets alone."""

    algorithm: str
    amount: int
    window: int
    burst: int

    @property
    def bucket(self) -> bool:
        """Whether it holds a burst, rather than counting what is in a window."""
        return self.algorithm in ("token_bucket", "leaky_bucket")

    @property
    def at_once(self) -> int:
        """The most that is ever there."""
        return self.burst if self.bucket else self.amount

    @property
    def interval(self) -> int:
        """How long a token takes, rounded up."""
        return -(-self.window // self.amount)


class Meter(Protocol):
    """What was taken so far, as far as it counts. Never changed: `take`, `adjust` and `free` give
    the next one, the latter two the same where there is nothing to do."""

    def allows(self, terms: Terms, now: int, cost: int) -> bool:
        """Whether so much may be taken at a clock's time."""

    def take(self, terms: Terms, now: int, cost: int, by: str) -> Self:
        """What stands after it was, by whom."""

    def adjust(self, terms: Terms, now: int, cost: int) -> Self:
        """What stands after so much more was charged, however little is left, or was given back
        where it is negative."""

    def free(self, now: int, by: str) -> Self:
        """What stands after somebody gave back the slots that he took."""

    def counts(self, terms: Terms, now: int) -> bool:
        """Whether anything of it still counts."""

    def branch(self, terms: Terms, now: int) -> str:
        """Which case it is, for the coverage."""


class Level(NamedTuple):
    """A bucket's debt in time: how long after `since` it takes until it is full."""

    since: int = 0
    debt: int = 0

    def allows(self, terms: Terms, now: int, cost: int) -> bool:
        """See Meter."""
        return self._debt(now) + cost * terms.interval <= terms.burst * terms.interval

    def take(self, terms: Terms, now: int, cost: int, by: str) -> Level:
        """See Meter."""
        return Level(now, self._debt(now) + cost * terms.interval)

    def adjust(self, terms: Terms, now: int, cost: int) -> Level:
        """See Meter."""
        debt = max(0, self._debt(now) + cost * terms.interval)
        return self if debt == self._debt(now) else Level(now, debt)

    def free(self, now: int, by: str) -> Level:
        """See Meter."""
        return self

    def counts(self, terms: Terms, now: int) -> bool:
        """See Meter."""
        return self._debt(now) > 0

    def branch(self, terms: Terms, now: int) -> str:
        """See Meter."""
        return "filling" if self._debt(now) else "full"

    def _debt(self, now: int) -> int:
        # A clock that is behind finds more of it.
        return max(0, self.debt - (now - self.since))


class Windows(NamedTuple):
    """What was taken in the newest window and in the one before it, by the clock's numbers."""

    newest: int = -1
    taken: int = 0
    before: int = 0

    def allows(self, terms: Terms, now: int, cost: int) -> bool:
        """See Meter."""
        here = self._at(terms, now)
        if terms.algorithm == "fixed_window":
            return here.taken + cost <= terms.amount
        share = min(terms.window, (here.newest + 1) * terms.window - now)
        # In whole numbers: the older window's share is no more than what is free.
        free = terms.amount - here.taken - cost
        return here.before * share <= free * terms.window

    def take(self, terms: Terms, now: int, cost: int, by: str) -> Windows:
        """See Meter."""
        here = self._at(terms, now)
        return here._replace(taken=here.taken + cost)

    def adjust(self, terms: Terms, now: int, cost: int) -> Windows:
        """See Meter. The window before is over."""
        here = self._at(terms, now)
        taken = max(0, here.taken + cost)
        return self if taken == here.taken else here._replace(taken=taken)

    def free(self, now: int, by: str) -> Windows:
        """See Meter."""
        return self

    def counts(self, terms: Terms, now: int) -> bool:
        """See Meter."""
        kept = 0 if terms.algorithm == "fixed_window" else 1
        return now // terms.window <= self.newest + kept

    def branch(self, terms: Terms, now: int) -> str:
        """See Meter."""
        passed = now // terms.window - self.newest
        if passed < 0:
            return "behind"
        return ("same window", "next window")[passed] if passed < 2 else "new"

    def _at(self, terms: Terms, now: int) -> Windows:
        number = now // terms.window
        if number <= self.newest:
            return self
        return Windows(number, 0, self.taken if number == self.newest + 1 else 0)


class Log(NamedTuple):
    """When how much was taken, oldest first."""

    entries: tuple[tuple[int, int], ...] = ()

    def allows(self, terms: Terms, now: int, cost: int) -> bool:
        """See Meter."""
        return sum(taken for _, taken in self._at(terms, now)) + cost <= terms.amount

    def take(self, terms: Terms, now: int, cost: int, by: str) -> Log:
        """See Meter."""
        kept = self._at(terms, now)
        return Log((*kept, (max([now, *(at for at, _ in kept)]), cost)))

    def adjust(self, terms: Terms, now: int, cost: int) -> Log:
        """See Meter. What was taken last is given back first."""
        if cost > 0:
            return self.take(terms, now, cost, "")
        kept, back = list(self._at(terms, now)), -cost
        if not kept:
            return self
        while kept and back >= kept[-1][1]:
            back -= kept.pop()[1]
        if kept and back:
            at, taken = kept.pop()
            kept.append((at, taken - back))
        return Log(tuple(kept))

    def free(self, now: int, by: str) -> Log:
        """See Meter."""
        return self

    def counts(self, terms: Terms, now: int) -> bool:
        """See Meter."""
        return bool(self._at(terms, now))

    def branch(self, terms: Terms, now: int) -> str:
        """See Meter."""
        kept = self._at(terms, now)
        if len(kept) < len(self.entries):
            return "older dropped"
        return "goes on" if kept else "new"

    def _at(self, terms: Terms, now: int) -> tuple[tuple[int, int], ...]:
        return tuple(entry for entry in self.entries if entry[0] > now - terms.window)


class Slots(NamedTuple):
    """Until when each slot is held at most, and by whom."""

    held: tuple[tuple[int, str], ...] = ()

    def allows(self, terms: Terms, now: int, cost: int) -> bool:
        """See Meter."""
        return len(self.at(now)) + cost <= terms.amount

    def take(self, terms: Terms, now: int, cost: int, by: str) -> Slots:
        """See Meter."""
        return Slots((*self.at(now), *((now + terms.window, by) for _ in range(cost))))

    def adjust(self, terms: Terms, now: int, cost: int) -> Slots:
        """See Meter. What is in flight is not charged for."""
        return self

    def free(self, now: int, by: str) -> Slots:
        """See Meter."""
        held = self.at(now)
        left = tuple(slot for slot in held if slot[1] != by)
        return self if left == held else Slots(left)

    def counts(self, terms: Terms, now: int) -> bool:
        """See Meter."""
        return bool(self.at(now))

    def branch(self, terms: Terms, now: int) -> str:
        """See Meter."""
        return "goes on" if self.at(now) else "new"

    def at(self, now: int) -> tuple[tuple[int, str], ...]:
        """Those that are held still at a clock's time."""
        return tuple(slot for slot in self.held if slot[0] > now)


def new(algorithm: str) -> Meter:
    """A limit of which nothing was taken."""
    if algorithm == "concurrency":
        return Slots()
    if algorithm == "sliding_log":
        return Log()
    return Windows() if algorithm.endswith("window") else Level()


def remaining(meter: Meter, terms: Terms, now: int) -> int:
    """The most that could be taken."""
    possible = range(terms.at_once, 0, -1)
    return next((cost for cost in possible if meter.allows(terms, now, cost)), 0)


def queued(meter: Meter, terms: Terms, cost: int) -> int:
    """How long who took the cost last has to hold back, until those before are through."""
    if terms.algorithm != "leaky_bucket":
        return 0
    assert isinstance(meter, Level)
    return meter.debt - cost * terms.interval


BRANCHES = {
    "token_bucket": ("full", "filling"),
    "leaky_bucket": ("full", "filling"),
    "fixed_window": ("new", "next window", "same window", "behind"),
    "sliding_window": ("new", "next window", "same window", "behind"),
    "sliding_log": ("new", "goes on", "older dropped"),
    "concurrency": ("new", "goes on"),
}
"""The cases of each algorithm."""


def bound(terms: list[Terms], passed: int, skew: int, late: int) -> float:
    """The most that may be admitted within a stretch of `passed` ns in which a rule had these terms
    one after the other, with clocks that differ by `skew` at most.

    Who is `late` from reading the clock to writing counts in a later window, or comes to a log that
    has forgotten by then what he would have counted; a bucket's debt knows no such difference.
    """
    name, window = terms[0].algorithm, terms[0].window
    amount, passed = max(each.amount for each in terms), passed + 2 * skew
    if terms[0].bucket:
        depth = max(each.burst * each.interval for each in terms)
        return (depth + passed) / min(each.interval for each in terms)
    if name == "sliding_log":
        return amount * ((passed + late) // window + 1)
    return amount * ((passed + late) // window + 2)
