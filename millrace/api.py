"""The HTTP API as one user: what a deployment is to everybody, here or on AWS."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import httpx

from functions.kernel.backoff import Backoff
from millrace.errors import BenchError

PATIENCE = Backoff(attempts=6, base=0.5, cap=8.0)
"""Waits of up to 20 seconds together."""
AGAIN = {429, 500, 502, 503, 504}
"""What passes, as does an answer that was lost: every request here may be repeated."""
TIMEOUT_SECONDS = 35.0
"""The gateway gives a function 30 (API Gateway quotas for HTTP APIs)."""
PAGE = 100
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""What follows "Bearer" (RFC 6750, section 2.1)."""


def encoded(document: Any) -> bytes:
    """A JSON document as it is sent."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


ENVELOPE = len(encoded({"links": []}))
"""Bytes around the links of a bulk request."""


class Api:
    """The API below a base URL. All of its calls raise BenchError where the service refuses or does
    not answer after all tries."""

    def __init__(self, client: httpx.Client, patience: Backoff = PATIENCE) -> None:
        self.patience = patience
        self._client = client

    def create(self, links: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """POST /v1/links/bulk: an item for each link, in order."""
        items: list[dict[str, Any]] = self._ask(
            "POST",
            "/v1/links/bulk",
            content=encoded({"links": links}),
            headers={"content-type": "application/json"},
        )["items"]
        return sorted(items, key=lambda item: int(item["index"]))

    def links(self) -> Iterator[list[dict[str, Any]]]:
        """GET /v1/links, page by page: the links that the user has."""
        query = {"limit": str(PAGE)}
        while True:
            page = self._ask("GET", "/v1/links", params=query)
            yield page["items"]
            if page["next_cursor"] is None:
                return
            query["cursor"] = page["next_cursor"]

    def rules(self, version: int | None = None) -> dict[str, Any]:
        """GET /v1/rules: those of a version, else those that hold."""
        query = {} if version is None else {"version": str(version)}
        return self._ask("GET", "/v1/rules", params=query)

    def publish_rules(self, rules: Any) -> dict[str, Any]:
        """PUT /v1/rules: the version that they are."""
        return self._ask("PUT", "/v1/rules", json=rules)

    def activate_rules(self, version: int) -> dict[str, Any]:
        """POST /v1/rules/{version}/activate: the rules that hold from now on."""
        return self._ask("POST", f"/v1/rules/{version}/activate")

    def _ask(self, method: str, path: str, **rest: Any) -> dict[str, Any]:
        said = ""
        for _ in self.patience.tries():
            try:
                answer = self._client.request(method, path, **rest)
            except (httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
                raise BenchError(f"{method} {path}: {error}") from error
            except httpx.TransportError as error:
                said = str(error) or type(error).__name__
                continue
            said = f"{answer.status_code} {_detail(answer)}"
            if answer.status_code == 200:
                return _document(answer)
            if answer.status_code not in AGAIN:
                raise BenchError(f"{method} {path}: {said}{_advice(answer)}")
        raise BenchError(f"{method} {path}: {said}, {self.patience.attempts} times; run it again")


def connect(url: str, token: str) -> Api:
    """The API at `url` as the user whose token it is. Raises BenchError for what is no URL or no
    token."""
    try:
        base = httpx.URL(url)
        whole = base.scheme in ("http", "https") and base.host
    except (httpx.InvalidURL, ValueError) as error:
        raise BenchError(f"{url!r} is no URL: {error}") from error
    if not whole:
        raise BenchError(f"{url!r} is no URL such as https://api.example.com")
    client = httpx.Client(
        base_url=base, headers={"authorization": bearer(token)}, timeout=TIMEOUT_SECONDS
    )
    return Api(client)


def bearer(token: str) -> str:
    """The header that a token goes in, without the space around it. Raises BenchError, which does
    not tell it: it opens doors."""
    bare = token.strip()
    if not _TOKEN.fullmatch(bare):
        raise BenchError("the token holds what no token does: is it one, and whole?")
    return f"Bearer {bare}"


def _document(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise BenchError(f"{answer.url} is no API of Millrace")
    return found


def _detail(answer: httpx.Response) -> str:
    try:
        found = answer.json()
        return str(found.get("detail") or found.get("message") or answer.reason_phrase)
    except (ValueError, AttributeError):
        return answer.reason_phrase


def _advice(answer: httpx.Response) -> str:
    return "; is the token of this stack, and not expired?" if answer.status_code == 401 else ""
