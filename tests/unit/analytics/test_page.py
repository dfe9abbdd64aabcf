"""GET /static/{file}: what is sent, how it may be kept, and what else can be read: nothing."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import rjsmin

from functions.analytics.handlers import page
from functions.edge.runtime import Runtime

POOL = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_pool"
CLAIMS = {name: name.lower() for name in ("TENANT_CLAIM", "TIER_CLAIM", "SCOPES_CLAIM")}


def nobody(*_: Any) -> Any:
    raise AssertionError("the files need nobody")


def get(file: str, query: dict[str, str] | None = None, **sent: Any) -> dict[str, Any]:
    """The answer to a request for a file; `env` are the function's settings."""
    env = {"ISSUER": POOL, "AUDIENCE": "client", **CLAIMS, **sent.pop("env", {})}
    runtime = Runtime(env, nobody, lambda: 0, bytes, nobody, lambda line: None)
    event = {
        "routeKey": "GET /static/{file}",
        "headers": sent.pop("headers", {}),
        "pathParameters": {"file": file},
        "queryStringParameters": query or {},
        "requestContext": {"requestId": "request", "http": {}},
    }
    answer: dict[str, Any] = page.build(runtime)(event, None)
    return answer


def policy(**env: str) -> dict[str, str]:
    """The page's Content-Security-Policy by directive."""
    sent = get("dashboard.html", env=env)["headers"]["content-security-policy"]
    return dict(each.strip().partition(" ")[::2] for each in sent.split(";"))


@pytest.mark.parametrize("name", page.FILES)
def test_a_file_is_sent_as_what_it_is(name: str) -> None:
    answer = get(name)
    assert answer["statusCode"] == 200
    assert answer["headers"]["content-type"] == page.FILES[name][1]
    assert answer["headers"]["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer["headers"]["content-security-policy"]
    assert answer["body"]


def test_every_file_beside_them_is_one_of_them_or_a_source() -> None:
    there = {str(path.relative_to(page.FOLDER)) for path in page.FOLDER.rglob("*.*")}
    folders = {str(path.relative_to(page.FOLDER)) for path in page.FOLDER.rglob("*.*/")}
    assert there - folders - {path for path, _ in page.FILES.values()} == {"track.src.js"}


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        "../handlers/page.py",
        "..%2fhandlers%2fpage.py",
        "/etc/passwd",
        "track.src.js",
        "vendor/uPlot-1.6.32/LICENSE",
        "dashboard.html\0",
        "__init__.py",
    ],
)
def test_nothing_else_can_be_read(name: str) -> None:
    answer = get(name)
    assert answer["statusCode"] == 404
    assert json.loads(answer["body"])["type"] == "urn:millrace:problem:unknown_file"


def test_what_is_known_is_not_sent_again() -> None:
    tag = get("track.js")["headers"]["etag"]
    again = get("track.js", headers={"if-none-match": f'"other", W/{tag}'})
    assert (again["statusCode"], again["headers"]["etag"]) == (304, tag)
    assert "body" not in again
    assert get("track.js", headers={"if-none-match": '"other"'})["statusCode"] == 200


def test_a_file_may_be_kept_for_ever_by_its_own_hash_alone() -> None:
    tag = get("dashboard.js")["headers"]["etag"].strip('"')
    kept = {v: get("dashboard.js", {"v": v})["headers"]["cache-control"] for v in (tag, "old")}
    assert kept == {tag: page.FOR_EVER, "old": page.SHORT}
    assert get("dashboard.js")["headers"]["cache-control"] == page.SHORT


def test_the_page_names_every_file_with_its_hash() -> None:
    linked = re.findall(r'(?:href|src)="([^"?#]+)\?v=(\w+)"', get("dashboard.html")["body"])
    assert [name for name, _ in linked] == [
        *("uplot.css", "dashboard.css", "uplot.js", "login.js", "chart.js", "dashboard.js")
    ]
    assert all(get(name)["headers"]["etag"] == f'"{tag}"' for name, tag in linked)


def test_the_page_may_ask_us_and_the_issuer_alone() -> None:
    assert policy()["connect-src"] == "'self' https://cognito-idp.eu-central-1.amazonaws.com"
    assert (
        policy(ISSUER="https://id.example/realms/1")["connect-src"] == "'self' https://id.example"
    )
    other = policy(ISSUER="https://id.example/", LOGIN_ORIGINS="https://tokens.example")
    assert other["connect-src"] == "'self' https://id.example https://tokens.example"
    local = policy(AWS_ENDPOINT_URL="http://127.0.0.1:4566")
    assert local["connect-src"] == "'self' http://127.0.0.1:4566"
    assert (policy()["script-src"], policy()["style-src"]) == ("'self'", "'self'")
    assert policy()["frame-ancestors"] == "'none'"


@pytest.mark.parametrize(
    ("env", "cognito", "client"),
    [
        ({}, "https://cognito-idp.eu-central-1.amazonaws.com", "client"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}, "http://127.0.0.1:4566", "client"),
        ({"ISSUER": "https://id.example", "CLIENT_ID": "page"}, "", "page"),
        ({"ISSUER": "https://id.example", "AWS_ENDPOINT_URL": "http://x"}, "", "client"),
    ],
)
def test_the_page_is_told_where_to_log_in(env: dict[str, str], cognito: str, client: str) -> None:
    told = json.loads(get("config.json", env=env)["body"])
    assert told == {
        "issuer": env.get("ISSUER", POOL),
        "audience": "client",
        "client_id": client,
        "cognito": cognito,
    }


def test_the_snippet_is_what_its_source_gives_and_small() -> None:
    source = (page.FOLDER / "track.src.js").read_text()
    assert get("track.js")["body"] == rjsmin.jsmin(source)
    assert len(get("track.js")["body"].encode()) <= 2048


def test_a_site_that_isolates_itself_may_embed_the_snippet() -> None:
    headers = get("track.js")["headers"]
    assert headers["cross-origin-resource-policy"] == "cross-origin"
    assert headers["access-control-allow-origin"] == "*"
