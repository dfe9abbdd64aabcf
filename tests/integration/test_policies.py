"""Each function's policy allows exactly what its handler was seen to do: no more, no less."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from functions.edge.limits.rules import Rule, Rulebook, encode
from tests.integration.analytics.driving import drive as drive_analytics
from tests.integration.ratelimiter.asking import NEAR
from tests.integration.ratelimiter.driving import drive as drive_ratelimiter
from tests.integration.shortener.driving import drive as drive_shortener
from tests.support.access import Access, granted
from tests.support.cloud.replacing_moto import dynamodb_in_memory
from tests.support.deployment import routes_of
from tests.support.handlers import ROOT
from tests.support.pump import Stack
from tests.support.template import Template

# The gateway forwards to a server on this host.
pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

TEMPLATES = list(Template(ROOT / "template.yaml", {}).family())
SCOPES = "shortener:read shortener:write analytics:read analytics:write ratelimiter:read ops"
FUNCTIONS = [name for each in TEMPLATES for name in each.names("AWS::Serverless::Function")]


@pytest.fixture(scope="module")
def seen() -> Mapping[str, set[Access]]:
    """What each function did in a run through everything, faults included: each capability's in a
    stack of its own."""
    found: dict[str, set[Access]] = {name: set() for name in FUNCTIONS}
    for run, rules in (
        (drive_shortener, "[]"),
        (drive_analytics, "[]"),
        (drive_ratelimiter, "[]"),
        (drive_guard, encode(Rulebook((Rule("once", "/**", 1, 3600, identifiers=("user",)),)))),
    ):
        given = {"GuardRules": rules, **NEAR}
        with dynamodb_in_memory(), Stack([ROOT / "template.yaml"], given) as stack:
            run(stack)
            for name in FUNCTIONS:
                found[name] |= stack.meter.touched(name)
    return found


def drive_guard(stack: Stack) -> None:
    """Every route with a token: allowed once, denied, and denied when what is known is old."""
    for route in (route for each in TEMPLATES for route in routes_of(each) if route.needs_token):
        for _ in range(2):
            claims = {"custom:scopes": SCOPES}
            stack.request(route.method, route.path, user="ada", claims=claims)
            stack.clock.advance(2)


def allowed(function: str) -> set[Access]:
    """What a function may do, where codes are made as they are by default."""
    return granted(TEMPLATES, function)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_policy_allows_exactly_what_its_function_does(
    seen: Mapping[str, set[Access]], function: str
) -> None:
    assert allowed(function) == seen[function]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_nobody_may_change_or_delete_a_commit(function: str) -> None:
    changing = {"dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem"}
    found = {action for action, table in allowed(function) if table.endswith("Events")}
    # Of links that ended, one function removes the commits; it changes none either.
    deleting = {"dynamodb:DeleteItem"} if function == "ShortenerPurge" else set()
    assert found & changing == deleting
