"""What people read in a terminal."""

from __future__ import annotations

import pytest

from millrace.terminal import counted


@pytest.mark.parametrize(
    ("number", "told"),
    [(0, "0 links"), (1, "1 link"), (2, "2 links"), (10_000, "10,000 links")],
)
def test_a_number_and_what_it_counts(number: int, told: str) -> None:
    assert counted(number, "link") == told
