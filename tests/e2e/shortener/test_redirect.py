"""The redirect's policies over HTTP, on the deployed template."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from millrace.cli import app
from tests.e2e.conftest import Stack
from tests.e2e.eventually import eventually
from tests.e2e.shortener.test_shortener import IN_FLIGHT, TRIES, api, create, name, user

__all__ = ["api", "user"]

URL, OVER = "https://example.com/page", "https://example.com/over"
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Mobile/15E148"


def follow(link: Any, method: str = "GET", suffix: str = "", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.request(
        method, link["short_url"] + suffix, headers={"user-agent": CHROME, **named}, timeout=30
    )


def led(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.headers.get("location")


def clicks(stack: Stack, code: str) -> list[Any]:
    """The clicks on a link that analytics keeps."""
    found = stack.session.client("dynamodb").scan(
        TableName=stack.physical_id("AnalyticsFacts"),
        FilterExpression="begins_with(pk, :link)",
        ExpressionAttributeValues={":link": {"S": f"link:default/{code}#"}},
    )
    return [json.loads(item["f"]["S"]) for item in found["Items"]]


def send_lost_clicks(stack: Stack) -> None:
    verb = ["--endpoint", stack.endpoint, "redrive", "ShortenerClicks", "--from-logs"]
    sent = CliRunner().invoke(app, verb)
    assert sent.exit_code == 0, sent.output


def test_a_password_stands_before_its_link(api: httpx.Client) -> None:
    link = create(api, alias=name(), long_url=URL, password="open sesame")
    asked = follow(link)
    assert (asked.status_code, asked.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert ('type="password"' in asked.text, URL in asked.text) == (True, False)

    def unlock(password: str) -> httpx.Response:
        headers = {"user-agent": CHROME}
        form = {"password": password}
        return httpx.post(link["short_url"], data=form, headers=headers, timeout=30)

    assert unlock("wrong").status_code == 403
    assert led(unlock("open sesame")) == (303, URL)
    assert URL not in follow(link, suffix="+").text


def test_a_preview_shows_where_a_link_leads(stack: Stack, api: httpx.Client) -> None:
    link = create(api, alias=name(), long_url=URL)
    page = follow(link, suffix="+")
    assert (page.status_code, URL in page.text) == (200, True)
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert clicks(stack, link["code"]) == []


def test_rules_lead_by_what_the_headers_tell(stack: Stack, api: httpx.Client) -> None:
    rules = [
        {"device": ["ios"], "to": [{"url": "https://example.com/ios"}]},
        {"language": ["de"], "to": [{"url": "https://example.com/de"}]},
        {"query": ["src=mail"], "to": [{"url": "https://example.com/mail"}]},
    ]
    link = create(api, alias=name(), long_url=URL, rules=rules)
    assert led(follow(link, user_agent=PHONE)) == (302, "https://example.com/ios")
    assert led(follow(link, accept_language="fr;q=0.3, de-AT")) == (302, "https://example.com/de")
    assert led(follow(link, suffix="?src=mail")) == (302, "https://example.com/mail")
    head = follow(link, "HEAD")
    assert (led(head), head.content) == ((302, URL), b"")
    eventually(
        lambda: sorted(
            (click.get("machine", ""), click["link"]) for click in clicks(stack, link["code"])
        ),
        [
            ("", "example.com/de"),
            ("", "example.com/ios"),
            ("", "example.com/mail"),
            ("head", "example.com/page"),
        ],
    )


def test_after_its_expiry_a_link_leads_to_its_fallback(api: httpx.Client) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=4)).isoformat().replace("+00:00", "Z")
    link = create(api, alias=name(), long_url=URL, expires_at=soon, fallback_url=OVER)
    over: tuple[int, str | None] = (302, OVER)
    eventually(lambda: led(follow(link)), over)


def test_many_links_are_made_at_once(api: httpx.Client) -> None:
    wanted = [
        {"long_url": "https://example.com/1"},
        {"long_url": "ftp://example.com/"},
        {"long_url": "https://example.com/3"},
    ]
    answer = api.post("/v1/links/bulk", json={"links": wanted})
    outcomes = answer.json()["items"]
    assert [each["status"] for each in outcomes] == [201, 422, 201]
    assert led(follow(outcomes[2]["link"])) == (302, "https://example.com/3")


def test_a_link_has_a_picture(api: httpx.Client) -> None:
    link = create(api, alias=name(), long_url=URL)
    picture = follow(link, suffix="/qr")
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/svg+xml")
    assert picture.text.lstrip().startswith("<")


def test_a_click_that_its_queue_did_not_take_comes_to_it_from_the_log(
    stack: Stack, api: httpx.Client
) -> None:
    link = create(api, alias=name(), long_url=URL)
    functions, function = stack.session.client("lambda"), stack.physical_id("ShortenerRedirect")
    healthy = stack.environment("ShortenerRedirect")
    nowhere = {**healthy, "CLICKS_QUEUE_URL": healthy["CLICKS_QUEUE_URL"] + "-gone"}

    def configure(variables: dict[str, str]) -> None:
        functions.update_function_configuration(
            FunctionName=function, Environment={"Variables": variables}
        )

    configure(nowhere)
    try:
        assert [led(follow(link)) for _ in range(3)] == [(302, URL)] * 3
    finally:
        configure(healthy)
    assert clicks(stack, link["code"]) == []
    send_lost_clicks(stack)
    eventually(lambda: len(clicks(stack, link["code"])), 3)


@pytest.mark.slow
def test_exactly_a_hundred_of_a_thousand_racing_visitors_pass_a_cap_of_a_hundred(
    stack: Stack, api: httpx.Client
) -> None:
    warm = create(api, alias=name(), long_url=URL)

    async def visits(link: Any, number: int, in_flight: int) -> Counter[int]:
        gate = asyncio.Semaphore(in_flight)

        async def one(client: httpx.AsyncClient) -> int:
            async with gate:
                return (await client.get(link["short_url"])).status_code

        async with httpx.AsyncClient(headers={"user-agent": CHROME}, timeout=120) as client:
            return Counter(await asyncio.gather(*(one(client) for _ in range(number))))

    # Forty workers that all start at once take two cores longer than a function may run.
    for workers in range(4, IN_FLIGHT + 1, 4):
        asyncio.run(visits(warm, workers, workers))
    for _ in range(TRIES):
        prize = create(api, alias=name(), long_url=URL, max_clicks=100)
        seen = asyncio.run(visits(prize, 1000, IN_FLIGHT))
        assert seen[302] <= 100
        # A machine that is busy otherwise answers some update too late, and that click is lost.
        if seen == {302: 100, 410: 900}:
            break
    else:
        pytest.fail(f"in none of {TRIES} races were all answers in time, last {seen}")
    # On few cores a send may be given up, and then may have been taken all the same.
    send_lost_clicks(stack)
    eventually(lambda: len(clicks(stack, prize["code"])), 100)
