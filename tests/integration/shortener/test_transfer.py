"""POST /v1/links/{code}/transfer: a link changes hands within its tenant, and only by its owner."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.http_api import Response
from tests.support.pump import Stack

URL = "https://example.com/"
LINK = "/v1/links/poster"
ANY = {"if-match": "*"}


@pytest.fixture
def given(stack: Stack) -> dict[str, Any]:
    """A link of alice's."""
    body = {"long_url": URL, "alias": "poster"}
    made: dict[str, Any] = stack.request("POST", "/v1/links", user="alice", json=body).json()
    return made


def transfer(
    stack: Stack, owner: Any, user: str = "alice", claims: Any = None, **headers: str
) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return stack.request(
        "POST",
        f"{LINK}/transfer",
        user=user,
        claims=claims,
        json={"owner": owner},
        headers={**ANY, **named},
    )


def listed(stack: Stack, user: str) -> list[str]:
    stack.drain()
    return [link["code"] for link in stack.request("GET", "/v1/links", user=user).json()["items"]]


def test_a_link_goes_over_to_its_new_owner(stack: Stack, given: dict[str, Any]) -> None:
    answer = transfer(stack, "bob", if_match='"1"')
    assert (answer.status, answer.headers["etag"]) == (200, '"2"')
    assert answer.json() == {**given, "version": 2}

    assert (listed(stack, "alice"), listed(stack, "bob")) == ([], ["poster"])
    for method, body in (("GET", None), ("PATCH", {}), ("DELETE", None)):
        asked = stack.request(method, LINK, user="alice", json=body, headers=ANY)
        assert asked.status == 404, method
    assert transfer(stack, "alice").status == 404
    assert stack.request("GET", LINK, user="bob").json() == answer.json()
    assert stack.request("GET", "/poster").headers["location"] == URL
    history = stack.request("GET", f"{LINK}/history", user="bob").json()["items"]
    assert [(each["type"], each["actor"]) for each in history] == [
        ("LinkCreated", "alice"),
        ("LinkTransferred", "alice"),
    ]


def test_who_gave_a_link_away_gets_the_first_answer_to_a_repeat(
    stack: Stack, given: dict[str, Any]
) -> None:
    first = transfer(stack, "bob", idempotency_key="k")
    change = {"title": "Bob's"}
    stack.request("PATCH", LINK, user="bob", json=change, headers=ANY)
    again = transfer(stack, "bob", idempotency_key="k")
    assert (again.status, again.json()) == (200, first.json())
    other = transfer(stack, "carol", idempotency_key="k")
    assert other.json()["type"] == "urn:millrace:problem:idempotency_key_reused"
    assert transfer(stack, "bob", idempotency_key="another").status == 404


def test_a_transfer_to_its_owner_changes_nothing(stack: Stack, given: dict[str, Any]) -> None:
    answer = transfer(stack, "alice")
    assert (answer.status, answer.json()) == (200, given)


@pytest.mark.parametrize("deduped", ["alice", "bob"])
def test_dedupe_gives_nobody_a_link_of_anothers(stack: Stack, deduped: str) -> None:
    body = {"long_url": URL}
    link = stack.request("POST", "/v1/links", user="alice", json=body).json()
    path = f"/v1/links/{link['code']}/transfer"
    stack.request("POST", path, user="alice", json={"owner": "bob"}, headers=ANY)
    new = stack.request("POST", "/v1/links", user=deduped, json=body)
    assert (new.status, new.json()["code"] == link["code"]) == (201, False)
    again = stack.request("POST", "/v1/links", user=deduped, json=body)
    assert (again.status, again.json()) == (200, new.json())


@pytest.mark.parametrize(
    ("user", "claims"), [("mallory", {}), ("alice", {"custom:tenant": "other"})]
)
def test_only_its_owner_may_give_a_link_away(
    stack: Stack, given: dict[str, Any], user: str, claims: dict[str, str]
) -> None:
    assert transfer(stack, "mallory", user=user, claims=claims).status == 404
    assert stack.request("GET", LINK, user="alice").json() == given


@pytest.mark.parametrize(
    "owner", ["", "x" * 129, "a b", "a\n", "bob\u202e", "b\u00f6b", None, 5, ["bob"]], ids=ascii
)
def test_what_cannot_be_an_owner_is_refused(
    stack: Stack, given: dict[str, Any], owner: Any
) -> None:
    answer = transfer(stack, owner)
    assert answer.status == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["owner"]
    assert stack.request("GET", LINK, user="alice").json() == given


def test_of_a_transfer_and_an_edit_at_one_version_one_wins(
    stack: Stack, given: dict[str, Any]
) -> None:
    assert transfer(stack, "bob", if_match='"1"').status == 200
    change = {"title": "Mine"}
    late = stack.request("PATCH", LINK, user="bob", json=change, headers={"if-match": '"1"'})
    assert late.status == 412
