"""Sites over HTTP: made, changed, looked at as they were, and nobody else's business."""

from __future__ import annotations

from typing import Any

import pytest

from functions.analytics.decider import MAX_GOALS
from functions.edge.validation import to_text
from tests.integration.analytics.sites import (
    ANY,
    FUNNEL,
    GOAL,
    UNKNOWN,
    ask,
    change,
    kind,
    make,
)
from tests.support.pump import Stack


def test_a_site_is_made_with_what_is_given_and_defaults(stack: Stack) -> None:
    body = {
        "name": "Shop",
        "origins": ["HTTPS://Shop.example:443", "http://localhost:8080"],
        "timezone": "Asia/Kathmandu",
    }
    answer = ask(stack, "POST", "", 201, json=body)
    made = answer.json()
    assert len(made["id"]) == 12
    assert answer.headers["location"].endswith(f"/v1/sites/{made['id']}")
    assert answer.headers["etag"] == '"1"'
    assert made["origins"] == ["https://shop.example", "http://localhost:8080"]
    assert made["timezone"] == "Asia/Kathmandu"
    assert (made["ledger"], made["identity"], made["retention_days"]) == ("exact", "day", 365)
    assert made["pairs"] == [["page", "country"], ["page", "device"], ["country", "device"]]
    assert "page*country" in made["rollups"]
    assert ask(stack, "GET", f"/{made['id']}").json() == made


def test_a_repeated_create_is_the_same_site(stack: Stack) -> None:
    once = {"idempotency-key": "k1"}
    first = ask(stack, "POST", "", 201, json={"name": "Shop"}, headers=once)
    stack.advance(60)
    again = ask(stack, "POST", "", 201, json={"name": "Shop"}, headers=once)
    assert again.json() == first.json()
    other = ask(stack, "POST", "", 422, json={"name": "Other"}, headers=once)
    assert kind(other) == "idempotency_key_reused"
    theirs = ask(stack, "POST", "", 201, user="bob", json={"name": "Shop"}, headers=once)
    assert theirs.json()["id"] != first.json()["id"]


def test_a_site_is_changed_field_by_field_and_read_as_it_was(stack: Stack) -> None:
    site = make(stack)
    stack.advance(60)
    between = ask(stack, "GET", f"/{site}").headers
    moment = to_text(stack.clock.now())
    stack.advance(60)
    body = {"name": "Store", "properties": ["plan"], "pairs": [["prop:plan", "country"]]}
    edited = ask(
        stack, "PATCH", f"/{site}", json=body, headers={"if-match": between["etag"]}
    ).json()
    assert edited["version"] == 4
    assert edited["name"] == "Store"
    assert edited["rollups"][-2:] == ["prop:plan", "prop:plan*country"]
    assert ask(stack, "GET", f"/{site}", query={"at": "1"}).json()["name"] == "Shop"
    ask(stack, "GET", f"/{site}", 404, query={"at": "2026-01-01T00:00:00Z"})
    then = ask(stack, "GET", f"/{site}", query={"at": moment}).json()
    assert (then["version"], then["name"]) == (1, "Shop")
    types = [item["type"] for item in ask(stack, "GET", f"/{site}/history").json()["items"]]
    assert types == ["SiteCreated", "SiteRenamed", "SitePropertiesChanged", "SitePairsChanged"]


def test_null_sets_what_a_new_site_has(stack: Stack) -> None:
    site = make(stack, retention_days=30, pairs=[])
    cleared = change(stack, site, json={"retention_days": None, "pairs": None, "origins": None})
    assert (cleared["retention_days"], cleared["origins"]) == (365, [])
    assert len(cleared["pairs"]) == 3
    refused = ask(stack, "PATCH", f"/{site}", 422, json={"name": None}, headers=ANY)
    assert refused.json()["errors"] == [{"field": "name", "reason": "cannot be cleared"}]


def test_a_change_wants_the_version_that_it_is_of(stack: Stack) -> None:
    site = make(stack)
    for method, below, body in (
        ("PATCH", "", {"name": "x"}),
        ("DELETE", "", None),
        ("PUT", "/goals/buy", GOAL),
        ("DELETE", "/goals/buy", None),
        ("PUT", "/funnels/buy", FUNNEL),
        ("DELETE", "/funnels/buy", None),
    ):
        ask(stack, method, f"/{site}{below}", 428, json=body)
        ask(stack, method, f"/{site}{below}", 412, json=body, headers={"if-match": '"9"'})


def test_a_repeated_change_is_made_once(stack: Stack) -> None:
    site = make(stack)
    once = {"if-match": '"1"', "idempotency-key": "e1"}
    first = ask(stack, "PATCH", f"/{site}", json={"name": "Store"}, headers=once)
    change(stack, site, json={"name": "Third"})
    again = ask(stack, "PATCH", f"/{site}", json={"name": "Store"}, headers=once)
    assert again.json() == first.json()
    assert ask(stack, "GET", f"/{site}").json()["version"] == 3


