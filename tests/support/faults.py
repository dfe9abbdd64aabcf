"""Faults at the wire, where a handler cannot tell them from AWS's own.

Each plan takes the service and operation it hits ("*" is any), how many `times`, how many matching
calls to `skip` first, and may be narrowed to a `function` or a `resource` (logical names).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ReadTimeoutError

from tests.support import query_protocol
from tests.support.cloud.errors import throttled
from tests.support.wire import Call, Send, bare_client

Effect = Callable[[Call, Send], AWSResponse]


class Crash(BaseException):
    """The container died here. Not an Exception: no handler may live through it."""


@dataclass
class Fault:
    """One plan; `fired` counts how often it struck."""

    service: str
    operation: str
    effect: Effect
    times: int
    skip: int
    function: str | None
    resource: str | None
    fired: int = 0

    def strikes(self, call: Call) -> bool:
        if self.fired == self.times or not self._matches(call):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.fired += 1
        return True

    def _matches(self, call: Call) -> bool:
        return (
            self.service in ("*", call.service)
            and self.operation in ("*", call.operation)
            and self.function in (None, call.function)
            and (self.resource is None or any(self.resource == name for _, name in call.accesses))
        )


class Faults:
    """A layer of the wire that carries out what was planned, one plan per call, oldest first."""

    def __init__(self) -> None:
        self.planned: list[Fault] = []

    def __call__(self, call: Call, send: Send) -> AWSResponse:
        for fault in self.planned:
            if fault.strikes(call):
                return fault.effect(call, send)
        return send()

    def clear(self) -> None:
        """Drops every plan."""
        self.planned.clear()

    def lose_response(self, service: str, operation: str, **plan: Any) -> Fault:
        """The call takes effect, its answer never arrives; the SDK repeats it."""
        return self._plan(service, operation, _lose, **plan)

    def throttle(self, service: str, operation: str, **plan: Any) -> Fault:
        """The call is refused as too many; the SDK repeats it."""
        refusal = throttled(service)
        return self._plan(service, operation, _refuse(refusal.code, refusal.status), **plan)

    def conflict(self, operation: str, **plan: Any) -> Fault:
        """A transaction stands in DynamoDB's way; the SDK does not repeat the call."""
        return self._plan("dynamodb", operation, _conflict, **plan)

    def fail(
        self, service: str, operation: str, code: str, *, status: int = 400, **plan: Any
    ) -> Fault:
        """The call is refused with an error code of your choice."""
        return self._plan(service, operation, _refuse(code, status), **plan)

    def partial(self, operation: str, **plan: Any) -> Fault:
        """The call carries out the first half of its batch, and says that the rest failed. For
        SNS's PublishBatch."""
        if operation != "PublishBatch":
            raise NotImplementedError(f"a part of {operation}")
        return self._plan("sns", operation, _publish_half, **plan)

    def crash_before(self, service: str, operation: str, **plan: Any) -> Fault:
        """The container dies before the call takes effect."""
        return self._plan(service, operation, _crash_before, **plan)

    def crash_after(self, service: str, operation: str, **plan: Any) -> Fault:
        """The container dies after the call took effect."""
        return self._plan(service, operation, _crash_after, **plan)

    def _plan(
        self,
        service: str,
        operation: str,
        effect: Effect,
        *,
        times: int = 1,
        skip: int = 0,
        function: str | None = None,
        resource: str | None = None,
    ) -> Fault:
        fault = Fault(service, operation, effect, times, skip, function, resource)
        self.planned.append(fault)
        return fault


def _lose(call: Call, send: Send) -> AWSResponse:
    send()
    raise ReadTimeoutError(endpoint_url=call.url)


def _crash_before(call: Call, send: Send) -> AWSResponse:
    raise Crash(f"before {call.name}")


def _crash_after(call: Call, send: Send) -> AWSResponse:
    send()
    raise Crash(f"after {call.name}")


def _refuse(code: str, status: int = 400) -> Effect:
    def refuse(call: Call, send: Send) -> AWSResponse:
        if call.service == "s3":
            text = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>"
            return AWSResponse(call.url, status, {}, _Body(text.encode()))
        return _answer(call, status, {"__type": f"#{code}", "message": code})

    return refuse


def _conflict(call: Call, send: Send) -> AWSResponse:
    members = call.params.get("TransactItems")
    if members is None:
        return _refuse("TransactionConflictException")(call, send)
    reasons = [{"Code": "TransactionConflict"}] + [{"Code": "None"}] * (len(members) - 1)
    error = {"__type": "#TransactionCanceledException", "CancellationReasons": reasons}
    return _answer(call, 400, error)


def _publish_half(call: Call, send: Send) -> AWSResponse:
    """moto takes a batch whole or not at all: the half is a call of its own."""
    entries = call.params["PublishBatchRequestEntries"]
    half = len(entries) // 2
    if half:
        bare_client("sns").publish_batch(
            TopicArn=call.params["TopicArn"], PublishBatchRequestEntries=entries[:half]
        )
    failed = [
        {"Id": entry["Id"], "Code": "InternalError", "SenderFault": False}
        for entry in entries[half:]
    ]
    content = query_protocol.answer(call.operation, {"Failed": failed})
    return AWSResponse(call.url, 200, {}, _Body(content))


class _Body(BytesIO):
    def stream(self) -> list[bytes]:
        return [self.read()]


def _answer(call: Call, status: int, body: dict[str, Any]) -> AWSResponse:
    if call.service == "sns":
        content = query_protocol.refusal(body["__type"].removeprefix("#"))
        return AWSResponse(call.url, status, {}, _Body(content))
    return AWSResponse(call.url, status, {}, _Body(json.dumps(body).encode()))
