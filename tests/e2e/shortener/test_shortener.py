"""A short link over HTTP, on the deployed template."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Stack
from tests.e2e.eventually import eventually

IN_FLIGHT = 40
TRIES = 5


@pytest.fixture
def user() -> str:
    """A user that no other test knows."""
    return f"user-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def api(stack: Stack, user: str) -> Iterator[httpx.Client]:
    """A client of the API with that user's token."""
    headers = {"authorization": f"Bearer {stack.token(user)}"}
    with httpx.Client(base_url=stack.url, headers=headers, timeout=30) as client:
        yield client


def name() -> str:
    """An alias that no other test has."""
    return f"alias-{uuid.uuid4().hex[:12]}"


def fresh(alias: str) -> dict[str, Any]:
    """The body of a create, for a URL of its own."""
    return {"long_url": f"https://example.com/{uuid.uuid4().hex}", "alias": alias}


def create(api: httpx.Client, **body: Any) -> dict[str, Any]:
    answer = api.post("/v1/links", json={"long_url": "https://example.com/page", **body})
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


def test_a_link_from_its_creation_to_its_deletion(stack: Stack, api: httpx.Client) -> None:
    created = api.post("/v1/links", json={"long_url": "https://example.com/a"})
    link = created.json()
    assert (created.status_code, created.headers["etag"]) == (201, '"1"')
    assert created.headers["location"] == f"{stack.url}/v1/links/{link['code']}"
    assert link["short_url"] == f"{stack.url}/{link['code']}"

    followed = httpx.get(link["short_url"])
    assert (followed.status_code, followed.headers["location"]) == (302, "https://example.com/a")
    head = httpx.head(link["short_url"])
    assert (head.status_code, head.headers["location"], head.content) == (
        302,
        "https://example.com/a",
        b"",
    )

    path = f"/v1/links/{link['code']}"
    patched = api.patch(
        path, json={"long_url": "https://example.com/b"}, headers={"if-match": '"1"'}
    )
    assert (patched.status_code, patched.headers["etag"]) == (200, '"2"')
    # A container remembers a link for five seconds.
    eventually(lambda: httpx.get(link["short_url"]).headers["location"], "https://example.com/b")

    stale = api.patch(path, json={"disabled": True}, headers={"if-match": '"1"'})
    assert (stale.status_code, stale.headers["content-type"]) == (412, "application/problem+json")
    assert api.patch(path, json={"disabled": True}).status_code == 428

    assert api.get(path).json()["long_url"] == "https://example.com/b"
    assert api.get(path, params={"at": 1}).json()["long_url"] == "https://example.com/a"
    then = api.get(path, params={"at": link["created_at"]}).json()
    assert (then["long_url"], then["version"]) == ("https://example.com/a", 1)

    assert api.delete(path, headers={"if-match": '"2"'}).status_code == 204
    eventually(lambda: httpx.get(link["short_url"]).status_code, 410)
    assert api.get(path).status_code == 410
    history = api.get(f"{path}/history").json()["items"]
    assert [item["type"] for item in history] == ["LinkCreated", "LinkRetargeted", "LinkDeleted"]
    assert [item["version"] for item in history] == [1, 2, 3]
    assert (
        api.post(
            "/v1/links", json={"long_url": "https://example.com/c", "alias": link["code"]}
        ).status_code
        == 409
    )


def test_the_list_shows_my_links_newest_first_page_by_page(api: httpx.Client) -> None:
    codes = [create(api, alias=name())["code"] for _ in range(5)]

    def pages() -> list[list[str]]:
        found, cursor = [], None
        while True:
            params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
            page = api.get("/v1/links", params=params).json()
            found.append([item["code"] for item in page["items"]])
            cursor = page["next_cursor"]
            if not cursor:
                return found

    expected = [[codes[4], codes[3]], [codes[2], codes[1]], [codes[0]]]
    eventually(pages, expected)
    assert api.get("/v1/links", params={"cursor": "forged"}).status_code == 400


def test_a_deleted_link_leaves_the_list(api: httpx.Client) -> None:
    kept, dropped = (create(api, alias=name())["code"] for _ in range(2))

    def listed() -> list[str]:
        return [item["code"] for item in api.get("/v1/links").json()["items"]]

    eventually(listed, [dropped, kept])
    api.delete(f"/v1/links/{dropped}", headers={"if-match": '"1"'})
    eventually(listed, [kept])


def test_nobody_else_gets_in(stack: Stack, api: httpx.Client) -> None:
    path = f"/v1/links/{create(api, alias=name())['code']}"
    other = {"authorization": f"Bearer {stack.token('somebody-else')}"}
    reader = {"authorization": f"Bearer {stack.token('a-reader', scopes='shortener:read')}"}
    tag = {"if-match": '"1"'}
    with httpx.Client(base_url=stack.url, timeout=30) as client:
        assert client.get(path).status_code == 401
        assert client.get(path, headers={"authorization": "Bearer x.y.z"}).status_code == 401
        assert client.get(path, headers=other).status_code == 404
        assert client.get(f"{path}/history", headers=other).status_code == 404
        assert client.patch(path, json={}, headers=other | tag).status_code == 404
        assert client.delete(path, headers=other | tag).status_code == 404
        body = {"long_url": "https://example.com/"}
        assert client.post("/v1/links", json=body, headers=reader).status_code == 403


async def statuses(client: httpx.AsyncClient, bodies: list[Any], in_flight: int) -> list[int]:
    """The statuses of as many creates, so many at a time; one that could not be written yet, or
    whose function ran out of time, is repeated."""
    gate = asyncio.Semaphore(in_flight)

    async def one(body: Any) -> int:
        headers = {"idempotency-key": uuid.uuid4().hex}
        async with gate:
            for _ in range(TRIES):
                answer = await client.post("/v1/links", json=body, headers=headers)
                if answer.status_code not in (202, 502, 503):
                    break
        return answer.status_code

    return await asyncio.gather(*map(one, bodies))


def test_one_of_two_hundred_racing_creators_gets_the_alias(stack: Stack, user: str) -> None:
    headers = {"authorization": f"Bearer {stack.token(user)}"}
    alias = name()

    async def race() -> Counter[int]:
        async with httpx.AsyncClient(base_url=stack.url, headers=headers, timeout=120) as client:
            # Forty workers that all start at once take two cores longer than a function may run.
            for workers in range(4, IN_FLIGHT + 1, 4):
                await statuses(client, [fresh(name()) for _ in range(workers)], workers)
            bodies = [fresh(alias) for _ in range(200)]
            return Counter(await statuses(client, bodies, IN_FLIGHT))

    assert asyncio.run(race()) == {201: 1, 409: 199}


def test_posting_a_url_again_never_returns_a_link_that_leads_elsewhere(api: httpx.Client) -> None:
    url = "https://example.com/once"
    first = create(api, long_url=url)
    again = api.post("/v1/links", json={"long_url": url})
    assert (again.status_code, again.json()) == (200, first)
    api.patch(
        f"/v1/links/{first['code']}",
        json={"long_url": "https://example.com/elsewhere"},
        headers={"if-match": '"1"'},
    )
    second = create(api, long_url=url)
    assert second["code"] != first["code"]
    assert second["long_url"] == url


def test_an_unknown_code_and_an_unknown_path_are_not_found(stack: Stack) -> None:
    unknown = httpx.get(f"{stack.url}/nosuchcode")
    assert (unknown.status_code, unknown.json()["type"]) == (
        404,
        "urn:millrace:problem:unknown_link",
    )
    assert httpx.get(f"{stack.url}/v1/nothing/here").status_code in (401, 404)
