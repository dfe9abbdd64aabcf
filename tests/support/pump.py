"""A stack deployed on moto, with the wiring that the template gives it.

Single-threaded, and nothing happens by itself: requests are made, records and messages delivered,
schedules fired and time moved by the test alone.
"""

from __future__ import annotations

import importlib
import json
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, Self
from unittest.mock import patch

from moto import mock_aws

from functions.edge.runtime import Handler, Runtime
from tests.support.clock import FakeClock
from tests.support.delivery import Pollers, hidden_too
from tests.support.deployment import UNGUARDED, Function, Subscription, functions_of, routes_of
from tests.support.faults import Faults
from tests.support.http_api import (
    Query,
    Request,
    Response,
    event_of,
    find_route,
    gateway_response,
    response_of,
)
from tests.support.meter import Meter
from tests.support.provision import (
    make_buckets,
    make_queues,
    make_secrets,
    make_tables,
    make_topics,
    queue_arn,
    streams_of,
    subscribe,
    subscribe_queues,
)
from tests.support.table_stream import Record, Writes
from tests.support.template import Template
from tests.support.wire import Wire, bare_client

CLAIMS = {
    "custom:tenant": "default",
    "custom:tier": "free",
    "custom:scopes": (
        "shortener:read shortener:write analytics:read analytics:write"
        " ratelimiter:read ratelimiter:write"
    ),
}
"""What a token carries besides its subject, unless a test says otherwise."""

STEPS = 1000
"""Deliveries after which a stack is taken never to fall quiet."""


@dataclass(frozen=True)
class LambdaContext:
    """The context that Lambda hands to a handler; `deadline` is a time of `clock`."""

    function_name: str
    invoked_function_arn: str
    aws_request_id: str
    clock: FakeClock
    deadline: int
    function_version: str = "$LATEST"
    memory_limit_in_mb: int = 512

    def get_remaining_time_in_millis(self) -> int:
        return max(0, self.deadline - self.clock.now())


