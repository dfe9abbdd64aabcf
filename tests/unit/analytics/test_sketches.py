"""Sets of visitors: exact while they are small, and the same bytes however they came about."""

from __future__ import annotations

import random
from math import sqrt
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.analytics import sketches
from functions.analytics.sketches import (
    EMPTY,
    MAX_EXACT,
    PRECISION,
    estimate,
    is_exact,
    merge,
    sketch,
)

SIGMA = 0.6931 / sqrt(2**PRECISION)
"""The standard error of a merged CPC sketch (ICON estimator; Lang 2017)."""
VISITORS = [random.Random(number).randbytes(8).hex() for number in range(400)]
SETS = st.sets(st.sampled_from(VISITORS), max_size=300)


@given(st.sets(st.sampled_from(VISITORS), max_size=MAX_EXACT))
def test_up_to_a_hundred_are_exact(visitors: set[str]) -> None:
    assert is_exact(sketch(visitors))
    assert estimate(sketch(visitors)) == len(visitors)


@given(SETS, SETS, SETS)
def test_a_union_is_the_set_of_all_in_any_order_and_grouping(
    a: set[str], b: set[str], c: set[str]
) -> None:
    x, y, z = sketch(a), sketch(b), sketch(c)
    assert merge([x, y, z]) == sketch(a | b | c)
    assert merge([merge([z, y]), x]) == merge([merge([x, z]), y]) == merge([x, y, z])


@given(SETS, SETS)
def test_what_is_in_already_changes_nothing(a: set[str], b: set[str]) -> None:
    both = merge([sketch(a), sketch(b)])
    assert merge([both, sketch(a)]) == both
    assert merge([both, both]) == both
    assert merge([both, EMPTY]) == both
    assert merge([]) == EMPTY


@pytest.mark.parametrize("size", [101, 150, 1000, 10_000, 50_000])
def test_the_estimate_is_within_four_standard_errors_and_the_bytes_are_few(size: int) -> None:
    chance = random.Random(size)
    visitors = [chance.randbytes(8).hex() for _ in range(size)]
    parts = [sketch(visitors[start : start + 977]) for start in range(0, size, 977)]
    whole = merge(parts)
    assert whole == sketch(visitors)
    assert abs(estimate(whole) / size - 1) < 4 * SIGMA
    assert len(whole) <= 5000


def test_the_error_over_many_sets_is_the_standard_one() -> None:
    chance = random.Random(1)
    errors = [
        estimate(sketch(chance.randbytes(8).hex() for _ in range(3000))) / 3000 - 1
        for _ in range(100)
    ]
    assert sqrt(sum(error**2 for error in errors) / 100) < 1.3 * SIGMA


def test_a_row_of_an_older_release_is_counted_on_as_well_as_it_was() -> None:
    chance = random.Random(7)
    visitors = [chance.randbytes(8).hex() for _ in range(6000)]
    with patch.object(sketches, "PRECISION", 11):
        older = sketch(visitors[:4000])
    both = merge([older, sketch(visitors[2000:])])
    assert abs(estimate(both) / 6000 - 1) < 4 * 0.6931 / sqrt(2**11)
    assert merge([both, sketch(visitors)]) == both
