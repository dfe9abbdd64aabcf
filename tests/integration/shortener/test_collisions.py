"""How many of many codes are equal, for each strategy, beside what the birthday problem predicts.

Of n codes drawn from N, n^2 / 2N are expected to meet one drawn before: at seven letters too few to
see, so shorter ones are measured as well. Chance is seeded: every run finds the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import islice
from math import sqrt
from typing import Any, NamedTuple

import pytest

from functions.shortener import codes
from functions.shortener.counter import Counted
from functions.shortener.pool import BATCH, PROBES, Pool, Pooled
from tests.support.pump import Stack

KEY = bytes(range(32))
POOL = PROBES * BATCH
"""A pool that a container looks through to its end."""


class Measured(NamedTuple):
    """How many codes met one drawn before, and how many should have."""

    equal: int
    predicted: float


def strategies(client: Any, table: str) -> dict[str, Callable[[int], Iterator[str]]]:
    """What makes codes of a length without end."""
    entropy = random.Random(0).randbytes

    def hashed(length: int) -> Iterator[str]:
        number = 0
        while True:
            url = f"https://example.com/{number}"
            yield codes.derived(KEY, "url", "default", "default", "alice", url, 0, length=length)
            number += 1

    def drawn(length: int) -> Iterator[str]:
        while True:
            yield codes.random(entropy, length)

    def counted(length: int) -> Iterator[str]:
        container = Counted(client, table, lambda: KEY)
        while True:
            yield container.code(length)

    def pooled(length: int) -> Iterator[str]:
        pool = Pool(client, table, POOL, entropy)
        emptied: list[str] = []
        container = Pooled(pool, entropy, emptied.append)
        while not emptied:
            pool.fill()
            yield from (container.code(length) for _ in range(POOL))
        raise AssertionError("the pool was filled in time")

    return {"hash": hashed, "random": drawn, "counter": counted, "pool": pooled}


def measure(stack: Stack, strategy: str, length: int, count: int) -> Measured:
    """How many of so many codes are equal."""
    table = stack.functions["ShortenerCreate"].env["COUNTERS_TABLE"]
    make = strategies(stack.client("dynamodb"), table)[strategy]
    made = set(islice(make(length), count))
    assert {len(code) for code in made} == {length}
    birthday = count**2 / 2 / len(codes.ALPHABET) ** length
    return Measured(count - len(made), 0.0 if strategy == "counter" else birthday)


@pytest.mark.parametrize(
    ("count", "short"),
    [
        pytest.param(20_000, 4),
        pytest.param(1_000_000, 5, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("strategy", ["hash", "random", "counter", "pool"])
def test_codes_collide_as_often_as_the_birthday_problem_predicts(
    stack: Stack, capsys: pytest.CaptureFixture[str], strategy: str, count: int, short: int
) -> None:
    # The filler's codes are never shorter than a deployment's.
    lengths = (codes.LENGTH,) if strategy == "pool" else (short, codes.LENGTH)
    for length in lengths:
        equal, predicted = measure(stack, strategy, length, count)
        with capsys.disabled():
            print(f"\n{count:,} codes of {strategy}, {length} letters: {equal} equal", end="")
            print(f", {predicted:.5f} predicted")
        # Collisions this rare are Poisson: five standard deviations, and one for what is none.
        assert abs(equal - predicted) <= 5 * sqrt(predicted) + bool(predicted)
