"""Facts, and the arithmetic of lanes, minutes, hours and days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from functions.analytics.facts import (
    MAX_VALUE,
    Fact,
    bounded,
    bucket,
    bucket_of,
    day_of,
    decode,
    encode,
    hour_of,
    hours_of,
    lane_of,
    lanes_at,
    minute_of,
    minutes_of,
    parts,
    short,
)

ZONES = ["UTC", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe"]
PHASES = st.sampled_from([0, 15, 30, 45])
MINUTES = st.integers(0, 10**9 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
VALUES = st.none() | TEXT.filter(bool)
FACTS = st.builds(
    Fact,
    id=TEXT,
    site=st.sampled_from(["abcdefghijkl", "link:default/spring"]),
    at=st.integers(0, 10**14),
    name=TEXT.filter(bool),
    visitor=VALUES,
    page=VALUES,
    link=VALUES,
    referrer=VALUES,
    country=VALUES,
    device=VALUES,
    browser=VALUES,
    os=VALUES,
    utm=st.tuples(VALUES, VALUES, VALUES, VALUES, VALUES),
    props=st.dictionaries(TEXT, TEXT, max_size=3).map(lambda each: tuple(sorted(each.items()))),
    machine=st.none() | st.sampled_from(["bot", "head"]),
)


@given(FACTS)
@example(Fact("1", "abcdefghijkl", 0, "pageview"))
def test_a_fact_is_read_as_it_was_written(fact: Fact) -> None:
    assert decode(encode(fact)) == fact


def test_what_a_fact_has_not_is_not_written_and_a_field_of_a_later_day_is_passed_over() -> None:
    fact = Fact("1", "abcdefghijkl", 5, "pageview", page="/")
    assert encode(fact) == '{"id":"1","site":"abcdefghijkl","at":5,"name":"pageview","page":"/"}'
    assert decode(encode(fact).replace('"page"', '"tint":"red","page"')) == fact


@given(st.text(max_size=400))
@example("\ud83d")
@example("é" * MAX_VALUE)
@example("a\tb\x00c\u2028d")
def test_a_value_fits_into_a_key(text: str) -> None:
    cut = short(text)
    assert len(cut.encode()) <= MAX_VALUE
    assert not {"\t", "\n", "\x00", "\u2028"} & set(cut)
    assert short(cut) == cut


def test_a_bounded_fact_has_no_value_beyond_bounds_and_none_that_is_empty() -> None:
    long = "é" * MAX_VALUE
    fact = bounded(
        Fact("1", "s", 0, long, page=long, referrer="\t", utm=(long, "", None, None, None))
        ._replace(props=(("z", long), ("a", "\x00")))
    )  # fmt: skip
    cut = "é" * (MAX_VALUE // 2)
    assert fact == Fact(
        "1", "s", 0, cut, page=cut, utm=(cut, None, None, None, None), props=(("z", cut),)
    )


@given(MINUTES, PHASES)
def test_hours_partition_the_minutes(minute: int, phase: int) -> None:
    hour = hour_of(minute, phase)
    assert minute in minutes_of(hour, phase)
    assert len(minutes_of(hour, phase)) == 60
    assert minutes_of(hour, phase).stop == minutes_of(hour + 1, phase).start


@given(st.integers(0, 10**7))
def test_days_partition_the_hours(hour: int) -> None:
    assert hour in hours_of(day_of(hour))
    assert len(hours_of(day_of(hour))) == 24
    assert day_of(hours_of(day_of(hour)).stop) > day_of(hour)


@pytest.mark.parametrize("zone", ZONES)
@given(moment=st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)))
def test_a_local_midnight_begins_an_hour(zone: str, moment: datetime) -> None:
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=ZoneInfo(zone))
    offset = midnight.utcoffset()
    assert offset is not None
    phase = offset // timedelta(minutes=1) % 60
    minute = minute_of(int(midnight.astimezone(UTC).timestamp() * 1000))
    assert minutes_of(hour_of(minute, phase), phase).start == minute


def test_a_day_is_written_as_its_date() -> None:
    noon = datetime(2028, 2, 29, 12, tzinfo=UTC)
    assert day_of(hour_of(minute_of(int(noon.timestamp() * 1000)), 0)) == "2028-02-29"
    assert hours_of("1970-01-02") == range(24, 48)
    assert hours_of(date.max.isoformat()).start > 0


@given(TEXT, st.integers(1, 64))
def test_a_lane_is_one_of_those_there_are_and_always_the_same(id: str, lanes: int) -> None:
    assert 0 <= lane_of(id, lanes) < lanes
    assert lane_of(id, lanes) == lane_of(id, lanes)


def test_lanes_share_the_facts_out() -> None:
    used = [lane_of(f"{number:024x}", 8) for number in range(8_000)]
    assert all(800 < used.count(lane) < 1_200 for lane in range(8))


@given(MINUTES, st.lists(st.tuples(MINUTES, st.integers(1, 64)), max_size=4), st.integers(1, 64))
def test_more_lanes_later_change_no_earlier_minute(
    minute: int, grown: list[tuple[int, int]], more: int
) -> None:
    lanes = ((0, 1), *sorted(grown))
    assert lanes_at((*lanes, (10**9, more)), minute) == lanes_at(lanes, minute)


def test_lanes_hold_from_their_minute_on() -> None:
    lanes = ((0, 1), (100, 4), (200, 16))
    assert [lanes_at(lanes, minute) for minute in (0, 99, 100, 199, 200, 10**8)] == [
        *(1, 1, 4, 4, 16, 16)
    ]


@given(st.sampled_from(["abcdefghijkl", "link:default/a-b"]), MINUTES, st.integers(0, 99))
def test_a_bucket_tells_its_parts(site: str, minute: int, lane: int) -> None:
    assert parts(bucket(site, minute, lane)) == (site, minute, lane)


@given(MINUTES, MINUTES)
def test_buckets_sort_by_minute(one: int, other: int) -> None:
    assert (bucket("s", one, 0) < bucket("s", other, 0)) == (one < other)


@pytest.mark.parametrize("key", ["", "a", "a#b", "a#b#c", "dirty#site#x"])
def test_what_is_no_bucket_has_no_parts(key: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parts(key)


@given(FACTS)
def test_a_fact_is_in_the_bucket_of_its_minute(fact: Fact) -> None:
    site, minute, lane = parts(bucket_of(fact, ((0, 3),)))
    assert (site, minute) == (fact.site, minute_of(fact.at))
    assert lane == lane_of(fact.id, 3)
