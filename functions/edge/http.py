"""The HTTP edge: an API Gateway payload 2.0 event in, an answer or a problem out, one log line."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from functions.edge.identity import Claims, Identity, network_of
from functions.edge.limits.guard import Guard
from functions.edge.log import LogLine
from functions.edge.problem import Problem, of_kernel, unavailable
from functions.edge.runtime import Event, Handler, Runtime
from functions.edge.settings import settings
from functions.kernel.errors import KernelError

JSON = "application/json"
MAX_BODY_BYTES = 64 * 1024
PASSING = frozenset(
    {
        # What the SDK repeats.
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
        # What SQS and SNS say besides (their API references).
        "KMS.ThrottlingException",
        "KMSThrottling",
        "KmsThrottled",
        "OverLimit",
        "Throttled",
    }
)
"""Codes of refusals that pass by themselves."""
_CORRELATION = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Answer(NamedTuple):
    """A response: `body` is JSON-able, or None; of another `media` it is text or bytes. `cookies`
    are Set-Cookie fields."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = MappingProxyType({})
    media: str = JSON
    cookies: Sequence[str] = ()


class Request(NamedTuple):
    """What a route's function gets. Header names are lower-case."""

    event: Event
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    identity: Identity | None
    request_id: str
    log: LogLine
    context: Any = None

    @property
    def caller(self) -> Identity:
        """The identity, on a route that requires one."""
        if self.identity is None:
            raise Problem(401, "unauthenticated", "A bearer token is required.")
        return self.identity

    @property
    def host(self) -> str:
        """The host that the request was sent to."""
        return str(self.event["requestContext"].get("domainName", ""))

    @property
    def network(self) -> str:
        """Whom the caller's address stands for, as the gateway saw it: anybody may write an
        X-Forwarded-For. Empty where there is none."""
        address = self.event["requestContext"]["http"].get("sourceIp", "")
        return network_of(address) or ""

    @property
    def remaining_ms(self) -> int:
        """Milliseconds until Lambda ends the run."""
        return int(self.context.get_remaining_time_in_millis())

    def body(self, limit: int = MAX_BODY_BYTES) -> str:
        """The request's body as text, at most `limit` bytes. Raises 413 and 400 Problems."""
        raw = self.event.get("body") or ""
        try:
            content = base64.b64decode(raw) if self.event.get("isBase64Encoded") else raw.encode()
            text = content.decode()
        except ValueError as error:
            raise Problem(400, "bad_body", "The body is not UTF-8 text.") from error
        if len(content) > limit:
            raise Problem(413, "too_large", f"The body is above {limit} bytes.")
        return str(text)


class Route(NamedTuple):
    """One route's function and the scope that it takes; None makes it public. A `service` asks it
    on behalf of many."""

    run: Callable[[Request], Answer]
    scope: str | None
    service: bool = False


def http(runtime: Runtime, capability: str, routes: Mapping[str, Route]) -> Handler:
    """A Lambda handler for some routes of the HTTP API, by route key ("GET /v1/links/{code}")."""
    names, guard = settings(Claims, runtime.env), Guard(runtime)

    def handler(event: Event, context: Any) -> Event:
        request_id, key = event["requestContext"]["requestId"], event["routeKey"]
        log = LogLine(runtime, capability, request_id)
        quota: Mapping[str, str] = {}
        try:
            request = _request(event, request_id, log, names, context)
            _authorize(routes[key], request)
            quota = guard.admit(key, routes[key], request)
            answer = _respond(routes[key].run(request))
        except Exception as error:
            problem = problem_of(error)
            explain(log, problem)
            answer = _refuse(problem, request_id)
        log.add(route=key, status=answer["statusCode"])
        log.write(_outcome(answer["statusCode"]))
        answer["headers"] = {**quota, **answer["headers"], "x-request-id": request_id}
        return answer

    return handler


def problem_of(error: Exception) -> Problem:
    """What an exception is answered with; one that nobody foresaw is our own fault."""
    match error:
        case Problem():
            return error
        case KernelError():
            problem = of_kernel(error)
        case ClientError() if _passing(error):
            problem = unavailable()
        case BotoCoreError():
            problem = unavailable()
        case _:
            problem = _fault()
    problem.__cause__ = error
    return problem


def explain(log: LogLine, problem: Problem) -> None:
    """Notes a problem and where it came from."""
    # Type and place, never the message: it may quote the caller's input.
    log.add(problem=problem.kind)
    cause = problem.__cause__
    if cause is None:
        return
    trace = cause.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace else ""
    log.add(cause=type(cause).__name__, at=place)


def _request(event: Event, request_id: str, log: LogLine, names: Claims, context: Any) -> Request:
    headers = event.get("headers") or {}
    correlation = headers.get("x-correlation-id", "")
    if _CORRELATION.fullmatch(correlation):
        log.correlation = correlation
    return Request(
        event=event,
        path=event.get("pathParameters") or {},
        query=event.get("queryStringParameters") or {},
        headers=headers,
        identity=Identity.of(event, names),
        request_id=request_id,
        log=log,
        context=context,
    )


def _authorize(route: Route, request: Request) -> None:
    if route.scope is not None and route.scope not in request.caller.scopes:
        raise Problem(403, "missing_scope", f"The token lacks the scope {route.scope}.")


def _passing(error: ClientError) -> bool:
    if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
        return True
    return error.response["Error"]["Code"] in PASSING


def _respond(answer: Answer) -> Event:
    headers = {"cache-control": "no-store", **answer.headers}
    response: Event = {"statusCode": answer.status, "headers": headers}
    if answer.cookies:
        response["cookies"] = list(answer.cookies)
    if answer.body is not None:
        headers["content-type"] = answer.media
        response["body"] = (
            json.dumps(answer.body)
            if answer.media == JSON and not isinstance(answer.body, bytes)
            else answer.body
        )
    if isinstance(answer.body, bytes):
        response.update(body=base64.b64encode(answer.body).decode(), isBase64Encoded=True)
    return response


def _refuse(problem: Problem, request_id: str) -> Event:
    headers = {
        "cache-control": "no-store",
        **problem.headers,
        "content-type": "application/problem+json",
    }
    return {"statusCode": problem.status, "headers": headers, "body": problem.body(request_id)}


def _fault() -> Problem:
    return Problem(500, "internal", "Something went wrong on our side; it has been recorded.")


def _outcome(status: int) -> str:
    return "ok" if status < 400 else "refused" if status < 500 else "failed"