class Stack:
    """What the templates declare, running; a context manager, one at a time in a process.

    `parameters` are the root templates'; no route is guarded unless they say so. `logs` are the
    lines that handlers wrote, parsed; `failures` are the exceptions of deliveries and schedules,
    which Lambda would have retried.
    """

    def __init__(
        self,
        templates: Sequence[Path],
        parameters: Mapping[str, str] | None = None,
        clock: FakeClock | None = None,
    ) -> None:
        self.clock = clock or FakeClock()
        self._start = self.clock.now()
        self._templates = [
            template
            for path in templates
            for template in Template(path, {**UNGUARDED, **(parameters or {})}).family()
        ]
        self._mock = mock_aws()
        self._writes = Writes()
        self._patches = ExitStack()

    def __enter__(self) -> Self:
        self._patches.enter_context(self._mock)
        self._patches.enter_context(self._writes.counting())
        # moto's queues and streams, and the SDK's waits between its tries, on our clock.
        for target, replacement in {
            "moto.sqs.models.unix_time": lambda *_: self.clock.seconds(),
            "moto.sqs.models.unix_time_millis": lambda *_: self.clock.now(),
            "moto.dynamodb.models.table.utcnow": self.clock.naive_utc,
            "botocore.endpoint.time": SimpleNamespace(sleep=lambda _: None),
        }.items():
            self._patches.enter_context(patch(target, replacement))
        self.reset()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._patches.close()

    def reset(self) -> None:
        """Everything as after the first deployment: no data, no plans, no logs, the first clock."""
        self._mock.reset()
        self.clock.milliseconds = self._start
        self.logs: list[dict[str, Any]] = []
        self.faults = Faults()
        self.meter = Meter(bare_client)
        self._random = random.Random(0)
        self._ids = count(1)
        self._names = {
            physical: logical
            for template in self._templates
            for make in (make_secrets, make_topics, make_queues, make_buckets, make_tables)
            for physical, logical in make(template)
        }
        for template in self._templates:
            subscribe_queues(template)
        self._streams = [
            stream for each in self._templates for stream in streams_of(each, self._writes)
        ]
        self.functions = {
            function.name: function for each in self._templates for function in functions_of(each)
        }
        self._routes = [route for each in self._templates for route in routes_of(each)]
        self._wire = Wire(self._names, self.meter.record, self.faults, self.meter)
        self._pollers = Pollers(
            self.functions, self._streams, self.clock, lambda *args: self.invoke(*args)
        )
        self.failures = self._pollers.failures
        self.cold_start()

    # ---- What a test does ---------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        *,
        user: str | None = None,
        claims: Mapping[str, str | None] | None = None,
        json: Any = None,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Query | None = None,
    ) -> Response:
        """One HTTP request; `user` signs it with a token of that subject and of `claims`, where a
        claim of None is left out. What a handler raises comes through."""
        self.meter.request("http")
        request = _request(method, path, json, body, headers or {}, query or {})
        found = find_route(self._routes, method, request.path)
        if found is None:
            return gateway_response(404, "Not Found")
        route, parameters = found
        if route.needs_token and user is None:
            return gateway_response(401, "Unauthorized")
        token = _claims(user, claims or {}) if route.needs_token and user else None
        request_id = self._id("request")
        event = event_of(request, route, parameters, token, request_id, self.clock.now())
        return response_of(self.invoke(route.function, event))

    def invoke(self, function: str, event: Mapping[str, Any]) -> Any:
        """Runs a function on an event, as Lambda does: in an idle container if there is one, else
        in a new one, never two events at a time in one. What its handler raises comes through, and
        a Crash takes the container along."""
        self.meter.request("lambda")
        declared = self.functions[function]
        idle = self._idle[function]
        handler = idle.pop() if idle else self._build(declared)
        context = LambdaContext(
            declared.env["AWS_LAMBDA_FUNCTION_NAME"],
            declared.arn,
            self._id("invocation"),
            self.clock,
            self.clock.now() + declared.timeout * 1000,
        )
        try:
            result = handler(_as_json(event), context)
        except Exception:
            idle.append(handler)
            raise
        idle.append(handler)
        return _as_json(result)

    def runtime(self, function: str) -> Runtime:
        """The world of a new container: the function's environment, and clients of its own."""
        return Runtime(
            env=self.functions[function].env,
            client=cache(partial(self._wire.client, function)),
            now=self.clock.now,
            entropy=self._random.randbytes,
            sleep=self.clock.advance,
            write=lambda line: self.logs.append(json.loads(line)),
        )

    def client(self, service: str) -> Any:
        """A client for a test's own use: unmetered, never failed, never interleaved."""
        return bare_client(service)

    def stream_records(self) -> list[Record]:
        """Takes the records of every stream without delivering them."""
        return [record for stream in self._streams for record in stream.take()]

    def deliver(self, function: str, records: Sequence[Record], *, steps: int = STEPS) -> None:
        """Hands stream records to a function as its mapping says: filtered, in batches, retried,
        in the end given up. Raises NotQuiet if its retries have no end."""
        self._pollers.deliver(self.functions[function], records, steps=steps)

    def drain(self, *, wait: bool = True, steps: int = STEPS) -> None:
        """Delivers records and messages until there are none.

        With `wait`, moves the clock on to delayed messages and to those that failed and became
        visible again, until they are done or in a dead-letter queue nobody reads. Raises NotQuiet.
        """
        self._pollers.drain(wait=wait, steps=steps)

    def tick(self, function: str) -> Any:
        """Fires a function's schedules, with Lambda's retries of an asynchronous invocation.
        Raises what the last try raised, unless there is a destination for failures."""
        declared = self.functions[function]
        result = None
        for schedule in declared.schedules:
            result = self._pollers.fire(declared, schedule)
        return result

    def advance(self, seconds: float) -> None:
        """Moves the clock on."""
        self.clock.advance(seconds)

    def cold_start(self) -> None:
        """Ends every idle container: the next runs build their handlers and clients anew."""
        self._idle: defaultdict[str, list[Handler]] = defaultdict(list)

    def messages(self, queue: str) -> list[str]:
        """Bodies of what a queue holds, hidden and delayed ones included, without receiving."""
        [url] = [url for url, name in self._names.items() if name == queue]
        return [message.body for message in hidden_too(url)]

    def subscribe(self, topic: str, queue: str, policy: Mapping[str, Any]) -> None:
        """Makes a queue of a test's own that hears a topic; `messages(queue)` are what came."""
        url = bare_client("sqs").create_queue(QueueName=queue)["QueueUrl"]
        self._names[url] = queue
        [arn] = [arn for arn, name in self._names.items() if name == topic]
        subscribe(Subscription(arn, queue_arn(queue), policy))

    def _build(self, function: Function) -> Handler:
        handler: Handler = importlib.import_module(function.module).build(
            self.runtime(function.name)
        )
        return handler

    def _id(self, kind: str) -> str:
        return f"{kind}-{next(self._ids)}"


def _request(
    method: str,
    target: str,
    document: Any,
    body: bytes | str | None,
    headers: Mapping[str, str],
    query: Query,
) -> Request:
    defaults = {"host": "c0ffee00.execute-api.us-east-1.amazonaws.com", "user-agent": "tests"}
    if document is not None:
        body = json.dumps(document)
        defaults["content-type"] = "application/json"
    content = body.encode() if isinstance(body, str) else body
    given = {name.lower(): value for name, value in headers.items()}
    return Request(method, target, {**defaults, **given}, query, content)


def _claims(user: str, claims: Mapping[str, str | None]) -> dict[str, str]:
    # The gateway turns every claim into a string, whatever the token held.
    merged = {"sub": user, "token_use": "id", **CLAIMS, **claims}
    return {name: str(value) for name, value in merged.items() if value is not None}


def _as_json(value: Any) -> Any:
    """A copy by way of JSON, as everything that enters or leaves Lambda; raises TypeError."""
    return json.loads(json.dumps(value))
