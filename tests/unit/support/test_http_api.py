from __future__ import annotations

import base64

import pytest

from tests.support.http_api import find_route, response_of, route_of
from tests.support.pump import CLAIMS, Stack

ROUTES = [
    route_of(key, key, needs_token=False)
    for key in (
        "$default",
        "ANY /{proxy+}",
        "GET /{code}",
        "GET /pets/{id}",
        "GET /pets/dog",
        "ANY /pets/dog",
        "GET /pets/{proxy+}",
    )
]


@pytest.mark.parametrize(
    ("method", "path", "key", "parameters"),
    [
        ("GET", "/pets/dog", "GET /pets/dog", {}),
        ("PUT", "/pets/dog", "ANY /pets/dog", {}),
        ("GET", "/pets/cat", "GET /pets/{id}", {"id": "cat"}),
        ("GET", "/pets/dog/1", "GET /pets/{proxy+}", {"proxy": "dog/1"}),
        ("GET", "/pets", "GET /{code}", {"code": "pets"}),
        ("HEAD", "/pets", "ANY /{proxy+}", {"proxy": "pets"}),
        ("GET", "/cars/1", "ANY /{proxy+}", {"proxy": "cars/1"}),
        ("GET", "/", "$default", {}),
    ],
)
def test_the_most_specific_route_wins(
    method: str, path: str, key: str, parameters: dict[str, str]
) -> None:
    assert (found := find_route(ROUTES, method, path))
    assert (found[0].key, found[1]) == (key, parameters)


def test_a_parameter_is_one_segment_that_is_not_empty() -> None:
    routes = [route_of("GET /{code}", "f", needs_token=False)]
    assert find_route(routes, "GET", "/a/b") is None
    assert find_route(routes, "GET", "/") is None
    assert find_route(routes, "HEAD", "/a") is None


def test_no_route_and_no_token_are_the_gateways_answers(stack: Stack) -> None:
    missing = stack.request("GET", "/v1/nothing")
    assert (missing.status, missing.json()) == (404, {"message": "Not Found"})
    refused = stack.request("POST", "/v1/notes", json={"id": "a", "text": ""})
    assert (refused.status, refused.json()) == (401, {"message": "Unauthorized"})
    assert stack.meter.calls == []


def test_claims_arrive_as_strings(stack: Stack) -> None:
    answer = stack.request(
        "POST",
        "/v1/notes",
        user="alice",
        claims={"custom:tier": "premium", "custom:tenant": None},
        json={"id": "a", "text": ""},
    )
    assert answer.status == 201
    assert answer.json()["jwt"]["claims"] == {
        "sub": "alice",
        "token_use": "id",
        "custom:tier": "premium",
        "custom:scopes": CLAIMS["custom:scopes"],
    }


def test_the_event_is_payload_2(stack: Stack) -> None:
    event = stack.request(
        "GET",
        "/a%20b?x=1&y=",
        user="nobody asks",
        headers={"X-Thing": "1", "Cookie": "a=1; b=2"},
        query={"x": ["2", "ü"]},
    ).json()
    assert event["version"] == "2.0"
    assert event["rawPath"] == event["requestContext"]["http"]["path"] == "/a b"
    assert event["pathParameters"] == {"note": "a b"}
    assert event["rawQueryString"] == "x=1&y=&x=2&x=%C3%BC"
    assert event["queryStringParameters"] == {"x": "1,2,ü", "y": ""}
    assert event["headers"]["x-thing"] == "1"
    assert event["cookies"] == ["a=1", "b=2"]
    assert "cookie" not in event["headers"]
    assert "authorizer" not in event["requestContext"]
    assert "body" not in event
    assert event["requestContext"]["timeEpoch"] == stack.clock.now()


def test_an_encoded_slash_is_a_slash_and_an_encoded_question_mark_ends_the_path(
    stack: Stack,
) -> None:
    assert stack.request("GET", "/a%2Fb").status == 404
    assert stack.request("GET", "/a%3Fb").json()["rawPath"] == "/a"


@pytest.mark.parametrize(
    ("content_type", "body", "encoded"),
    [
        ("application/json; charset=utf-8", b"{}", False),
        ("text/plain", "ü".encode(), False),
        ("", b"abc", False),
        ("", b"\xff", True),
        ("application/x-www-form-urlencoded", b"a=1", True),
        ("application/octet-stream", b"\x00", True),
    ],
)
def test_a_body_that_is_no_text_comes_in_base64(
    stack: Stack, content_type: str, body: bytes, encoded: bool
) -> None:
    headers = {"content-type": content_type} if content_type else {}
    event = stack.request("GET", "/a", headers=headers, body=body).json()
    assert event["isBase64Encoded"] is encoded
    assert (base64.b64decode(event["body"]) if encoded else event["body"].encode()) == body


def test_a_result_becomes_a_response() -> None:
    inferred = response_of({"hello": 1})
    assert (inferred.status, inferred.json()) == (200, {"hello": 1})
    full = response_of(
        {
            "statusCode": 302,
            "headers": {"Location": "x"},
            "cookies": ["a=1"],
            "body": "AAE=",
            "isBase64Encoded": True,
        }
    )
    assert (full.status, full.headers, full.body) == (302, {"location": "x"}, b"\x00\x01")
    assert full.cookies == ("a=1",)
