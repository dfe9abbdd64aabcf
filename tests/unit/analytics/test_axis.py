"""Windows of local time: every moment in exactly one, days of 23 and 25 hours among them."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from functions.analytics.axis import (
    DAY_MS,
    HOUR_MS,
    Interval,
    before,
    rounded,
    whole,
    windows,
)
from functions.analytics.spans import Span, span
from functions.analytics.zones import phase_of

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "America/St_Johns"]
INTERVALS: list[Interval] = ["minute", "5m", "hour", "day", "week", "month"]
NOW = 1_793_491_200_000
MOMENTS = st.integers(NOW - 500 * DAY_MS, NOW)


def moment(text: str) -> int:
    """Epoch ms of a time of UTC."""
    return round(datetime.fromisoformat(f"{text}+00:00").timestamp() * 1000)


@given(MOMENTS, st.integers(1, 300 * HOUR_MS), st.sampled_from(ZONES), st.sampled_from(INTERVALS))
def test_windows_partition_the_span(
    since: int, length: int, timezone: str, interval: Interval
) -> None:
    phase = phase_of(timezone, NOW)
    asked = Span(since, since + length)
    wide = rounded(asked, interval, phase)
    found = windows(wide, interval, phase, timezone)
    assert wide.since <= asked.since
    assert asked.until <= wide.until
    assert rounded(wide, interval, phase) == wide
    assert (found[0].since, found[-1].until) == wide
    assert [each.until for each in found[:-1]] == [each.since for each in found[1:]]
    cells = [cell for each in found for cell in range(each.first, each.stop)]
    everything = whole(wide, interval, phase)
    assert cells == list(range(everything.first, everything.stop))
    assert all(each.first < each.stop for each in found)


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-26", 24)]
)
def test_a_local_day_has_as_many_hours_as_the_clock_shows(day: str, hours: int) -> None:
    asked = span(day, day, "Europe/Berlin")
    [found] = windows(rounded(asked, "day", 0), "day", 0, "Europe/Berlin")
    assert found.stop - found.first == hours
    assert found.until - found.since == hours * HOUR_MS


def starts(first: str, last: str, interval: Interval, timezone: str) -> list[str]:
    wide = rounded(span(first, last, timezone), interval, phase_of(timezone, NOW))
    zone = ZoneInfo(timezone)
    return [
        f"{datetime.fromtimestamp(each.since / 1000, zone):%Y-%m-%d %H:%M}"
        for each in windows(wide, interval, phase_of(timezone, NOW), timezone)
    ]


def test_weeks_begin_on_mondays_and_months_on_the_first() -> None:
    weeks = starts("2026-10-20", "2026-11-10", "week", "Europe/Berlin")
    assert weeks == [f"2026-{day} 00:00" for day in ("10-20", "10-26", "11-02", "11-09")]
    months = starts("2026-01-15", "2026-03-01", "month", "Asia/Kathmandu")
    assert months == [f"2026-{day} 00:00" for day in ("01-15", "02-01", "03-01")]


def test_a_day_begins_where_the_clock_leaves_midnight_out() -> None:
    days = starts("2026-09-05", "2026-09-07", "day", "America/Santiago")
    assert days == ["2026-09-05 00:00", "2026-09-06 01:00", "2026-09-07 00:00"]


def test_the_period_before_has_as_many_days_and_ends_where_this_begins() -> None:
    asked = span("2026-10-25", "2026-10-31", "Europe/Berlin")
    assert before(asked, "previous", "Europe/Berlin") == span(
        "2026-10-18", "2026-10-24", "Europe/Berlin"
    )
    hours = Span(asked.since + HOUR_MS, asked.since + 3 * HOUR_MS)
    assert before(hours, "previous", "Europe/Berlin") == Span(
        asked.since - HOUR_MS, asked.since + HOUR_MS
    )


def test_the_period_before_a_day_without_midnight_has_whole_days() -> None:
    asked = span("2026-09-06", "2026-09-12", "America/Santiago")
    assert before(asked, "previous", "America/Santiago") == span(
        "2026-08-30", "2026-09-05", "America/Santiago"
    )
    later = span("2027-09-06", "2027-09-06", "America/Santiago")
    assert before(later, "year", "America/Santiago") == span(
        "2026-09-06", "2026-09-06", "America/Santiago"
    )


@given(st.dates(date(2021, 1, 1), date(2026, 12, 1)), st.integers(0, 60), st.sampled_from(ZONES))
@example(date(2024, 2, 28), 0, "UTC")
@example(date(2024, 2, 29), 0, "Europe/Berlin")
def test_the_year_before_has_the_same_dates(day: date, days: int, timezone: str) -> None:
    last = day + timedelta(days=days)
    found = before(span(str(day), str(last), timezone), "year", timezone)
    zone = ZoneInfo(timezone)
    first, stop = (datetime.fromtimestamp(moment / 1000, zone).date() for moment in found)
    assert found == span(str(first), str(stop - timedelta(days=1)), timezone)
    assert first == a_year_before(day, date(day.year - 1, 2, 28))
    follows = last + timedelta(days=1)
    assert stop == a_year_before(follows, date(follows.year - 1, 3, 1))


def a_year_before(day: date, leap: date) -> date:
    """`leap` stands for the 29th of February."""
    return leap if (day.month, day.day) == (2, 29) else day.replace(year=day.year - 1)


@given(MOMENTS, st.integers(1, 300 * HOUR_MS), st.sampled_from(ZONES))
@example(moment("2024-02-28T12:00"), 18 * HOUR_MS, "UTC")
@example(moment("2026-03-30T00:30"), HOUR_MS, "Europe/Berlin")
def test_the_year_before_is_as_long_where_days_are_not_whole(
    since: int, length: int, timezone: str
) -> None:
    zone = ZoneInfo(timezone)
    asked = Span(since, since + length)
    found = before(asked, "year", timezone)
    first = datetime.fromtimestamp(since / 1000, zone)
    if first.time() != datetime.min.time():
        assert found.until - found.since == length
    assert 364 * DAY_MS < since - found.since < 367 * DAY_MS