def test_goals_and_funnels_are_set_replaced_and_removed(stack: Stack) -> None:
    site = make(stack)
    assert change(stack, site, "/goals/buy", "PUT", json=GOAL)["goals"] == [{"name": "buy", **GOAL}]
    other = {"what": "event", "pattern": "paid"}
    assert change(stack, site, "/goals/buy", "PUT", json=other)["goals"] == [
        {"name": "buy", **other}
    ]
    same = change(stack, site, "/goals/buy", "PUT", json=other)
    assert same["version"] == 3
    [funnel] = change(stack, site, "/funnels/buy", "PUT", json=FUNNEL)["funnels"]
    assert funnel == {"name": "buy", "window_seconds": 86_400, **FUNNEL}
    assert change(stack, site, "/goals/buy", "DELETE")["goals"] == []
    assert change(stack, site, "/funnels/buy", "DELETE")["funnels"] == []
    for below in ("/goals/buy", "/funnels/buy"):
        ask(stack, "DELETE", f"/{site}{below}", 404, headers=ANY)


def test_a_site_has_so_many_goals_at_most(stack: Stack) -> None:
    site = make(stack)
    for number in range(MAX_GOALS):
        change(stack, site, f"/goals/g{number}", "PUT", json=GOAL)
    refused = ask(stack, "PUT", f"/{site}/goals/more", 422, json=GOAL, headers=ANY)
    assert refused.json()["errors"][0]["field"] == "name"
    change(stack, site, "/goals/g0", "PUT", json={"what": "event", "pattern": "x"})


def test_a_deleted_site_is_gone_and_its_history_stays(stack: Stack) -> None:
    site = make(stack)
    ask(stack, "DELETE", f"/{site}", 204, headers=ANY)
    ask(stack, "GET", f"/{site}", 410)
    assert ask(stack, "GET", f"/{site}", query={"at": "1"}).json()["deleted"] is False
    for method, below, body in (
        ("PATCH", "", {}),
        ("DELETE", "", None),
        ("PUT", "/goals/buy", GOAL),
        ("DELETE", "/funnels/buy", None),
    ):
        ask(stack, method, f"/{site}{below}", 410, json=body, headers=ANY)
    items = ask(stack, "GET", f"/{site}/history").json()["items"]
    assert [item["type"] for item in items] == ["SiteCreated", "SiteDeleted"]
    stack.drain()
    assert ask(stack, "GET").json()["items"] == []


@pytest.mark.parametrize("who", [{"user": "mallory"}, {"claims": {"custom:tenant": "other"}}])
def test_anothers_site_is_not_found_whatever_is_asked(stack: Stack, who: dict[str, Any]) -> None:
    site = make(stack)
    for method, below, body in (
        ("GET", "", None),
        ("GET", "/history", None),
        ("PATCH", "", {"name": "mine"}),
        ("DELETE", "", None),
        ("PUT", "/goals/buy", GOAL),
        ("DELETE", "/goals/buy", None),
        ("PUT", "/funnels/buy", FUNNEL),
        ("DELETE", "/funnels/buy", None),
    ):
        theirs = ask(stack, method, f"/{site}{below}", 404, json=body, headers=ANY, **who)
        unknown = ask(stack, method, f"/{UNKNOWN}{below}", 404, json=body, headers=ANY, **who)
        hidden = ("request_id",)
        assert {k: v for k, v in theirs.json().items() if k not in hidden} == {
            k: v for k, v in unknown.json().items() if k not in hidden
        }
    assert ask(stack, "GET", f"/{site}").json()["version"] == 1


def test_a_site_moves_to_a_zone_of_the_same_minutes_alone(stack: Stack) -> None:
    site = make(stack, timezone="Europe/Berlin")
    assert change(stack, site, json={"timezone": "America/New_York"})["version"] == 2
    refused = ask(stack, "PATCH", f"/{site}", 422, json={"timezone": "Asia/Kolkata"}, headers=ANY)
    [error] = refused.json()["errors"]
    assert error["field"] == "timezone"
    assert "hours begin at other minutes" in error["reason"]


def test_a_property_that_a_pair_needs_stays(stack: Stack) -> None:
    site = make(stack, properties=["plan"], pairs=[["prop:plan", "country"]])
    refused = ask(stack, "PATCH", f"/{site}", 422, json={"properties": []}, headers=ANY)
    assert refused.json()["errors"][0]["field"] == "pairs"
    change(stack, site, json={"properties": [], "pairs": []})


def test_sites_are_listed_newest_first_page_by_page_to_their_owner(stack: Stack) -> None:
    made = []
    for number in range(5):
        made.append(make(stack, name=f"Site {number}"))
        stack.advance(1)
    make(stack, user="bob")
    stack.drain()
    seen: list[str] = []
    query = {"limit": "2"}
    while True:
        page = ask(stack, "GET", query=query).json()
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query = {"limit": "2", "cursor": page["next_cursor"]}
    assert seen == made[::-1]
    theirs = ask(stack, "GET", "", 400, user="bob", query={"cursor": query["cursor"]})
    assert kind(theirs) == "bad_cursor"
    assert kind(ask(stack, "GET", "", 422, query={"nonsense": "1"})) == "invalid"


def test_a_whole_history_is_paged_and_shown_to_its_owner(stack: Stack) -> None:
    site = make(stack)
    change(stack, site, json={"name": "a", "retention_days": 2, "identity": "week"})
    seen: list[int] = []
    query = {"limit": "2"}
    while True:
        page = ask(stack, "GET", f"/{site}/history", query=query).json()
        seen += [item["version"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query = {"limit": "2", "cursor": page["next_cursor"]}
    assert seen == [1, 2, 3, 4]
    ask(stack, "GET", f"/{site}/history", 404, user="bob")
