from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.shortener.codes import ALPHABET, LENGTH, decode, encode
from functions.shortener.permutation import permuted

KEY = bytes(range(32))
KEYS = st.binary(min_size=1, max_size=64)
CODES = len(ALPHABET) ** LENGTH


@pytest.mark.parametrize("length", [1, 2])
def test_every_code_of_a_length_is_made_exactly_once(length: int) -> None:
    size = len(ALPHABET) ** length
    made = [encode(permuted(KEY, number, size), length) for number in range(size)]
    assert sorted(map(decode, made)) == list(range(size))
    assert {len(code) for code in made} == {length}


@given(KEYS, st.integers(min_value=1, max_value=300))
def test_it_is_a_bijection_whatever_the_size_and_the_key(key: bytes, size: int) -> None:
    assert sorted(permuted(key, number, size) for number in range(size)) == list(range(size))


@given(KEYS, st.sets(st.integers(min_value=0, max_value=CODES - 1), min_size=2, max_size=20))
def test_numbers_of_seven_letters_stay_apart_and_below_the_size(
    key: bytes, numbers: set[int]
) -> None:
    made = {permuted(key, number, CODES) for number in numbers}
    assert len(made) == len(numbers)
    assert max(made) < CODES


def test_another_key_is_another_permutation() -> None:
    orders = [[permuted(key, number, 62) for number in range(62)] for key in (KEY, KEY[::-1])]
    assert orders[0] != orders[1]
    assert list(range(62)) not in orders


def test_neighbours_do_not_stay_neighbours() -> None:
    made = [permuted(KEY, number, CODES) for number in range(2_000)]
    rising = sum(left < right for left, right in pairwise(made))
    gaps = sorted(abs(left - right) for left, right in pairwise(made))
    # Of random numbers half the steps rise, four standard deviations being 52 of them (the
    # variance of ascents is (n + 1) / 12); and the median gap is 1 - sqrt(1/2) of the size.
    assert abs(rising - 1_000) < 52
    assert 0.27 < gaps[1_000] / CODES < 0.32
