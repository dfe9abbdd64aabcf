"""Segments and rollups: any batching and order of the facts counts as one pass over them does."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.analytics import rollups, segments
from functions.analytics.facts import Fact
from functions.analytics.rollups import MAX_VALUES, tally
from functions.analytics.segments import Segment, fold, merge
from tests.unit.analytics.reference import SITE, reference, traffic

HOUR = 3_600_000


def numbers(segment: Segment) -> dict[tuple[str, str], tuple[int, int, int]]:
    return {
        value: (each.events, each.pageviews, len(each.visitors))
        for value, each in tally(segment, SITE).items()
        if each.events
    }


def expected(facts: list[Fact]) -> dict[tuple[str, str], tuple[int, int, int]]:
    return {value: hours[0] for value, hours in reference(facts, SITE).hours.items()}


@given(st.integers(0, 2**32), st.integers(0, 120), st.integers(1, 9))
def test_segments_of_any_parts_count_as_one_pass_does(seed: int, size: int, parts: int) -> None:
    chance = random.Random(seed)
    facts = traffic(chance, size, 0, HOUR)
    batches = defaultdict(list)
    for fact in chance.sample(facts, size):
        batches[chance.randrange(parts)].append(fact)
    stored = [segments.decode(segments.encode(fold(batch))) for batch in batches.values()]
    chance.shuffle(stored)
    whole = merge([merge(stored[:2]), *stored[2:]])
    assert whole.seen == size
    assert numbers(whole) == expected(facts)


@given(st.integers(0, 2**32), st.integers(0, 60))
def test_a_segment_is_the_same_bytes_in_whatever_order(seed: int, size: int) -> None:
    chance = random.Random(seed)
    facts = traffic(chance, size, 0, HOUR)
    shuffled = chance.sample(facts, size)
    assert segments.encode(fold(facts)) == segments.encode(fold(shuffled))
    assert segments.decode(segments.encode(fold(facts))) == fold(facts)


def test_a_single_valued_dimension_sums_to_the_total_less_what_has_none() -> None:
    facts = traffic(random.Random(7), 500, 0, HOUR)
    found = numbers(fold(facts))
    total = found["all", ""]
    people = [fact for fact in facts if not fact.machine]
    for rollup, named in [("page", "page"), ("country", "country"), ("device", "device")]:
        rows = [each for (name, _), each in found.items() if name == rollup]
        without = [fact for fact in people if getattr(fact, named) is None]
        assert sum(row[0] for row in rows) == total[0] - len(without)
    assert all(row[2] <= row[0] for row in found.values())


def test_machines_count_among_machines_alone() -> None:
    facts = [Fact("a", SITE.id, 0, "pageview", "0" * 16, "/", machine="preview")]
    assert numbers(fold(facts)) == {("machine", "preview"): (1, 1, 1)}


def test_what_nobody_declared_is_not_counted() -> None:
    facts = [Fact("a", SITE.id, 0, "pageview", None, "/", props=(("secret", "1"),))]
    assert set(numbers(fold(facts))) == {("all", ""), ("name", "pageview"), ("page", "/")}


@pytest.mark.parametrize(
    ("name", "page", "goals"),
    [
        ("signup", None, {"signup"}),
        ("pageview", "/docs/a/b", {"docs"}),
        ("signup", "/docs/a", {"signup"}),
        ("pageview", "/docs", set()),
        ("pageview", None, set()),
    ],
)
def test_goals_are_events_by_name_and_views_of_pages(
    name: str, page: str | None, goals: set[str]
) -> None:
    found = numbers(fold([Fact("a", SITE.id, 0, name, None, page)]))
    assert {value for rollup, value in found if rollup == "goal"} == goals


def test_the_total_is_there_even_of_nothing() -> None:
    assert list(tally(fold([]), SITE)) == [rollups.TOTAL]


def test_an_hour_keeps_the_values_that_have_the_most_events() -> None:
    facts = [Fact(f"a{n}", SITE.id, 0, "pageview", None, f"/{n:05}") for n in range(MAX_VALUES)]
    facts += [Fact(f"b{n}", SITE.id, 0, "pageview", None, "/zz") for n in range(2)]
    found = numbers(fold(facts))
    pages = {value for rollup, value in found if rollup == "page"}
    assert len(pages) == MAX_VALUES
    assert "/zz" in pages
    assert f"/{MAX_VALUES - 1:05}" not in pages
    assert found["all", ""][0] == MAX_VALUES + 2
