"""GET /v1/links with filters, and its export: what is asked for, within a bound of reads."""

from __future__ import annotations

import csv
import json
from io import StringIO
from typing import Any

import pytest

from functions.edge.validation import to_text
from functions.shortener.handlers import read as handler
from functions.shortener.listing import Reach
from tests.support.http_api import Response
from tests.support.pump import Stack

LIST, EXPORT = "/v1/links", "/v1/links/export"
URL = "https://example.com/"


def create(stack: Stack, count: int = 1, user: str = "alice", **terms: Any) -> list[str]:
    """So many new links on these terms, oldest first, a millisecond apart."""
    made = []
    for _ in range(count):
        body = {"long_url": URL, "dedupe": False, **terms}
        made.append(stack.request("POST", LIST, user=user, json=body).json()["code"])
        stack.advance(0.001)
    return made


def ask(stack: Stack, path: str = LIST, status: int = 200, **query: Any) -> Response:
    answer = stack.request(
        "GET", path, user=query.pop("user", "alice"), query={n: str(v) for n, v in query.items()}
    )
    assert answer.status == status, answer.text
    return answer


def codes(answer: Response) -> list[str]:
    return [item["code"] for item in answer.json()["items"]]


def test_a_list_holds_what_the_filter_asks(stack: Stack) -> None:
    soon = to_text(stack.clock.now() + 60_000)
    [spring] = create(stack, tags=["news"], title="Spring sale")
    [ends] = create(stack, tags=["news", "q1"], expires_at=soon)
    [later] = create(stack, not_before=soon, long_url="https://www.shop.example/")
    stack.drain()

    assert codes(ask(stack, tag="news")) == [ends, spring]
    assert codes(ask(stack, tag="news", q="SALE")) == [spring]
    assert codes(ask(stack, q="shop")) == [later]
    assert codes(ask(stack, q=later[:4].swapcase())) == [later]
    assert codes(ask(stack, state="scheduled")) == [later]
    assert codes(ask(stack, domain="go.example.com")) == []
    assert codes(ask(stack, tag="news", user="mallory")) == []
    stack.advance(60)
    # By the clock: no event has told the row yet.
    assert codes(ask(stack, state="expired")) == [ends]
    assert codes(ask(stack, state="active")) == [later, spring]


def test_a_filtered_list_goes_on_page_by_page(stack: Stack) -> None:
    wanted = []
    for _ in range(5):
        wanted += create(stack, tags=["yes"])
        create(stack)
    stack.drain()
    seen: list[str] = []
    query: dict[str, Any] = {"tag": "yes", "limit": 2}
    while True:
        page = ask(stack, **query)
        seen += codes(page)
        assert len(codes(page)) <= 2
        if (cursor := page.json()["next_cursor"]) is None:
            break
        query["cursor"] = cursor
    assert seen == wanted[::-1]


def test_a_request_looks_at_a_thousand_rows_at_most() -> None:
    for reach in (handler.LIST_REACH, handler.EXPORT_REACH):
        assert reach.rows * reach.queries <= 1000
        assert reach.queries <= 5


def test_what_is_beyond_the_reach_of_one_request_is_in_the_next(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler, "LIST_REACH", Reach(rows=3, queries=2))
    [old] = create(stack, tags=["rare"])
    create(stack, 8)
    stack.drain()
    with stack.meter.operation("filtered list") as bill:
        page = ask(stack, tag="rare")
    assert codes(page) == []
    assert bill.by_operation["dynamodb:Query"] == 2
    rest = ask(stack, tag="rare", cursor=page.json()["next_cursor"])
    assert codes(rest) == [old]
    assert rest.json()["next_cursor"] is None


def test_a_cursor_is_good_for_its_filter_and_its_owner_alone(stack: Stack) -> None:
    create(stack, 3, tags=["yes"])
    stack.drain()
    cursor = ask(stack, tag="yes", limit=1).json()["next_cursor"]
    assert len(codes(ask(stack, tag="yes", limit=2, cursor=cursor))) == 2
    forged = cursor[:-5] + ("A" if cursor[-5] != "A" else "B") + cursor[-4:]
    for query in (
        {"cursor": cursor},
        {"tag": "no", "cursor": cursor},
        {"tag": "yes", "state": "active", "cursor": cursor},
        {"tag": "yes", "cursor": cursor, "user": "mallory"},
        {"tag": "yes", "cursor": forged},
    ):
        assert ask(stack, status=400, **query).json()["type"] == "urn:millrace:problem:bad_cursor"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tag", "a,b"),
        ("tag", ""),
        ("domain", "no domain"),
        ("domain", "DEFAULT"),
        ("state", "deleted"),
        ("q", ""),
        ("q", "x" * 101),
        ("limit", "101"),
    ],
)
def test_a_filter_that_asks_nonsense_is_refused(stack: Stack, field: str, value: str) -> None:
    with stack.meter.operation("refused") as bill:
        answer = ask(stack, status=422, **{field: value})
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert bill.calls == []


@pytest.mark.parametrize(
    ("form", "media"), [("csv", "text/csv; charset=utf-8"), ("ndjson", "application/x-ndjson")]
)
def test_an_export_is_a_file_of_every_link_page_by_page(
    stack: Stack, form: str, media: str
) -> None:
    made = create(stack, 5, title="=1+1", tags=["ä"])
    stack.drain()
    found: list[dict[str, Any]] = []
    target = f"{EXPORT}?format={form}&limit=2&tag=%C3%A4"
    for _ in range(3):
        answer = ask(stack, target)
        assert answer.headers["content-type"] == media
        assert answer.headers["content-disposition"] == f'attachment; filename="links.{form}"'
        found += read(form, answer.text)
        following = answer.headers.get("link")
        if following is None:
            break
        assert f"cursor={answer.headers['x-next-cursor']}" in following
        target = following[following.index(EXPORT) : following.index(">")]
    assert "x-next-cursor" not in answer.headers
    assert [link["code"] for link in found] == made[::-1]
    assert {link["title"] for link in found} == {"'=1+1" if form == "csv" else "=1+1"}


def read(form: str, text: str) -> list[dict[str, Any]]:
    if form == "csv":
        return list(csv.DictReader(StringIO(text, newline=""), strict=True))
    return [json.loads(line) for line in text.splitlines()]


def test_an_export_is_one_query_a_page(stack: Stack) -> None:
    made = create(stack, 6)
    stack.drain()
    ask(stack, EXPORT, limit=1)
    with stack.meter.operation("export") as bill:
        answer = ask(stack, EXPORT, format="ndjson", limit=5)
    assert bill.by_operation == {"dynamodb:Query": 1}
    exported = [json.loads(line) for line in answer.text.splitlines()]
    [last] = read("csv", ask(stack, EXPORT, cursor=answer.headers["x-next-cursor"]).text)
    assert {link["code"] for link in [*exported, last]} == set(made)


def test_an_exported_link_is_the_link(stack: Stack) -> None:
    [code] = create(stack, title="Spring", tags=["news"], expires_at=None)
    stack.drain()
    [line] = ask(stack, EXPORT, format="ndjson").text.splitlines()
    assert json.loads(line) == ask(stack, f"{LIST}/{code}").json()


@pytest.mark.parametrize(("field", "value"), [("format", "xls"), ("limit", "1001"), ("a", "b")])
def test_an_export_that_there_is_not_is_refused(stack: Stack, field: str, value: str) -> None:
    answer = ask(stack, EXPORT, 422, **{field: value})
    assert [error["field"] for error in answer.json()["errors"]] == [field]
