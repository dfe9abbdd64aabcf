from __future__ import annotations

import pytest

from functions.edge.limits.limiter import Limiter
from functions.edge.limits.rules import Asked, Rule
from tests.unit.edge.limits.table import Table

NOW = 1_795_000_000_000
RULE = Rule("log", "/**", 100, 60, algorithm="sliding_log")
ASKED = Asked("/", "GET", {"user": "ada"})


@pytest.mark.parametrize("closed", [True, False])
def test_a_crowd_on_one_bucket_gets_nobody_through_uncounted(closed: bool) -> None:
    table, rules = Table(), [RULE._replace(closed=closed)]
    limiter, others = Limiter(table.container()), Limiter(table.container())
    table.rival = lambda: others.check("default", rules, ASKED, NOW)
    [decision] = limiter.check("default", rules, ASKED, NOW)
    assert not decision.allows
    assert decision.verdict is not None
    assert decision.verdict.wait > 0
