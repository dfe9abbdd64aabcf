"""Cold start is imports: every handler stays within its budget of modules.

The count is what the gate can rely on; `make bench` measures the CPU that it stands for.
"""

from __future__ import annotations

import pytest

from tests.performance.cold_start import BARE, modules, start
from tests.support.handlers import handler_modules

HOT = {
    "functions.analytics.handlers.track": 44,
    "functions.ratelimiter.handlers.check": 44,
    # A check, and ten small modules of its own.
    "functions.ratelimiter.handlers.gateway": 54,
    "functions.shortener.handlers.redirect": 44,
}
"""A dozen of them are the guard, which every route has: 5 ms of CPU."""
BUDGET = 160
"""Modules beyond those of a bare botocore client: our own, pydantic (90) or powertools (100)."""


@pytest.mark.parametrize("module", handler_modules())
def test_a_handler_stays_within_its_budget(module: str) -> None:
    budget = HOT.get(module, BUDGET)
    assert len(modules(start(module)) - modules(BARE)) <= budget


@pytest.mark.parametrize("module", sorted(HOT))
@pytest.mark.parametrize("heavy", ["pydantic", "aws_lambda_powertools", "boto3", "idna"])
def test_a_hot_path_imports_nothing_heavy(module: str, heavy: str) -> None:
    assert heavy not in modules(start(module))
