"""Which strategy a deployment gets, and how long its fresh codes are."""

from __future__ import annotations

import random
from itertools import islice

import pytest

from functions.edge.runtime import Runtime
from functions.edge.secrets import Secrets
from functions.edge.settings import InvalidSettings
from functions.shortener.codes import LENGTH, encode
from functions.shortener.strategies import TRIES, Strategy, strategy


def runtime(**env: str) -> Runtime:
    return Runtime(
        env=env,
        client=lambda service, deadline_ms=0, region="": None,
        now=lambda: 0,
        entropy=random.Random(0).randbytes,
        sleep=lambda seconds: None,
        write=lambda line: None,
    )


def chosen(**env: str) -> Strategy:
    world = runtime(**env)
    return strategy(world, Secrets(world, "arn"), lambda metric: None)


def issue(shop: Strategy, taken: int = 0) -> int:
    """Takes one fresh code after so many taken ones; its length."""
    return len(list(islice(shop.candidates(), taken + 1))[-1])


@pytest.mark.parametrize(
    ("env", "dedupes"),
    [
        ({}, True),
        ({"CODE_STRATEGY": "hash"}, True),
        ({"CODE_STRATEGY": "random"}, False),
        ({"CODE_STRATEGY": "counter", "COUNTERS_TABLE": "counters"}, False),
        ({"CODE_STRATEGY": "pool", "COUNTERS_TABLE": "counters", "POOL_SIZE": "1000"}, False),
    ],
    ids=str,
)
def test_only_hash_dedupes(env: dict[str, str], dedupes: bool) -> None:
    assert chosen(**env).dedupes == dedupes


@pytest.mark.parametrize("name", ["hash", "random"])
def test_hash_and_random_make_fresh_codes_of_entropy(name: str) -> None:
    made = list(chosen(CODE_STRATEGY=name).candidates())
    assert len(made) == len(set(made)) == 2 * TRIES
    assert {len(code) for code in made} == {LENGTH, LENGTH + 1}


def test_a_strategy_that_there_is_not_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="CODE_STRATEGY is dice"):
        chosen(CODE_STRATEGY="dice")


@pytest.fixture
def reports() -> list[str]:
    return []


@pytest.fixture
def shop(reports: list[str]) -> Strategy:
    return Strategy(lambda length: encode(0, length), reports.append)


def test_codes_grow_by_one_once_eight_are_taken_and_say_so(
    shop: Strategy, reports: list[str]
) -> None:
    assert issue(shop, taken=TRIES - 1) == LENGTH
    assert reports == []
    assert issue(shop, taken=1) == LENGTH + 1
    assert issue(shop) == LENGTH + 1
    assert reports == ["longer_codes"]


def test_codes_stay_as_long_as_at_most_one_in_a_hundred_is_taken(shop: Strategy) -> None:
    # The first at the hundredth try, and then one in 101.
    lengths = {issue(shop, taken=number % 100 == 99) for number in range(100 * 30)}
    assert lengths == {LENGTH}


def test_codes_grow_where_more_than_one_in_a_hundred_is_taken(shop: Strategy) -> None:
    # One in 51: the eighth decides.
    lengths = [issue(shop, taken=number % 50 == 49) for number in range(50 * TRIES)]
    assert lengths[:-1] == [LENGTH] * (50 * TRIES - 1)
    assert lengths[-1] == LENGTH + 1


def test_a_longer_length_is_doubted_in_its_turn(shop: Strategy) -> None:
    assert issue(shop, taken=TRIES) == LENGTH + 1
    assert issue(shop, taken=TRIES) == LENGTH + 2
