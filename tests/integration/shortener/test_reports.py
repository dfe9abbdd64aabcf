"""Reports: anybody may tell of a link, nobody learns whether there is one, moderators see them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.shortener.test_domains import HOST as CUSTOM
from tests.integration.shortener.test_domains import claim, known, post
from tests.integration.shortener.test_moderation import create, kind_of, ops
from tests.support.http_api import Response
from tests.support.pump import Stack

HOST = "c0ffee00.execute-api.us-east-1.amazonaws.com"


def report(stack: Stack, **body: Any) -> Response:
    return stack.request("POST", "/v1/reports", json={"reason": "phishing", **body})


def listed(stack: Stack, **query: str) -> dict[str, Any]:
    stack.drain()
    page: dict[str, Any] = ops(stack, "GET", "/v1/reports", query=query).json()
    return page


def test_a_report_is_shown_to_moderators_and_takes_no_link_down(stack: Stack) -> None:
    code = create(stack)
    told = report(stack, code=code, comment="<script>alert(1)</script>")
    assert (told.status, told.json()) == (202, {})
    [item] = listed(stack)["items"]
    assert item["reported_at"].endswith("Z")
    del item["reported_at"]
    assert item == {
        "domain": "default",
        "code": code,
        "reason": "phishing",
        "comment": "<script>alert(1)</script>",
    }
    assert stack.request("GET", f"/{code}").status == 302


@pytest.mark.parametrize("form", ["https://{host}/{code}", "http://{host}/{code}+?a=b", "{code}"])
def test_a_link_is_named_by_its_code_or_its_short_url(stack: Stack, form: str) -> None:
    code = create(stack)
    name = form.format(host=HOST, code=code)
    report(stack, **({"url": name} if "/" in name else {"code": name}))
    assert [each["code"] for each in listed(stack)["items"]] == [code]


def test_a_report_that_came_by_a_custom_domain_is_of_the_link_there(stack: Stack) -> None:
    claim(stack)
    known(stack)
    post(stack, alias="sale", domain=CUSTOM)
    post(stack, "bob", alias="sale")
    body = {"reason": "spam", "url": f"https://{CUSTOM}/sale"}
    assert stack.request("POST", "/v1/reports", json=body, headers={"host": CUSTOM}).status == 202
    body["url"] = f"https://{HOST}/sale"
    assert stack.request("POST", "/v1/reports", json=body, headers={"host": CUSTOM}).status == 202
    found = [(each["domain"], each["code"]) for each in listed(stack)["items"]]
    assert sorted(found) == [("default", "sale"), (CUSTOM, "sale")]


@pytest.mark.parametrize(
    "body",
    [
        {"code": "unknown"},
        {"code": "a/b"},
        {"code": "unknown", "domain": "go.acme.example"},
        {"url": f"https://{HOST}/unknown"},
        {"url": f"https://{HOST}/"},
        {"url": "https://elsewhere.example/deep/er"},
        {"url": "https://[::1/x"},
        {"url": "https://a#b/x"},
    ],
    ids=str,
)
def test_what_is_no_link_is_answered_the_same_and_leaves_nothing(
    stack: Stack, body: dict[str, str]
) -> None:
    code = create(stack)
    known = report(stack, code=code)
    with stack.meter.operation("report") as bill:
        answer = report(stack, **body)
    assert (answer.status, answer.body) == (known.status, known.body)
    assert not [call for call in bill.calls if call.name == "dynamodb:PutItem"]
    assert len(listed(stack)["items"]) == 1


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("url", {}),
        ("url", {"url": "https://a.example/b", "code": "b"}),
        ("url", {"url": "not a url"}),
        ("url", {"url": "sho.rt/abc"}),
        ("reason", {"code": "a", "reason": "boring"}),
        ("comment", {"code": "a", "comment": "x" * 501}),
        ("code", {"code": "x" * 65}),
        ("url", {"url": "https://a.example/".ljust(2049, "x")}),
        ("domain", {"code": "a", "domain": "no domain"}),
        ("nonsense", {"code": "a", "nonsense": 1}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_report_is_refused(stack: Stack, field: str, body: dict[str, str]) -> None:
    refused = report(stack, **body)
    assert (refused.status, kind_of(refused)) == (422, "invalid")
    assert [error["field"] for error in refused.json()["errors"]] == [field]


def test_a_reporter_counts_once_a_day_for_a_link_whatever_headers_say(stack: Stack) -> None:
    codes = [create(stack), create(stack)]
    for number in range(3):
        forged = {"x-forwarded-for": f"198.51.100.{number}"}
        body = {"code": codes[0], "reason": "spam"}
        assert stack.request("POST", "/v1/reports", json=body, headers=forged).status == 202
    assert len(listed(stack)["items"]) == 1
    stack.advance(1)
    report(stack, code=codes[1])
    stack.advance(24 * 3600)
    report(stack, code=codes[0])
    assert [each["code"] for each in listed(stack)["items"]] == [codes[0], codes[1], codes[0]]


def sent_from(stack: Stack, address: str, code: str) -> None:
    event = {
        "version": "2.0",
        "routeKey": "POST /v1/reports",
        "headers": {"content-type": "application/json"},
        "requestContext": {
            "requestId": "r",
            "domainName": HOST,
            "http": {"method": "POST", "sourceIp": address},
        },
        "body": json.dumps({"code": code, "reason": "spam"}),
        "isBase64Encoded": False,
    }
    assert stack.invoke("ShortenerReport", event)["statusCode"] == 202


def test_reporters_are_told_apart_by_address_and_households_by_network(stack: Stack) -> None:
    code = create(stack)
    for address in ("203.0.113.7", "203.0.113.8", "2001:db8::1", "2001:db8::2", "2001:db8:1::1"):
        sent_from(stack, address, code)
    assert len(listed(stack)["items"]) == 4


def test_neither_the_address_nor_the_words_of_a_reporter_are_logged_or_the_address_kept(
    stack: Stack,
) -> None:
    report(stack, code=create(stack), comment="my neighbour did it")
    assert not [line for line in stack.logs if "neighbour" in str(line) or "203.0." in str(line)]
    table = stack.functions["ShortenerReport"].env["EVENTS_TABLE"]
    assert "203.0." not in str(stack.client("dynamodb").scan(TableName=table)["Items"])


def test_reports_come_in_pages_newest_first(stack: Stack) -> None:
    codes = []
    for _ in range(3):
        codes.append(create(stack))
        report(stack, code=codes[-1])
        stack.advance(1)
    first = listed(stack, limit="2")
    rest = listed(stack, limit="2", cursor=first["next_cursor"])
    found = [each["code"] for each in first["items"] + rest["items"]]
    assert found == codes[::-1]
    assert rest["next_cursor"] is None


def test_a_report_whose_write_is_repeated_is_one_report(stack: Stack) -> None:
    code = create(stack)
    stack.faults.lose_response("dynamodb", "PutItem", function="ShortenerReport")
    assert report(stack, code=code).status == 202
    assert len(listed(stack)["items"]) == 1
