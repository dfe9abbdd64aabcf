"""How often a caller may use our own routes: by default, by rules, and where it cannot be told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from functions.edge.limits.rules import Rule, Rulebook, encode
from functions.edge.settings import InvalidSettings
from tests.integration.contract import Contract
from tests.support.cloud.replacing_moto import dynamodb_in_memory
from tests.support.deployment import routes_of
from tests.support.handlers import ROOT
from tests.support.http_api import Response
from tests.support.meter import LIMITS
from tests.support.pump import Stack
from tests.support.template import Template

AT_ONCE, PER_SECOND = 300, 5
SCOPES = {
    "custom:scopes": "shortener:read shortener:write analytics:read analytics:write"
    " ratelimiter:read ratelimiter:write ops"
}
ROUTES = [
    route
    for template in Template(ROOT / "template.yaml", {}).family()
    for route in routes_of(template)
]
OF_USERS = [route for route in ROUTES if route.needs_token]
NEVER = Rule("never", "/**", 0, 60)
LISTS = '{"rules": [], "allow": [["user", "ada"]]}'
OF_SERVICES = {"POST /v1/check", "POST /v1/adjust"}


def guarded(rules: str) -> Iterator[Stack]:
    with dynamodb_in_memory(), Stack([ROOT / "template.yaml"], {"GuardRules": rules}) as stack:
        yield stack


@pytest.fixture(scope="module")
def shared() -> Iterator[Stack]:
    yield from guarded("")


@pytest.fixture
def stack(shared: Stack) -> Stack:
    shared.reset()
    return shared


def ask(stack: Stack, key: str, user: str = "ada") -> Response:
    method, path = key.split(" ")
    return stack.request(method, path, user=user, claims=SCOPES)


def counted(stack: Stack) -> int:
    """How many calls the guard has made."""
    return sum(any(of == LIMITS for _, of in call.accesses) for call in stack.meter.calls)


@pytest.mark.parametrize("key", sorted(r.key for r in OF_USERS if r.key not in OF_SERVICES))
def test_every_route_of_a_user_is_counted_by_one_call(stack: Stack, key: str) -> None:
    headers = ask(stack, key).headers
    assert headers["x-ratelimit-limit"] == str(AT_ONCE)
    assert headers["x-ratelimit-remaining"] == str(AT_ONCE - 1)
    assert counted(stack) == 1
    assert ask(stack, key).headers["x-ratelimit-remaining"] == str(AT_ONCE - 2)
    assert counted(stack) == 2


@pytest.mark.parametrize(
    "key", [*sorted(r.key for r in ROUTES if not r.needs_token), *sorted(OF_SERVICES)]
)
def test_what_is_public_or_of_a_service_is_guarded_without_a_call(stack: Stack, key: str) -> None:
    ask(stack, key)
    assert counted(stack) == 0


@pytest.fixture(scope="module")
def narrow() -> Iterator[Stack]:
    kinds = ("user", "ip", "service")
    yield from guarded(encode(Rulebook((Rule("once", "/**", 1, 2_592_000, identifiers=kinds),))))


@pytest.mark.parametrize("key", sorted(route.key for route in ROUTES))
def test_every_route_refuses_as_documented(narrow: Stack, key: str) -> None:
    ask(narrow, key)
    answer = ask(narrow, key)
    assert answer.status == 429
    assert int(answer.headers["retry-after"]) == 2_592_000
    if not key.startswith("ANY "):
        Contract().check(key, answer)


def test_three_hundred_at_once_then_five_a_second(stack: Stack) -> None:
    found = [ask(stack, "GET /v1/links").status for _ in range(AT_ONCE)]
    assert set(found) == {200}
    refused = ask(stack, "GET /v1/links")
    assert refused.status == 429
    assert refused.json()["errors"][0]["field"] == "user"
    assert refused.headers["retry-after"] == "1"
    stack.clock.advance(1)
    found = [ask(stack, "GET /v1/links").status for _ in range(PER_SECOND + 1)]
    assert found == [200] * PER_SECOND + [429]


def test_who_is_refused_on_one_route_may_use_the_others_and_others_may_use_it(
    stack: Stack,
) -> None:
    while ask(stack, "GET /v1/links").status == 200:
        pass
    assert ask(stack, "GET /v1/sites").status == 200
    assert ask(stack, "GET /v1/links", user="bob").status == 200


def test_what_is_refused_does_nothing(stack: Stack) -> None:
    while ask(stack, "GET /v1/links").status == 200:
        pass
    with stack.meter.operation("refused") as bill:
        assert ask(stack, "GET /v1/links").status == 429
    assert bill.calls == []


def test_who_lacks_the_scope_is_not_counted(stack: Stack) -> None:
    answer = stack.request("GET", "/v1/links", user="ada", claims={"custom:scopes": "nothing"})
    assert answer.status == 403
    assert counted(stack) == 0


def test_a_visitor_of_links_is_refused_by_the_container_alone(stack: Stack) -> None:
    found = [ask(stack, "GET /nosuch1").status for _ in range(601)]
    assert found == [404] * 600 + [429]
    assert counted(stack) == 0
    stack.clock.advance(1)
    assert ask(stack, "GET /nosuch1").status == 404


def test_a_table_that_does_not_answer_lets_everybody_through_and_is_told(stack: Stack) -> None:
    stack.faults.lose_response("dynamodb", "UpdateItem")
    assert ask(stack, "GET /v1/links").status == 200
    assert stack.logs[-1]["unguarded"] == 1
    assert ask(stack, "GET /v1/links").headers["x-ratelimit-remaining"] == str(AT_ONCE - 2)


def test_a_deployment_has_rules_of_its_own() -> None:
    rules = (
        Rule("reads", "/v1/**", 2, 60, methods=("GET",), identifiers=("user",)),
        Rule("paid", "/v1/links", 5, 60, identifiers=("tenant",), tier="paid", closed=True),
    )
    for stack in guarded(encode(Rulebook(rules))):
        found = [ask(stack, "GET /v1/links").status for _ in range(3)]
        assert found == [200, 200, 429]
        assert ask(stack, "POST /v1/links").status == 400
        claims = {**SCOPES, "custom:tier": "paid"}
        stack.faults.lose_response("dynamodb", "UpdateItem")
        answer = stack.request("POST", "/v1/links", user="eve", claims=claims)
        assert answer.status == 503


@pytest.mark.parametrize(
    "text", ["{", "5", '["few"]', '[{"name": "few"}]', LISTS, encode(Rulebook((NEVER,)))]
)
def test_rules_that_are_none_are_a_fault_of_the_deployment(text: str) -> None:
    for stack in guarded(text):
        with pytest.raises(InvalidSettings, match="GUARD_RULES"):
            ask(stack, "GET /v1/links")
