"""What goes wrong, where: drawn under a seed, each actor from a sequence of its own.

A fault's identity is its actor and how many occasions that actor had before. It depends on nobody
else's turns, so that a run with fewer faults or actors is still the same run otherwise: that is
what makes failures shrink.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

CALL_KINDS = (
    "crash_before",
    "crash_after",
    "lost_request",
    "lost_response",
    "throttle",
    "server_error",
    "freeze",
)
"""What may happen at any AWS call. `freeze` stops the container, perhaps beyond its time-out."""
CONFLICTING = {"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"}
PARTIAL = {"BatchGetItem", "BatchWriteItem", "PublishBatch", "SendMessageBatch"}
RARE = {
    "BatchWriteItem",
    "DeleteItem",
    "GetSecretValue",
    "SendMessage",
    "SendMessageBatch",
    "TransactWriteItems",
    "UpdateItem",
}
"""Calls that come so seldom that chance alone would hardly ever make them fail."""
SELDOM = {"ShortenerExecute", "ShortenerPending", "ShortenerOps", "ShortenerBulk"}
"""Functions that run so seldom that all their calls are rare."""
SELDOM_CALLED = {("ShortenerRedirect", "GetItem")}
"""A rare call among many of a function."""
NOT_SIMULATED = {
    "ShortenerQr": "it reads one link like the redirect; tests/integration/test_qr.py has it",
    "ShortenerReport": "reports change no link; tests/integration/test_reports.py has them",
    "ShortenerTimers": "the timers under simulation are the tally's; of links: test_timers.py",
    "ShortenerPurge": "the purge under simulation is the tally's; of links: test_timers.py",
}
"""Functions that nothing here calls, and where they are tested."""
FOCUS = 0.6
"""How often a seed brings about what it is its turn to bring about."""
LONGEST = 6
"""Attempts that one fault may spoil in a row: more than the SDK or the kernel makes."""
HTTP_KINDS = ("request_lost", "answer_lost", "impatient")
STREAM_KINDS = ("drop", "duplicate", "delay", "reorder")
QUEUE_KINDS = ("stall", "delete_lost", "late_copy")
CONTAINER_KINDS = ("cold",)
EVERY_KIND = (
    *CALL_KINDS,
    "conflict",
    "partial",
    "poison",
    *HTTP_KINDS,
    *STREAM_KINDS,
    *QUEUE_KINDS,
    *CONTAINER_KINDS,
)


def call_kinds(function: str, service: str, operation: str) -> tuple[str, ...]:
    """What may happen at a call."""
    kinds: tuple[str, ...] = CALL_KINDS
    # Nobody writes counters, which is all that the redirect writes, in a transaction.
    if service == "dynamodb" and operation in CONFLICTING and function != "ShortenerRedirect":
        kinds = (*kinds, "conflict", "conflict")
    if operation in PARTIAL:
        kinds = (*kinds, "partial", "partial")
    return kinds


@dataclass(frozen=True)
class Plan:
    """One run: its seed, in which world, and if given the actors and the faults that it is cut
    down to."""

    seed: int
    actors: frozenset[str] | None = None
    faults: frozenset[str] | None = None
    sdk: bool = False
    world: str = "shortener"

    def chance(self, purpose: str) -> random.Random:
        """A sequence of its own for one purpose."""
        return random.Random(f"{self.seed}/{purpose}")


@dataclass(frozen=True)
class Weather:
    """What a seed's world is like (swarm testing: each seed leaves some kinds of fault out, and so
    reaches what they would drown). Times are milliseconds; `page`, the bytes that a page holds, and
    one item at least; `storm` is for how many seconds things go on going wrong once the clients are
    done; `lone`, one container does all that streams and queues bring to a function, until it dies,
    so that what it remembers matters."""

    rate: float
    kinds: frozenset[str]
    staleness: int
    skew: int
    page: int
    cold: float
    weights: tuple[float, ...]
    storm: int
    lone: bool

    @classmethod
    def of(cls, plan: Plan) -> Weather:
        chance = plan.chance("weather")
        share = chance.choice((0.3, 0.7, 1.0))
        return cls(
            rate=chance.choice((0.0, 0.02, 0.05, 0.1)),
            kinds=frozenset(kind for kind in EVERY_KIND if chance.random() < share),
            staleness=chance.choice((0, 50, 2000, 8000)),
            skew=chance.choice((0, 300, 5000)),
            page=chance.choice((1024 * 1024, 2000, 1)),
            cold=chance.choice((0.0, 0.05, 0.3)),
            weights=chance.choice(((1.0,), (1.0, 1.0, 0.2), (1.0, 0.3, 0.05))),
            storm=chance.choice((0, 1500, 4000)),
            lone=chance.random() < 0.2,
        )


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong: `times` in a row, `degree` of it between 0 and 1."""

    id: str
    kind: str
    times: int
    degree: float


class Chaos:
    """Draws faults. `struck` are those that came about, by id."""

    def __init__(self, plan: Plan, weather: Weather) -> None:
        self.calm = False
        self.struck: dict[str, str] = {}
        self._plan = plan
        self._weather = weather
        self._occasions: defaultdict[str, int] = defaultdict(int)
        self._chances: dict[str, random.Random] = {}

    def draw(
        self,
        actor: str,
        kinds: Sequence[str],
        rate: float | None = None,
        *,
        always: bool = False,
    ) -> Fault | None:
        """The fault that happens to `actor` on this occasion, if any: of `kinds` one that this
        seed's weather has, or any with `always`."""
        chance = self._chances.setdefault(actor, self._plan.chance(f"faults/{actor}"))
        identity = f"{actor}.{self._occasions[actor]}"
        self._occasions[actor] += 1
        # Always as many draws, so that the next occasion's do not depend on this one's outcome.
        hit, which, times, degree = (chance.random() for _ in range(4))
        if self.calm or hit >= (self._weather.rate if rate is None else rate):
            return None
        if self._plan.faults is not None and identity not in self._plan.faults:
            return None
        possible = [kind for kind in kinds if always or kind in self._weather.kinds]
        if not possible:
            return None
        kind = possible[int(which * len(possible))]
        self.struck[identity] = kind
        return Fault(identity, kind, 1 + int(times * LONGEST), degree)
