"""Visitors of any hours: never more than events or the hours' sum, and more hours never fewer."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from functions.analytics.cells import Row
from functions.analytics.cells import counted as row_with
from functions.analytics.facts import day_of
from functions.analytics.rollups import Tally
from functions.analytics.uniques import counted

DAYS = 4
Visits = dict[int, list[str]]


def visits(chance: random.Random, people: int, number: int) -> Visits:
    """Visitors by hour, those of each event."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    for _ in range(number):
        found[chance.randrange(24 * DAYS)].append(f"{chance.randrange(people):016x}")
    return found


def rows_of(found: Visits) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for hour, visitors in found.items():
        tally = Tally(len(visitors), 0, set(visitors))
        row = rows.get(day_of(hour), Row())
        rows[day_of(hour)] = row_with(row, hour % 24, 1, tally, late=False)
    return rows


SPANS = st.tuples(st.integers(0, 24 * DAYS), st.integers(0, 24 * DAYS)).map(sorted)


@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(0, 200), SPANS)
def test_visitors_are_at_most_events_and_the_sum_of_hours(
    seed: int, people: int, number: int, ends: list[int]
) -> None:
    found = visits(random.Random(seed), people, number)
    hours = range(*ends)
    numbers = counted(rows_of(found), hours)
    mine = [found.get(hour, []) for hour in hours]
    assert numbers.events == sum(map(len, mine))
    assert numbers.visitors <= numbers.events
    assert numbers.visitors <= sum(len(set(each)) for each in mine)
    assert numbers.visitors >= max((len(set(each)) for each in mine), default=0)
    if numbers.exact:
        assert numbers.visitors == len({visitor for each in mine for visitor in each})


@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(0, 200), SPANS)
@example(88, 22, 12, [68, 81])
def test_an_hour_more_is_never_fewer_visitors(
    seed: int, people: int, number: int, ends: list[int]
) -> None:
    rows = rows_of(visits(random.Random(seed), people, number))
    first, stop = ends
    narrow = counted(rows, range(first, stop)).visitors
    assert narrow <= counted(rows, range(first, stop + 1)).visitors
    assert narrow <= counted(rows, range(max(0, first - 1), stop)).visitors


@pytest.mark.parametrize("first", range(DAYS))
def test_whole_days_are_the_union_of_their_visitors(first: int) -> None:
    found = visits(random.Random(first), 60, 300)
    hours = range(24 * first, 24 * DAYS)
    numbers = counted(rows_of(found), hours)
    assert numbers.exact
    assert numbers.visitors == len({visitor for hour in hours for visitor in found.get(hour, [])})
