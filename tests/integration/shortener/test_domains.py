"""Custom domains: each one owner's, claimed by the operator, and part of this service."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.shortener.test_moderation import create, kind_of, ops
from tests.support.http_api import Response
from tests.support.pump import Stack

HOST = "go.acme.example"
ON_HOST = f"/v1/links/sale?domain={HOST}"
GOOD = "https://good.example/"


def claim(stack: Stack, host: str = HOST, owner: str = "alice") -> Response:
    return ops(stack, "PUT", f"/v1/domains/{host}", json={"owner": owner})


def known(stack: Stack) -> None:
    """Until every container knows what was claimed."""
    stack.drain()
    stack.advance(5)


def transfer(stack: Stack, owner: str, user: str = "alice", **headers: str) -> Response:
    sent, path = {"if-match": "*", **headers}, "/v1/links/sale/transfer"
    query = {"domain": HOST}
    return stack.request("POST", path, user=user, query=query, json={"owner": owner}, headers=sent)


def post(stack: Stack, user: str = "alice", **body: Any) -> Response:
    return stack.request("POST", "/v1/links", user=user, json={"long_url": GOOD, **body})


def test_the_owner_of_a_domain_makes_links_on_it(stack: Stack) -> None:
    claimed = claim(stack)
    assert claimed.status == 200
    assert {**claimed.json(), "claimed_at": ""} == {
        "host": HOST,
        "owner": "alice",
        "claimed_at": "",
    }
    known(stack)
    made = post(stack, domain=HOST, alias="sale")
    assert (made.status, made.json()["short_url"]) == (201, f"https://{HOST}/sale")
    assert post(stack, alias="sale").status == 201, "each domain has its own codes"


@pytest.mark.parametrize("domain", [HOST, "unknown.example"])
def test_anothers_domain_is_refused_as_an_unknown_one_is(stack: Stack, domain: str) -> None:
    claim(stack)
    known(stack)
    refused = post(stack, "mallory", domain=domain)
    assert refused.status == 422
    assert refused.json()["errors"] == [{"field": "domain", "reason": "is not yours"}]


@pytest.mark.parametrize("released", [False, True])
def test_a_link_on_a_domain_is_given_to_nobody_who_does_not_own_it(
    stack: Stack, released: bool
) -> None:
    claim(stack)
    known(stack)
    made = post(stack, domain=HOST, alias="sale").json()
    if released:
        assert ops(stack, "DELETE", f"/v1/domains/{HOST}").status == 204
        known(stack)
    refused = transfer(stack, "bob")
    assert refused.status == 422
    reason = "does not own the domain that the link is on"
    assert refused.json()["errors"] == [{"field": "owner", "reason": reason}]
    assert stack.request("GET", ON_HOST, user="alice").json() == made
    assert transfer(stack, "alice", user="mallory").status == 404, "and tells nobody whose it is"
    assert transfer(stack, "bob", user="mallory").status == 404


def test_a_link_follows_its_domain_to_the_next_owner_and_a_repeat_is_answered(
    stack: Stack,
) -> None:
    claim(stack)
    known(stack)
    post(stack, domain=HOST, alias="sale")
    ops(stack, "DELETE", f"/v1/domains/{HOST}")
    claim(stack, owner="bob")
    known(stack)
    first = transfer(stack, "bob", **{"idempotency-key": "k"})
    assert (first.status, first.json()["version"]) == (200, 2)
    ops(stack, "DELETE", f"/v1/domains/{HOST}")
    known(stack)
    again = transfer(stack, "bob", **{"idempotency-key": "k"})
    assert (again.status, again.json()) == (200, first.json())


def test_a_link_on_a_domain_is_not_given_away_while_nobody_can_tell_whose_it_is(
    stack: Stack,
) -> None:
    claim(stack)
    known(stack)
    post(stack, domain=HOST, alias="sale")
    stack.faults.throttle("dynamodb", "Query", times=3, function="ShortenerEdit")
    assert transfer(stack, "bob").status == 503


def edit(stack: Stack, **rest: Any) -> Response:
    sent, body = {"if-match": "*"}, {"long_url": "https://elsewhere.example/"}
    return stack.request("PATCH", ON_HOST, user="alice", json=body, headers=sent, **rest)


def test_who_has_a_domain_no_more_edits_its_links_until_it_is_anothers(stack: Stack) -> None:
    claim(stack)
    known(stack)
    post(stack, domain=HOST, alias="sale")
    ops(stack, "DELETE", f"/v1/domains/{HOST}")
    known(stack)
    assert edit(stack).status == 200
    claim(stack, owner="bob")
    known(stack)
    refused = edit(stack)
    assert refused.status == 422
    assert refused.json()["errors"] == [{"field": "domain", "reason": "is another owner's"}]
    anyhow = {"if-match": "*"}
    other = stack.request("PATCH", ON_HOST, user="bob", json={"title": "a"}, headers=anyhow)
    assert other.status == 404, "a link is not its domain's owner's"
    assert stack.request("DELETE", ON_HOST, user="alice", headers=anyhow).status == 204


def test_a_link_on_a_domain_is_not_edited_while_nobody_can_tell_whose_it_is(stack: Stack) -> None:
    claim(stack)
    known(stack)
    post(stack, domain=HOST, alias="sale")
    stack.faults.throttle("dynamodb", "Query", times=3, function="ShortenerEdit")
    assert edit(stack).status == 503


def test_the_services_own_host_is_no_custom_domain(stack: Stack) -> None:
    host = "c0ffee00.execute-api.us-east-1.amazonaws.com"
    assert claim(stack, host).json()["errors"][0]["field"] == "host"
    assert post(stack, domain=host).json()["errors"][0]["field"] == "domain"


def test_a_domain_may_be_claimed_again_by_a_request_that_came_to_it(stack: Stack) -> None:
    for _ in range(2):
        body, host = {"owner": "alice"}, {"host": HOST}
        assert ops(stack, "PUT", f"/v1/domains/{HOST}", json=body, headers=host).status == 200


def test_a_claimed_domain_is_this_service_and_nobody_links_to_it(stack: Stack) -> None:
    claim(stack)
    known(stack)
    refused = post(stack, "bob", long_url=f"https://{HOST}/sale")
    assert refused.json()["errors"] == [
        {"field": "long_url", "reason": "leads back to this service"}
    ]


def test_a_domain_is_one_owners_until_it_is_released(stack: Stack) -> None:
    assert claim(stack).status == 200
    assert claim(stack).status == 200, "again"
    taken = claim(stack, owner="bob")
    assert (taken.status, kind_of(taken)) == (409, "domain_taken")
    known(stack)
    made = post(stack, domain=HOST, alias="sale")
    for _ in range(2):
        assert ops(stack, "DELETE", f"/v1/domains/{HOST}").status == 204
    known(stack)
    assert post(stack, domain=HOST, alias="more").status == 422
    mine = stack.request("GET", "/v1/links/sale", user="alice", query={"domain": HOST})
    assert mine.json()["short_url"] == made.json()["short_url"], "what is there stays"
    assert claim(stack, owner="bob").status == 200
    known(stack)
    assert post(stack, "bob", domain=HOST, alias="more").status == 201
    assert post(stack, "bob", domain=HOST, alias="sale").status == 409


def test_everybody_sees_their_own_domains_and_an_operator_all(stack: Stack) -> None:
    claim(stack, "b.acme.example")
    claim(stack, "a.acme.example")
    claim(stack, "bob.example", owner="bob")
    stack.drain()

    def hosts(answer: Response) -> list[str]:
        return [each["host"] for each in answer.json()["items"]]

    mine = stack.request("GET", "/v1/domains", user="alice")
    assert hosts(mine) == ["a.acme.example", "b.acme.example"]
    every = ["a.acme.example", "b.acme.example", "bob.example"]
    assert hosts(ops(stack, "GET", "/v1/domains")) == every
    assert hosts(stack.request("GET", "/v1/domains", user="carol")) == []


@pytest.mark.parametrize(
    "host",
    [
        "acme",
        "203.0.113.7",
        "go.acme.example:8443",
        "user@acme.example",
        "localhost",
        "a..b",
        "a_b.c",
    ],
)
def test_what_is_no_domain_is_refused(stack: Stack, host: str) -> None:
    refused = claim(stack, host)
    assert refused.status == 422
    assert refused.json()["errors"][0]["field"] == "host"


def test_a_domain_is_kept_in_its_ascii_form(stack: Stack) -> None:
    assert claim(stack, "B%C3%BCcher.example").json()["host"] == "xn--bcher-kva.example"


def test_nobody_guesses_whose_a_domain_is_while_the_directory_cannot_be_read(stack: Stack) -> None:
    stack.faults.throttle("dynamodb", "Query", times=100, function="ShortenerCreate")
    assert post(stack, domain=HOST).status == 503
    create(stack)
