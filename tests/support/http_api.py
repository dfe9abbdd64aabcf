"""An HTTP API's side of a request: which route takes it, what event its function gets.

Sources: Amazon API Gateway Developer Guide, "Routes for HTTP APIs" (the most specific route wins)
and "AWS Lambda proxy integrations for HTTP APIs" (payload 2.0). Measured on AWS by others: HTTP
APIs decode the path before they match and hand it on decoded, %2F included (hotsock/voker#8,
aws/aws-lambda-dotnet#1901).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

Query = Mapping[str, str | list[str]]

TEXT_TYPES = {"application/json", "application/javascript", "application/xml"}
"""Content types besides text/* whose bodies arrive as text; all others come in base64."""


@dataclass(frozen=True)
class Route:
    """One route: `method` is ANY for all, `path` starts with a slash or is $default."""

    method: str
    path: str
    function: str
    needs_token: bool

    @property
    def key(self) -> str:
        return self.path if self.path == "$default" else f"{self.method} {self.path}"

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """The path's parameters, or None if the route does not take the request."""
        if self.method not in ("ANY", method):
            return None
        if self.path == "$default":
            return {}
        parameters = {}
        wanted, given = self.path.split("/"), path.split("/")
        if wanted[-1].endswith("+}"):
            depth = len(wanted) - 1
            rest = "/".join(given[depth:])
            given = given[:depth] + ([rest] if rest else [])
        if len(wanted) != len(given):
            return None
        for name, segment in zip(wanted, given, strict=True):
            if not name.startswith("{"):
                if name != segment:
                    return None
            elif not segment:
                return None
            else:
                parameters[name.strip("{+}")] = segment
        return parameters

    @property
    def rank(self) -> tuple[list[int], bool]:
        """Sorts the most specific first: fixed before {one} before {all+} before $default."""
        if self.path == "$default":
            return [3], True
        ranks = [
            0 if not part.startswith("{") else 2 if part.endswith("+}") else 1
            for part in self.path.split("/")
        ]
        return ranks, self.method == "ANY"


def route_of(key: str, function: str, needs_token: bool) -> Route:
    """A route from its RouteKey, "GET /v1/links/{code}" or "$default"."""
    method, _, path = key.rpartition(" ")
    return Route(method or "ANY", path, function, needs_token)


def find_route(
    routes: Iterable[Route], method: str, path: str
) -> tuple[Route, dict[str, str]] | None:
    """The route that takes a request of a decoded path, with the path's parameters."""
    for route in sorted(routes, key=lambda route: route.rank):
        parameters = route.match(method, path)
        if parameters is not None:
            return route, parameters
    return None


@dataclass(frozen=True)
class Response:
    """What the client gets; header names are lower-case, cookies as they were set."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cookies: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


def gateway_response(status: int, message: str) -> Response:
    """An answer that the gateway gives by itself."""
    body = json.dumps({"message": message}).encode()
    return Response(status, {"content-type": "application/json"}, body)


def response_of(result: Any) -> Response:
    """A function's result as the client sees it. A result without a statusCode is the body of a
    200, as API Gateway infers."""
    if not isinstance(result, dict) or "statusCode" not in result:
        body = json.dumps(result).encode()
        return Response(200, {"content-type": "application/json"}, body)
    text = result.get("body") or ""
    content = base64.b64decode(text) if result.get("isBase64Encoded") else text.encode()
    headers = {name.lower(): str(value) for name, value in result.get("headers", {}).items()}
    return Response(int(result["statusCode"]), headers, content, tuple(result.get("cookies", ())))


@dataclass(frozen=True)
class Request:
    """What a client sends. `target` is an encoded path, with its query string if it has one."""

    method: str
    target: str
    headers: Mapping[str, str]
    query: Query
    body: bytes | None

    @property
    def path(self) -> str:
        """Decoded, and cut at a decoded question mark, as HTTP APIs do."""
        return unquote(self.target.partition("?")[0]).partition("?")[0]

    @property
    def raw_query(self) -> str:
        given = self.target.partition("?")[2]
        return "&".join(filter(None, [given, urlencode(self.query, doseq=True)]))


def event_of(
    request: Request,
    route: Route,
    parameters: Mapping[str, str],
    claims: Mapping[str, str] | None,
    request_id: str,
    now: int,
) -> dict[str, Any]:
    """The payload 2.0 event; `claims` of None is a request without a token, `now` is epoch
    milliseconds."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    cookies = SimpleCookie(headers.pop("cookie", ""))
    context: dict[str, Any] = {
        "accountId": "123456789012",
        "apiId": "c0ffee00",
        "domainName": headers["host"],
        "http": {
            "method": request.method,
            "path": request.path,
            "protocol": "HTTP/1.1",
            "sourceIp": "203.0.113.7",
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": request_id,
        "routeKey": route.key,
        "stage": "$default",
        "timeEpoch": now,
    }
    if claims is not None:
        context["authorizer"] = {"jwt": {"claims": dict(claims), "scopes": None}}
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route.key,
        "rawPath": request.path,
        "rawQueryString": request.raw_query,
        "headers": headers,
        "requestContext": context,
        "isBase64Encoded": False,
    }
    if cookies:
        event["cookies"] = [f"{name}={cookie.coded_value}" for name, cookie in cookies.items()]
    if request.raw_query:
        event["queryStringParameters"] = _joined(request.raw_query)
    if parameters:
        event["pathParameters"] = dict(parameters)
    if request.body is not None:
        event |= _body(request.body, headers.get("content-type", ""))
    return event


def _joined(raw_query: str) -> dict[str, str]:
    """A parameter given twice arrives as one, its values joined by commas."""
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(raw_query, keep_blank_values=True):
        values.setdefault(name, []).append(value)
    return {name: ",".join(given) for name, given in values.items()}


def _body(body: bytes, content_type: str) -> dict[str, Any]:
    kind = content_type.partition(";")[0].strip().lower()
    try:
        if not kind or kind in TEXT_TYPES or kind.startswith("text/"):
            return {"body": body.decode()}
    except UnicodeDecodeError:
        pass
    return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
