"""Bans, reports, domains and what time does, over HTTP on the deployed template."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.e2e.conftest import Stack
from tests.e2e.eventually import eventually
from tests.e2e.shortener.test_shortener import api, create, name, user

__all__ = ["api", "user"]


@pytest.fixture
def ops(stack: Stack) -> Iterator[httpx.Client]:
    """A client of the API with a moderator's token."""
    token = stack.token("moderator", scopes="shortener:read shortener:write ops")
    headers = {"authorization": f"Bearer {token}"}
    with httpx.Client(base_url=stack.url, headers=headers, timeout=30) as client:
        yield client


def test_a_ban_takes_down_every_link_to_its_host_and_its_end_gives_them_back(
    api: httpx.Client, ops: httpx.Client
) -> None:
    host = f"{uuid.uuid4().hex[:12]}.example"
    link = create(api, alias=name(), long_url=f"https://www.{host}/")
    other = create(api, alias=name())

    def standing() -> str:
        answer = api.get(f"/v1/links/{link['code']}").json()["standing"]
        return str(answer)

    listed = lambda: len(api.get("/v1/links").json()["items"])  # noqa: E731
    eventually(listed, 2)
    ban = {"kind": "host", "value": host, "reason": "phishing"}
    assert ops.post("/v1/bans", json=ban).status_code == 200
    eventually(standing, "banned")
    eventually(lambda: httpx.get(link["short_url"]).status_code, 410)
    assert httpx.get(other["short_url"]).status_code == 302
    assert ops.delete("/v1/bans", params={"kind": "host", "value": host}).status_code == 204
    eventually(standing, "clear")
    eventually(lambda: httpx.get(link["short_url"]).status_code, 302)


def test_who_is_no_moderator_moderates_nothing(api: httpx.Client) -> None:
    link = create(api, alias=name())
    refused = api.put(
        f"/v1/links/{link['code']}/standing", json={"standing": "banned", "reason": "spite"}
    )
    assert refused.status_code == 403
    assert api.get("/v1/reports").status_code == 403


def test_a_report_reaches_moderators(stack: Stack, api: httpx.Client, ops: httpx.Client) -> None:
    link = create(api, alias=name())
    report = {"code": link["code"], "reason": "spam"}
    assert httpx.post(f"{stack.url}/v1/reports", json=report, timeout=30).status_code == 202

    def reported() -> bool:
        items = ops.get("/v1/reports", params={"limit": "100"}).json()["items"]
        return link["code"] in [item["code"] for item in items]

    eventually(reported, True)


def test_a_domain_is_one_owners(api: httpx.Client, ops: httpx.Client) -> None:
    host = f"{uuid.uuid4().hex[:12]}.example"
    mine = ops.put(f"/v1/domains/{host}", json={"owner": "somebody"})
    assert (mine.status_code, mine.json()["host"]) == (200, host)
    theirs = ops.put(f"/v1/domains/{host}", json={"owner": "somebody-else"})
    assert (theirs.status_code, theirs.json()["type"]) == (409, "urn:millrace:problem:domain_taken")
    refused = api.post("/v1/links", json={"long_url": "https://example.com/", "domain": host})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "domain")


def test_an_expiry_is_told_of(stack: Stack, api: httpx.Client) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=3)).isoformat().replace("+00:00", "Z")
    link = create(api, alias=name(), expires_at=soon)
    path = f"/v1/links/{link['code']}/history"

    def told() -> bool:
        stack.session.client("lambda").invoke(FunctionName=stack.physical_id("ShortenerTimers"))
        return "LinkExpired" in [item["type"] for item in api.get(path).json()["items"]]

    eventually(told, True)
    assert httpx.get(link["short_url"]).status_code == 410
