"""What `make bench` measures in this process still runs; how fast it is, nobody asserts."""

from __future__ import annotations

import pytest
from limits.strategies import STRATEGIES

from tests.performance import leases, limiting, warm


# The library's storage is measured on a server of its own, where there is one.
@pytest.mark.allow_hosts(["127.0.0.1"])
def test_every_way_to_check_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limiting, "CALLS", 2)
    rows, _ = limiting.measure(1)
    named = {row.name for row in rows}
    ours = (f"{what}, {name}" for name in limiting.RULES for what in ("POST /v1/check", "limiter"))
    assert named >= {*ours, *(f"limits, {name}, memory" for name in STRATEGIES)}
    assert all(row.alone or row.whole for row in rows)


def test_a_check_that_a_lease_serves_is_measured() -> None:
    p50, p99 = leases.warm(100)
    assert 0 < p50 <= p99


def test_warm_calls_are_measured_beside_bare_ones() -> None:
    # More of them than one caller may make at once.
    measured = warm.ratios(list(warm.rounds(7)))
    assert measured.keys() == {"create", "redirect"}
    assert all(ours > 0 and bare > 0 for ours, bare, _ in measured.values())
