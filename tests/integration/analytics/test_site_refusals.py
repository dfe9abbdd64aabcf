"""What cannot be a site, a goal or a funnel is refused, and the field at fault is named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.analytics.sites import ANY, FUNNEL, GOAL, OWNER, ask, kind, make
from tests.support.handlers import ROOT
from tests.support.pump import Stack


@pytest.fixture(scope="module")
def shared() -> Iterator[Stack]:
    """One stack for what is refused, which leaves nothing behind."""
    with Stack([ROOT / "template.yaml"]) as stack:
        yield stack


@pytest.mark.parametrize("site", ["a", "A" * 12, "a" * 13, "a" * 3000, "shop.example", "a#b"])
def test_what_cannot_be_an_id_is_not_looked_up(shared: Stack, site: str) -> None:
    quoted = site.replace("#", "%23")
    with shared.meter.operation("no id") as bill:
        ask(shared, "GET", f"/{quoted}", 404)
        ask(shared, "PATCH", f"/{quoted}", 404, json={}, headers=ANY)
    assert bill.calls == []


@pytest.mark.parametrize("name", ["-a", "A", "a b", "a" * 41, "a.b", "a%23"])
def test_what_cannot_be_a_name_is_refused(shared: Stack, name: str) -> None:
    site = make(shared)
    for part, body in (("goals", GOAL), ("funnels", FUNNEL)):
        path = f"/{site}/{part}/{name.replace(' ', '%20')}"
        refused = ask(shared, "PUT", path, 422, json=body, headers=ANY)
        assert refused.json()["errors"][0]["field"] == "name"


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("name", {}),
        ("name", {"name": ""}),
        ("name", {"name": "a\x00b"}),
        ("id", {"name": "x", "id": "mine"}),
        ("origins.0", {"name": "x", "origins": ["example.com"]}),
        ("origins.0", {"name": "x", "origins": ["https://example.com/"]}),
        ("origins.0", {"name": "x", "origins": ["https://*.example.com"]}),
        ("origins.0", {"name": "x", "origins": ["https://user@example.com"]}),
        ("origins.0", {"name": "x", "origins": ["https://intranet"]}),
        ("origins.0", {"name": "x", "origins": ["https://example.com:99999"]}),
        ("origins.0", {"name": "x", "origins": ["null"]}),
        ("origins", {"name": "x", "origins": [f"https://a{n}.example" for n in range(21)]}),
        ("origins", {"name": "x", "origins": ["https://a.example", "https://A.example:443"]}),
        ("timezone", {"name": "x", "timezone": "Mars/Olympus"}),
        ("timezone", {"name": "x", "timezone": "../etc/passwd"}),
        ("timezone", {"name": "x", "timezone": "America"}),
        ("timezone", {"name": "x", "timezone": "posix/UTC"}),
        ("timezone", {"name": "x", "timezone": "Australia/Lord_Howe"}),
        ("retention_days", {"name": "x", "retention_days": 0}),
        ("retention_days", {"name": "x", "retention_days": 1826}),
        ("retention_days", {"name": "x", "retention_days": 1.5}),
        ("ledger", {"name": "x", "ledger": "vague"}),
        ("identity", {"name": "x", "identity": "year"}),
        ("properties.0", {"name": "x", "properties": ["a b"]}),
        ("properties", {"name": "x", "properties": ["a", "a"]}),
        ("properties", {"name": "x", "properties": [f"p{n}" for n in range(21)]}),
        ("pairs", {"name": "x", "pairs": [["page", "weather"]]}),
        ("pairs", {"name": "x", "pairs": [["page", "page"]]}),
        ("pairs", {"name": "x", "pairs": [["page", "country"], ["country", "page"]]}),
        ("pairs", {"name": "x", "pairs": [["page", "prop:plan"]]}),
        ("pairs", {"name": "x", "pairs": [["page", "machine"]]}),
        ("pairs.0", {"name": "x", "pairs": [["page"]]}),
        ("blocked_referrers.0", {"name": "x", "blocked_referrers": ["https://spam.example"]}),
    ],
)
def test_what_cannot_be_a_site_is_refused_and_named(
    shared: Stack, field: str, body: dict[str, Any]
) -> None:
    with shared.meter.operation("refused") as bill:
        refused = ask(shared, "POST", "", 422, json=body)
    assert [error["field"] for error in refused.json()["errors"]] == [field]
    assert bill.calls == []


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("steps", {"steps": [FUNNEL["steps"][0]]}),
        ("steps", {"steps": [FUNNEL["steps"][0]] * 11}),
        ("steps.0.pattern", {"steps": [{"what": "page", "pattern": ""}, *FUNNEL["steps"]]}),
        ("steps.0.what", {"steps": [{"what": "click", "pattern": "x"}, *FUNNEL["steps"]]}),
        ("window_seconds", {**FUNNEL, "window_seconds": 0}),
    ],
)
def test_what_cannot_be_a_funnel_is_refused_and_named(
    shared: Stack, field: str, body: dict[str, Any]
) -> None:
    site = make(shared)
    refused = ask(shared, "PUT", f"/{site}/funnels/buy", 422, json=body, headers=ANY)
    assert [error["field"] for error in refused.json()["errors"]] == [field]


@pytest.mark.parametrize("scopes", ["", "shortener:read shortener:write"])
def test_a_token_needs_the_scope(shared: Stack, scopes: str) -> None:
    claims = {"custom:scopes": scopes}
    assert kind(ask(shared, "GET", "", 403, claims=claims)) == "missing_scope"
    assert kind(ask(shared, "POST", "", 403, claims=claims, json={"name": "x"})) == "missing_scope"
    assert OWNER not in str(shared.logs)
