"""The redirect beside a store that hangs or fails, in small; `make outage` measures it in full."""

from __future__ import annotations

from tests.e2e.conftest import Stack
from tests.performance.outage import Phase, rows, run

PHASES = (Phase("healthy", 4), Phase("hangs", 7), Phase("answers 500", 2), Phase("healthy", 2))
"""The store hangs for longer than a link is fresh, so every link is wanted from it meanwhile."""


def test_hot_links_outlive_a_store_that_hangs_and_fails(stack: Stack) -> None:
    done = run(stack.port, PHASES, containers=2, rate=30)
    assert {answer.error for answer in done.answered} == {""}
    before, hangs, fails, after = rows(done)
    assert [row.redirected for row in (before, hangs, fails, after)] == [1.0] * 4
    assert before.stale == 0
    assert min(hangs.stale, fails.stale) > 0
    assert hangs.calls > 0
