from __future__ import annotations

import pytest

from functions.analytics.zones import phase_of, zone
from tests.unit.analytics.sites import NOW


@pytest.mark.parametrize(
    ("name", "phase"),
    [
        ("UTC", 0),
        ("Europe/Berlin", 0),
        ("America/St_Johns", 30),
        ("Asia/Kolkata", 30),
        ("Asia/Kathmandu", 45),
        ("Pacific/Chatham", 45),
        ("America/Argentina/Buenos_Aires", 0),
        ("Antarctica/Troll", 0),
        ("Etc/GMT+5", 0),
    ],
)
def test_hours_begin_as_many_minutes_before_the_full_hour_as_the_offset_says(
    name: str, phase: int
) -> None:
    assert phase_of(name, NOW) == phase


def test_a_zone_whose_minutes_change_with_the_season_is_refused() -> None:
    with pytest.raises(ValueError, match="same quarter"):
        phase_of("Australia/Lord_Howe", NOW)


@pytest.mark.parametrize(
    "name",
    ["", "Mars", "America", "../etc/passwd", "/etc/passwd", "posix/UTC", "localtime", "right/UTC",
     "Europe/Berlin\n", "Europe\x00", "A" * 65, "Europe/../UTC"],
)  # fmt: skip
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="IANA"):
        zone(name)
