"""How a deployment makes fresh codes, and how long they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from functions.edge.runtime import Runtime
from functions.edge.secrets import Secrets
from functions.edge.settings import InvalidSettings, settings
from functions.shortener import codes

TRIES = 8
"""Taken codes after which a length is doubted, if they are more than TAKEN_SHARE of its tries."""
TAKEN_SHARE = 0.01


class Settings(NamedTuple):
    """What the environment says of codes."""

    code_strategy: str = "hash"


class CounterSettings(NamedTuple):
    """What it says of numbers."""

    counters_table: str


class PoolSettings(NamedTuple):
    """What it says of codes made beforehand; `pool_size` counts codes."""

    counters_table: str
    pool_size: int


class Strategy:
    """A way to make fresh codes: `make` gives one of at least the length that it is told.

    `dedupes`: an owner's second link to a URL is the first one, since its code derives from both.
    The length is what this container has seen to be needed; `report` hears that it grew.
    """

    def __init__(
        self,
        make: Callable[[int], str],
        report: Callable[[str], None],
        *,
        dedupes: bool = False,
    ) -> None:
        self.dedupes = dedupes
        self.length = codes.LENGTH
        self._make = make
        self._report = report
        self._tries = self._taken = 0

    def candidates(self) -> Iterator[str]:
        """Fresh codes, at two lengths at least. To ask for another says that the last was taken."""
        for _ in range(2 * TRIES):
            self._tries += 1
            yield self._make(self.length)
            self._note_taken()

    def _note_taken(self) -> None:
        self._taken += 1
        if self._taken >= TRIES and self._taken > TAKEN_SHARE * self._tries:
            self.length += 1
            self._report("longer_codes")
            self._tries = self._taken = 0


def strategy(runtime: Runtime, secrets: Secrets, report: Callable[[str], None]) -> Strategy:
    """The strategy that the deployment chose; `report` hears what is worth a metric.

    Raises InvalidSettings for one that there is not.
    """
    name = settings(Settings, runtime.env).code_strategy
    match name:
        case "hash":
            return Strategy(
                lambda length: codes.random(runtime.entropy, length), report, dedupes=True
            )
        case "random":
            return Strategy(lambda length: codes.random(runtime.entropy, length), report)
        case "counter":
            # Here and below: what a deployment does not use, its containers do not load.
            from functions.shortener.counter import Counted

            table = settings(CounterSettings, runtime.env).counters_table
            client = runtime.client("dynamodb")
            return Strategy(Counted(client, table, lambda: secrets.key("permutation")).code, report)
        case "pool":
            from functions.shortener.pool import Pool, Pooled

            pool = Pool(
                runtime.client("dynamodb"), *settings(PoolSettings, runtime.env), runtime.entropy
            )
            return Strategy(Pooled(pool, runtime.entropy, report).code, report)
    raise InvalidSettings(f"CODE_STRATEGY is {name}")
