"""The worlds that are simulated, each with what a long run of it must have reached, and mutants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from tests.simulation import expected, mutants, run
from tests.simulation.analytics import expected as analytics
from tests.simulation.analytics.mutants import MUTANTS as ANALYTICS
from tests.simulation.coverage import Cell
from tests.simulation.mutants import killed
from tests.simulation.ratelimiter import expected as ratelimiter
from tests.simulation.ratelimiter.mutants import MUTANTS as RATELIMITER

__all__ = ["killed"]


class World(NamedTuple):
    """Cells that a long run must have reached, and those that it need not, with the reason."""

    expected: Callable[[], list[Cell]]
    exempt: Mapping[Cell, str]


WORLDS: Mapping[str, World] = {
    "shortener": World(lambda: expected.expected(run.deployed()), expected.EXEMPT),
    "analytics": World(analytics.expected, analytics.EXEMPT),
    "ratelimiter": World(ratelimiter.expected, ratelimiter.EXEMPT),
}
"""`shortener`: links and tallies. A plan names its world."""
MUTANTS = (*mutants.MUTANTS, *ANALYTICS, *RATELIMITER)
