from __future__ import annotations

import pytest

from functions.edge.identity import Claims, Identity
from tests.unit.edge.conftest import event

NAMES = Claims()


@pytest.mark.parametrize(
    ("claim", "scopes"),
    [
        pytest.param("[notes:read notes:write]", {"notes:read", "notes:write"}, id="list"),
        pytest.param("[notes:read]", {"notes:read"}, id="list-of-one"),
        pytest.param("[]", set(), id="empty-list"),
        pytest.param("notes:read notes:write", {"notes:read", "notes:write"}, id="spaces"),
        pytest.param("notes:read,notes:write", {"notes:read", "notes:write"}, id="commas"),
        pytest.param("[a, b]", {"a", "b"}, id="commas-in-a-list"),
        pytest.param("", set(), id="empty"),
    ],
)
def test_scopes_arrive_as_a_string_in_any_form(claim: str, scopes: set[str]) -> None:
    identity = Identity.of(event(claims={"sub": "alice", "custom:scopes": claim}), NAMES)
    assert identity is not None
    assert identity.scopes == scopes


@pytest.mark.parametrize(
    "blank", [{}, {"custom:tenant": "", "custom:tier": ""}], ids=["absent", "empty"]
)
def test_without_claims_a_caller_is_of_the_default_tenant_on_the_free_tier_and_may_nothing(
    blank: dict[str, str],
) -> None:
    identity = Identity.of(event(claims={"sub": "alice", **blank}), NAMES)
    assert identity == Identity("alice", "default", "free", frozenset())


def test_the_names_of_the_claims_are_configured() -> None:
    names = Claims(tenant_claim="org", tier_claim="plan", scopes_claim="scope")
    claims = {"sub": "alice", "org": "acme", "plan": "premium", "scope": "a b", "custom:tier": "x"}
    expected = Identity("alice", "acme", "premium", frozenset("ab"))
    assert Identity.of(event(claims=claims), names) == expected


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"authorizer": None},
        {"authorizer": {}},
        {"authorizer": {"jwt": {"claims": {}}}},
        {"authorizer": {"jwt": {"claims": {"sub": ""}}}},
    ],
    ids=["none", "null", "empty", "no-claims", "empty-subject"],
)
def test_without_a_subject_nobody_is_calling(context: dict[str, object]) -> None:
    assert Identity.of({"requestContext": context}, NAMES) is None
