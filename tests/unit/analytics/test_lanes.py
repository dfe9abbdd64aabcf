"""Lanes that follow traffic: whoever writes, by whatever it remembers, one fact has one bucket."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from functions.analytics.decider import DECIDER, MAX_LANES, Definition, GrowLanes, Site
from functions.analytics.events import Lanes, LanesGrown
from functions.analytics.facts import Fact, bucket_of, lanes_at
from functions.analytics.hotsites import FRESH_MS, STALE_MS
from functions.analytics.lanes import AHEAD, FULL, growth
from functions.analytics.tracking import SKEW_MS
from tests.unit.analytics.reference import SITE
from tests.unit.analytics.sites import CREATED, MINUTE, NOW

MINUTE_MS = 60_000


def site(*lanes: Lanes) -> Site:
    """A site with such lanes."""
    made = DECIDER.fold(None, (CREATED,))
    assert made is not None
    return replace(made, lanes=((0, 1), *lanes))


@for_all(
    # Minutes until the next look, and how full the fullest bucket then is.
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 4 * FULL)), max_size=60),
    st.lists(
        st.tuples(
            st.text(min_size=1, max_size=8),
            st.integers(-30, 400 * 60),  # Seconds from the beginning at which it is written.
            st.integers(-60 * 60_000, SKEW_MS),  # Its own time from there.
            st.tuples(st.integers(0, STALE_MS), st.integers(0, STALE_MS)),
        ),
        max_size=30,
    ),
)
def test_a_fact_lands_in_one_bucket_through_any_growth(
    looks: list[tuple[int, int]], writes: list[tuple[str, int, int, tuple[int, int]]]
) -> None:
    now, history = NOW, [(0, site())]
    for waited, seen in looks:
        now += waited * MINUTE_MS
        # A roll goes by what its container read up to a minute ago.
        if command := growth(as_of(history, now - FRESH_MS), {(now // MINUTE_MS, 0): seen}, now):
            before = history[-1][1]
            after = DECIDER.fold(before, DECIDER.decide(command, before))
            assert after is not None
            history.append((now, after))
    for id, wrote, ahead, ages in writes:
        at = NOW + wrote * 1000
        fact = Fact(id, SITE.id, at + ahead, "pageview")
        known = {as_of(history, at - age).lanes for age in ages} | {history[-1][1].lanes}
        assert len({bucket_of(fact, lanes) for lanes in known}) == 1


def as_of(history: list[tuple[int, Site]], then: int) -> Site:
    """What a container knows that read the site at that time."""
    return [state for since, state in history if since <= then][-1]


def test_full_buckets_double_the_lanes_of_later_minutes() -> None:
    assert growth(site(), {(MINUTE, 0): FULL}, NOW) is None
    assert growth(site(), {(MINUTE - 1, 0): 0, (MINUTE, 0): FULL + 1}, NOW) == GrowLanes(
        2, MINUTE + AHEAD, NOW
    )
    wide = site((MINUTE - 5, MAX_LANES * 3 // 4))
    assert growth(wide, {(MINUTE, 0): FULL + 1}, NOW) == GrowLanes(MAX_LANES, MINUTE + AHEAD, NOW)


def test_minutes_with_fewer_lanes_than_there_are_say_nothing() -> None:
    grown = site((MINUTE + AHEAD, 2))
    assert growth(grown, {(MINUTE + AHEAD - 1, 0): 9 * FULL}, NOW) is None
    assert growth(grown, {(MINUTE + AHEAD, 0): FULL + 1}, NOW) is not None


@pytest.mark.parametrize(
    "fixed",
    [SITE, site((1, MAX_LANES)), replace(site(), ledger="bulk"), replace(site(), deleted=True)],
    ids=["a link", "widest", "bulk", "deleted"],
)
def test_some_never_grow(fixed: Definition) -> None:
    assert growth(fixed, {(MINUTE, 0): 9 * FULL}, NOW) is None


def test_a_repeat_is_nothing() -> None:
    before = site()
    for later in (0, 30_000):
        command = growth(before, {(MINUTE, 0): FULL + 1}, NOW + later)
        assert command is not None
        assert DECIDER.decide(command, before) == [LanesGrown(command.from_minute, 2)]
        after = DECIDER.fold(before, DECIDER.decide(command, before))
        assert DECIDER.decide(command, after) == []
        assert after is not None
        assert lanes_at(after.lanes, command.from_minute - 1) == 1
