"""Visitors' digests and the periods that they live for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.analytics.visitors import (
    Identity,
    anonymous,
    known,
    opted_out,
    period_at,
)

SALT, OTHER = b"s" * 32, b"t" * 32
MOMENTS = st.integers(0, 4_000_000_000_000)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("identity", "moment", "name", "end"),
    [
        ("day", "2026-11-21T23:59:59", "day#2026-11-21", "2026-11-22"),
        ("week", "2026-11-22T23:59:59", "week#2026-11-16", "2026-11-23"),
        ("week", "2026-11-23T00:00:00", "week#2026-11-23", "2026-11-30"),
        ("month", "2026-12-31T12:00:00", "month#2026-12-01", "2027-01-01"),
        ("month", "2028-02-29T12:00:00", "month#2028-02-01", "2028-03-01"),
    ],
)
def test_a_period_is_one_of_the_calendars(
    identity: Identity, moment: str, name: str, end: str
) -> None:
    assert period_at(identity, at(moment)) == (name, at(end))


@given(st.sampled_from(["day", "week", "month"]), MOMENTS)
def test_periods_follow_on_each_other(identity: Identity, moment: int) -> None:
    period = period_at(identity, moment)
    assert moment < period.end
    assert period_at(identity, period.end - 1) == period
    assert period_at(identity, period.end).name != period.name


def test_a_visitor_is_the_same_by_salt_site_address_and_agent_alone() -> None:
    digest = anonymous(SALT, "a", "192.0.2.1", "Mozilla")
    assert len(digest) == 16
    assert anonymous(SALT, "a", "192.0.2.1", "Mozilla") == digest
    others = [
        anonymous(OTHER, "a", "192.0.2.1", "Mozilla"),
        anonymous(SALT, "b", "192.0.2.1", "Mozilla"),
        anonymous(SALT, "a", "192.0.2.2", "Mozilla"),
        anonymous(SALT, "a", "192.0.2.1", "Opera\ud83d"),
        known(SALT, "a", "192.0.2.1"),
    ]
    assert len({digest, *others}) == 6


@pytest.mark.parametrize(
    ("headers", "asked"),
    [
        ({"sec-gpc": "1"}, True),
        ({"dnt": "1"}, True),
        ({"sec-gpc": "0", "dnt": "0"}, False),
        ({}, False),
    ],
)
def test_a_browser_may_ask_to_be_left_alone(headers: dict[str, str], asked: bool) -> None:
    assert opted_out(headers) == asked
