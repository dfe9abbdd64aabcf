"""Clients of the cloud in memory, two ways to the same answers.

`sdk_client` is botocore whole: requests are serialized, signed, answered before they are sent, and
parsed. `fast_client` replaces `_make_api_call` alone, since serializing, signing and parsing are
nine tenths of a call's CPU (0.7 ms of 0.8) and a simulation makes a million of them. Its retries
are still botocore's own: the same RetryHandler decides on the same contexts, with its quota and
its backoff. tests/simulation/test_simulation.py demands that both write the same history.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.exceptions import HTTPClientError
from botocore.retries import standard

from functions.edge.clients import CONFIG
from tests.support import query_protocol
from tests.support.cloud.errors import Refused

Params = dict[str, Any]
Send = Callable[[str, str, Params], Params]
"""Carries out (service, operation, parameters). Raises Refused, or a botocore HTTPClientError
where no answer comes."""
Sleep = Callable[[float], None]
Jitter = Callable[[], float]

MAX_ATTEMPTS = CONFIG.retries["total_max_attempts"]


def fast_client(
    service: str, send: Send, sleep: Sleep, jitter: Jitter, attempts_max: int = MAX_ATTEMPTS
) -> Any:
    """A botocore client with all its methods and exceptions, and a short cut in the middle."""
    template = _template(service)
    client = object.__new__(type(template))
    vars(client).update(vars(template))
    events: dict[str, Callable[..., Any]] = {}
    # What register_retry_handler needs of a client is where to register, and for which service.
    registry = SimpleNamespace(
        meta=SimpleNamespace(
            service_model=template.meta.service_model,
            events=SimpleNamespace(
                register=lambda name, handler, unique_id=None: events.update({name: handler})
            ),
        )
    )
    retries = standard.register_retry_handler(registry, attempts_max)
    retries._retry_policy._retry_backoff._random = jitter
    [release] = [handler for name, handler in events.items() if name.startswith("after-call")]

    def call(operation: str, params: Params) -> Params:
        # As botocore.endpoint.Endpoint._send_request and BaseClient._make_api_call do.
        model = template.meta.service_model.operation_model(operation)
        # As botocore.handlers.generate_idempotent_uuid does: attempts of one call share it.
        params = {**{name: str(uuid4()) for name in model.idempotent_members}, **params}
        context: Params = {}
        attempts = 0
        while True:
            attempts += 1
            failure, answer = _answer(service, send, operation, params)
            if answer is not None and answer[0].status_code < 300:
                break  # Which the handler would say as well, after seven checks.
            delay = retries.needs_retry(
                attempts=attempts,
                operation=model,
                response=answer,
                caught_exception=failure,
                request_dict={"context": context},
            )
            if delay is None:
                break
            sleep(delay)
        if failure is not None:
            raise failure
        assert answer is not None
        http, parsed = answer
        parsed["ResponseMetadata"]["RetryAttempts"] = attempts - 1
        release(context=context, http_response=http)
        if http.status_code >= 300:
            raise client.exceptions.from_code(parsed["Error"]["Code"])(parsed, operation)
        return parsed

    client._make_api_call = call
    return client


def _answer(
    service: str, send: Send, operation: str, params: Params
) -> tuple[HTTPClientError | None, tuple[Any, Params] | None]:
    try:
        return None, (_http(200), {**send(service, operation, params), **_metadata(200)})
    except Refused as refusal:
        error = {"Code": refusal.code, "Message": refusal.message}
        parsed = {"Error": error, **refusal.body, **_metadata(refusal.status)}
        return None, (_http(refusal.status), parsed)
    except HTTPClientError as failure:
        return failure, None


@cache
def _http(status: int) -> Any:
    return SimpleNamespace(status_code=status, headers={})


def _metadata(status: int) -> Params:
    return {"ResponseMetadata": {"HTTPStatusCode": status, "RetryAttempts": 0}}


def sdk_client(service: str, send: Send, jitter: Jitter, attempts_max: int = MAX_ATTEMPTS) -> Any:
    """botocore's client, whole; its chance is ours, its waits too where `waits` surrounds it."""
    client = _session().create_client(service, region_name="us-east-1", config=CONFIG)
    events, event_name = client.meta.events, client.meta.service_model.service_id.hyphenize()
    events.unregister(f"needs-retry.{event_name}", unique_id=f"retry-config-{event_name}")
    retries = standard.register_retry_handler(client, attempts_max)
    retries._retry_policy._retry_backoff._random = jitter

    def before_send(request: Any, event_name: str, **_: Any) -> AWSResponse:
        operation = event_name.rpartition(".")[2]
        over = _over_query if service == "sns" else over_http
        status, content = over(service, operation, send, request.body)
        return AWSResponse(request.url, status, {}, _Body(content))

    events.register("before-send", before_send)
    return client


def over_http(service: str, operation: str, send: Send, content: bytes) -> tuple[int, bytes]:
    """What the service's endpoint answers to a request's JSON: status and content."""
    try:
        body, status = send(service, operation, unwired(json.loads(content))), 200
    except Refused as refusal:
        body, status = {"__type": f"#{refusal.code}", "message": refusal.message}, refusal.status
        body |= refusal.body
    return status, json.dumps(body, default=_base64).encode()


def _over_query(service: str, operation: str, send: Send, content: str) -> tuple[int, bytes]:
    try:
        params = query_protocol.parameters(content)
        return 200, query_protocol.answer(operation, send(service, operation, params))
    except Refused as refusal:
        return refusal.status, query_protocol.refusal(refusal.code, refusal.message)


@contextmanager
def waits(sleep: Sleep) -> Iterator[None]:
    """Meanwhile botocore waits between its attempts by `sleep`."""
    with patch("botocore.endpoint.time", SimpleNamespace(sleep=sleep)):
        yield


def unwired(value: Any) -> Any:
    """Parameters off the wire as botocore takes them: binary as bytes, not base64."""
    if isinstance(value, list):
        return [unwired(element) for element in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and isinstance(value.get("B"), str):
        return {"B": base64.b64decode(value["B"])}
    return {name: unwired(element) for name, element in value.items()}


def wired(value: Any) -> Any:
    """As it stands in JSON: binary in base64."""
    return json.loads(json.dumps(value, default=_base64))


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


class _Body(BytesIO):
    def stream(self) -> list[bytes]:
        return [self.read()]


@cache
def _template(service: str) -> Any:
    return _session().create_client(service, region_name="us-east-1", config=CONFIG)


@cache
def _session() -> Any:
    return botocore.session.get_session()
