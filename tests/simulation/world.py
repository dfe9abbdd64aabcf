"""A deployed stack in the simulation: containers, the cloud they call, and what goes wrong there.

Tables, queues, routes, mappings and time-outs are those of the templates; the handlers are the
real ones, built in a Runtime whose clock, chance, sleep and clients are the simulation's.
"""

from __future__ import annotations

import importlib
import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import greenlet
from botocore.exceptions import ReadTimeoutError

from functions.edge.runtime import Handler, Runtime
from tests.simulation.chaos import (
    CONTAINER_KINDS,
    FOCUS,
    HTTP_KINDS,
    NOT_SIMULATED,
    RARE,
    SELDOM,
    SELDOM_CALLED,
    Chaos,
    Fault,
    Plan,
    Weather,
    call_kinds,
)
from tests.simulation.coverage import Coverage
from tests.simulation.history import History
from tests.simulation.scheduler import Scheduler, Task
from tests.support.cloud.dynamodb import Change, DynamoDB, Table
from tests.support.cloud.errors import Refused, throttled
from tests.support.cloud.s3 import S3
from tests.support.cloud.sdk import MAX_ATTEMPTS, fast_client, sdk_client, waits
from tests.support.cloud.secrets import SecretsManager
from tests.support.cloud.sns import SNS
from tests.support.cloud.sqs import SQS, Queue
from tests.support.deployment import (
    UNGUARDED,
    Function,
    Subscription,
    functions_of,
    routes_of,
    subscriptions_of,
)
from tests.support.http_api import (
    Request,
    Response,
    Route,
    event_of,
    find_route,
    gateway_response,
    response_of,
)
from tests.support.template import Template

HOST = "c0ffee00.execute-api.us-east-1.amazonaws.com"
READ_TIMEOUT = 2.0
"""Seconds after which the SDK gives up on an answer; functions/edge/clients.py says so."""
CLAIMS = {"custom:tier": "free", "custom:scopes": "shortener:read shortener:write"}
GUARD = "Limits"
OPERATOR = "Operator"
"""Stands for a function where a tool calls."""
ROOT_KEY = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01"


Params = Mapping[str, Any]


class Service(Protocol):
    """A service of the cloud in memory."""

    def call(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        """Carries out one operation."""


class Violation(BaseException):
    """An invariant does not hold. Not an Exception: no handler may swallow it."""

    def __init__(self, invariant: str, detail: str) -> None:
        super().__init__(f"{invariant}: {detail}")
        self.invariant = invariant
        self.detail = detail


class Crash(BaseException):
    """The container died here."""


@dataclass
class Invocation:
    """One run of a function, begun at a true time. `causes` are the faults that it met, which
    excuse a failure; the rest is what it did: its calls, the messages that reached a queue (the
    queue's logical name and the body), the writes that reached a table, its log lines, and by how
    many calls it had made the true time at which it looked at its clock last."""

    id: str
    begun: int
    deadline: float
    event: Mapping[str, Any] = field(default_factory=dict)
    causes: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    sent: list[tuple[str, Any]] = field(default_factory=list)
    wrote: list[Change] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)
    looked: dict[int, int] = field(default_factory=dict)


@dataclass
class Container:
    """One sandbox of a function, running one event at a time; its clock is off by `skew`.
    `failed_at` says when an operation of its own failed last, in true time."""

    function: str
    name: str
    skew: int
    chance: random.Random
    invocation: Invocation
    handler: Handler = field(init=False)
    burst: tuple[str, str, int] = ("", "", 0)
    failed_at: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Served:
    """An answer that a function gave, whether or not it reached its client."""

    route: Route
    event: Mapping[str, Any]
    answer: Response
    container: Container
    invocation: Invocation


@dataclass(frozen=True)
class LambdaContext:
    """What Lambda tells a handler about its run."""

    function_name: str
    invoked_function_arn: str
    aws_request_id: str
    remaining: Callable[[], int]
    function_version: str = "$LATEST"
    memory_limit_in_mb: int = 512

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining()


@dataclass(frozen=True)
class Deployment:
    """What some templates declare; the same for every seed."""

    functions: Mapping[str, Function]
    routes: Sequence[Route]
    tables: Mapping[str, Mapping[str, Any]]
    queues: Mapping[str, tuple[str, Mapping[str, Any]]]
    buckets: Sequence[str]
    topics: Sequence[str]
    subscriptions: Sequence[Subscription]
    secrets: Mapping[str, str]
    names: Mapping[str, str]
    templates: Sequence[Template]


@cache
def deployment(
    paths: tuple[Path, ...],
    arguments: tuple[tuple[str, str], ...] = (),
    only: tuple[str, ...] = ("",),
) -> Deployment:
    """Reads templates once for all seeds; of the functions `only` those whose names begin so."""
    given = UNGUARDED | dict(arguments)
    templates = [each for path in paths for each in Template(path, given).family()]
    tables, queues, secrets, names = {}, {}, {}, {}
    topics: list[str] = []
    buckets: list[str] = []
    for template in templates:
        for name in template.names("AWS::DynamoDB::Table"):
            tables[template.physical(name)] = template.properties(name)
            names[template.physical(name)] = name
        for name in template.names("AWS::SQS::Queue"):
            url = template.resolve({"Ref": name})
            arn = template.resolve({"Fn::GetAtt": [name, "Arn"]})
            queues[url] = (arn, template.properties(name))
            names[url] = name
        for name in template.names("AWS::SNS::Topic"):
            topics.append(template.resolve({"Ref": name}))
            names[topics[-1]] = name
        for name in template.names("AWS::S3::Bucket"):
            buckets.append(template.physical(name))
            names[template.physical(name)] = name
        for name in template.names("AWS::SecretsManager::Secret"):
            secrets[template.resolve({"Ref": name})] = json.dumps({"root": ROOT_KEY})
    every = [each for template in templates for each in functions_of(template)]
    functions = {each.name: each for each in every if each.name.startswith(only)}
    every_route = [route for template in templates for route in routes_of(template)]
    routes = [route for route in every_route if route.function in functions]
    subscriptions = [each for template in templates for each in subscriptions_of(template)]
    return Deployment(
        functions,
        routes,
        tables,
        queues,
        buckets,
        topics,
        subscriptions,
        secrets,
        names,
        templates,
    )


def calls(deployed: Deployment) -> Iterator[tuple[str, str, str]]:
    """(function, service, operation) of all that the templates' policies allow."""
    for template in deployed.templates:
        for function in template.names("AWS::Serverless::Function"):
            if function not in deployed.functions:
                continue
            for policy in template.properties(function).get("Policies", ()):
                for statement in policy["Statement"]:
                    if _is_guards(deployed, statement):
                        continue
                    for action in _listed(statement["Action"]):
                        service, _, name = action.partition(":")
                        within = _ALWAYS_TOGETHER.get((function, name)) or _WITHIN.get(name)
                        for operation in (name,) if within is None else within:
                            yield function, service, operation
                            if (function, operation) in _TOGETHER:
                                yield function, service, "TransactWriteItems"
                        if action == "sqs:SendMessage":
                            yield from ((function, service, sent) for sent in _sends(function))


def _is_guards(deployed: Deployment, statement: Mapping[str, Any]) -> bool:
    """Whether it is about the table of the guard, without which everything runs here."""
    resources = _listed(statement["Resource"])
    return any(deployed.names.get(arn.rpartition("/")[2]) == GUARD for arn in resources)


def _sends(function: str) -> tuple[str, ...]:
    return _SENDS.get(function, ("SendMessageBatch",))


_WITHIN = {
    "ConditionCheckItem": ("TransactWriteItems",),
    "DeleteObject": ("DeleteObjects",),
    "ListBucket": ("ListObjectsV2",),
    "Publish": ("PublishBatch",),
    "SendMessage": (),
}
"""What a policy allows, and the only operations in which the functions do it."""
_TOGETHER = {("RatelimiterCheck", "UpdateItem")}
"""What a function does in transactions too, for which it needs no other permission."""
_ALWAYS_TOGETHER = {("RatelimiterTally", "PutItem"): ("TransactWriteItems",)}
"""What a function does in transactions alone."""
_SENDS = {
    "ShortenerCreate": ("SendMessage",),
    "ShortenerRedirect": ("SendMessage",),
    "RatelimiterCheck": ("SendMessage",),
    "AnalyticsTrack": ("SendMessage",),
    "AnalyticsSubmit": ("SendMessage",),
    "AnalyticsRoll": ("SendMessage",),
    "AnalyticsGather": ("SendMessage",),
    "AnalyticsFold": ("SendMessage", "SendMessageBatch"),
    "AnalyticsCompact": ("SendMessage", "SendMessageBatch"),
}
"""How functions send messages; the others send in batches alone."""


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _rare(deployed: Deployment) -> list[tuple[str, str, str]]:
    """(function, operation, kind of fault) of what comes about so seldom that seeds take turns in
    bringing it about."""
    scheduled = {each.name for each in deployed.functions.values() if each.schedules}
    return [
        (function, operation, kind)
        for function, service, operation in sorted(set(calls(deployed)))
        for kind in dict.fromkeys(call_kinds(function, service, operation))
        # A conflict must last for the kernel to give up.
        if operation in RARE
        or function in (scheduled | SELDOM)
        or (function, operation) in SELDOM_CALLED
        or kind == "conflict"
        if function not in NOT_SIMULATED
    ]


class World:
    """One run's world; a context manager, one at a time in a process.

    `focus` is the (function, operation, kind of fault) that this seed brings about, `watchers` see
    every change of a table, `heard` what a container's calls are answered (the container, the
    operation, its parameters, the answer), `served` are told of every answer of a function, `met`
    has the faults of each actor's newest request, and `busy` counts requests whose client went on
    without them.
    `blind`, redirects find the store failing or slow more often than not. `spares` says by function
    for how many milliseconds its containers may leave alone what has just failed them.
    """

    def __init__(self, plan: Plan, deployed: Deployment) -> None:
        self.plan = plan
        self.weather = Weather.of(plan)
        self.chaos = Chaos(plan, self.weather)
        self.history = History()
        self.coverage = Coverage()
        self.scheduler = Scheduler(plan.chance("turns"), self.weather.weights)
        self.deployed = deployed
        self.watchers: list[Callable[[Change], None]] = []
        self.served: list[Callable[[Served], None]] = []
        self.heard: list[Callable[[Container, str, Params, Params], None]] = []
        self._staleness = plan.chance("staleness")
        self.dynamodb = DynamoDB(
            now=lambda: self.scheduler.now,
            age=self._age,
            memory=self.weather.staleness,
            page=self.weather.page,
        )
        self.dynamodb.watch = self._watch
        self.dynamodb.stale = self._stale
        self.sqs = SQS(now=lambda: self.scheduler.now / 1000, choose=plan.chance("queues").choice)
        self.sqs.arrived = self.scheduler.rouse
        self.s3 = S3()
        self.sns = SNS(self.sqs, deployed.topics, deployed.subscriptions)
        self.secrets = SecretsManager()
        self._services: Mapping[str, Service] = {
            "dynamodb": self.dynamodb,
            "sqs": self.sqs,
            "s3": self.s3,
            "sns": self.sns,
            "secretsmanager": self.secrets,
        }
        self._idle: defaultdict[str, list[Container]] = defaultdict(list)
        self._ids: defaultdict[str, count[int]] = defaultdict(lambda: count(1))
        rare = _rare(deployed)
        self.focus = rare[plan.seed % len(rare)]
        accepts = ("ShortenerExecute", "ShortenerPending")
        own = self.focus[0] in accepts or self.focus[:2] == ("ShortenerCreate", "SendMessage")
        self._outage = own or plan.chance("outage").random() < 0.15
        self.blind = plan.chance("blind").random() < 0.15
        self.calling: Container | None = None
        self._poison: dict[str, bool] = {}
        self.met: dict[str, list[str]] = {}
        self.busy = 0
        self.spares: dict[str, int] = {}
        self._patches = ExitStack()
        for name, properties in deployed.tables.items():
            self.dynamodb.tables[name] = Table.declared(name, properties)
        for url, (arn, properties) in deployed.queues.items():
            self.sqs.queues[url] = Queue.declared(url, arn, properties)
        for bucket in deployed.buckets:
            self.s3.buckets[bucket] = {}
        self.secrets.secrets.update(deployed.secrets)

    def __enter__(self) -> Self:
        if self.plan.sdk:
            self._patches.enter_context(waits(self.sleep))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.scheduler.close()
        self._patches.close()

    @property
    def now(self) -> int:
        """The true time; containers' clocks may differ."""
        return self.scheduler.now

    def actor(self) -> str:
        """Whose turn it is."""
        task = greenlet.getcurrent()
        return task.name if isinstance(task, Task) else "world"

    def identify(self, kind: str) -> str:
        """A new identity of a kind."""
        return f"{kind}-{next(self._ids[kind])}"

    @property
    def focus_storm(self) -> int:
        """Seconds of storm that it takes for this seed's focus to come about: time for messages to
        die, and for a retired generation to be dropped."""
        return 4000 if self.focus[1] == "BatchWriteItem" or self._gives_up else 0

    @property
    def _gives_up(self) -> bool:
        """Whether this seed's focus comes about only where rows cannot be written."""
        function, operation, _ = self.focus
        reads = function.endswith(("Project", "Publish", "Sweep"))
        return reads and operation in ("SendMessageBatch", "UpdateItem")

    def note(self, what: str, detail: Any, outcome: Any, fault: str = "") -> None:
        scheduler = self.scheduler
        self.history.note(scheduler.step, scheduler.now, self.actor(), what, detail, outcome, fault)

    # ---- Requests -----------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        *,
        claims: Mapping[str, str] | None = None,
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Response | None:
        """One HTTP request; None where no answer comes."""
        given = {"host": HOST, "user-agent": "simulation", **(headers or {})}
        content = None if body is None else body.encode()
        request = Request(method, path, given, dict(query or {}), content)
        found = find_route(self.deployed.routes, method, request.path)
        if found is None:
            return gateway_response(404, "Not Found")
        route, parameters = found
        if route.needs_token and claims is None:
            return self._answered(route, gateway_response(401, "Unauthorized"))
        fault = self.chaos.draw(self.actor(), HTTP_KINDS, rate=self.weather.rate / 2)
        if fault is not None:
            self.coverage.hit("faults", "http", route.key, fault.kind)
        if fault is not None and fault.kind == "request_lost":
            self.note(f"{method} {path}", body or "", "no answer", fault.kind)
            self.sleep(3 * fault.degree)
            return None
        token = {"sub": "", **CLAIMS, **(claims or {})} if route.needs_token else None
        event = event_of(request, route, parameters, token, self.identify("request"), self.now)
        self.note(f"{method} {path}", _told(request), "sent", fault.kind if fault else "")
        if fault is not None and fault.kind == "impatient":
            # The client goes on while its request is still under way.
            name = f"{self.actor()}~"
            self.busy += 1
            self.scheduler.spawn(name, lambda: self._respond(route, event, leave=True))
            self.sleep(5 * fault.degree)
            return None
        answer = self._respond(route, event)
        if fault is not None and fault.kind == "answer_lost":
            return None
        return answer

    def _respond(self, route: Route, event: Mapping[str, Any], leave: bool = False) -> Response:
        invocation = self._invocation(route.function, event)
        try:
            container, result = self._run(route.function, event, invocation)
            answer = response_of(result)
            served = Served(route, event, answer, container, invocation)
        except Crash:
            # What the gateway makes of a function that died or ran out of time.
            answer, served = gateway_response(500, "Internal Server Error"), None
        self.met[self.actor()] = invocation.causes
        if leave:
            self.busy -= 1
        if answer.status == 500 and not invocation.causes:
            raise Violation("never a 500 without a cause", answer.text)
        if answer.status == 500 and "x-request-id" in answer.headers:
            raise Violation("a handler never answers 500", answer.text)
        spared = served is not None and self._spares(served.container)
        if answer.status > 500 and not invocation.causes and not spared:
            raise Violation("no 5xx without a cause", f"{route.key}: {answer.text}")
        self._answered(route, answer)
        if served is not None:
            for told in self.served:
                told(served)
        return answer

    def _spares(self, container: Container) -> bool:
        since = container.invocation.begun - self.spares.get(container.function, 0)
        return any(at >= since for at in container.failed_at.values())

    def _answered(self, route: Route, answer: Response) -> Response:
        self.coverage.hit("answers", route.key, str(answer.status))
        self.note(route.key, answer.headers.get("etag", ""), f"{answer.status} {answer.text[:300]}")
        return answer

    # ---- Functions ----------------------------------------------------------------------------

    def invoke(self, function: str, event: Mapping[str, Any]) -> Any:
        """Runs a function on an event. What its handler raises comes through; Crash, if the
        container died or the time ran out."""
        invocation = self._invocation(function, event)
        try:
            _, result = self._run(function, event, invocation)
        except Exception as failure:
            _excuse(invocation, f"{function} raised {failure!r}")
            raise
        if (result or {}).get("batchItemFailures"):
            _excuse(invocation, f"{function} reported {result}")
        return result

    def _invocation(self, function: str, event: Mapping[str, Any]) -> Invocation:
        deadline = self.now + self.deployed.functions[function].timeout * 1000
        return Invocation(self.identify("invocation"), self.now, deadline, event)

    def _run(
        self, function: str, event: Mapping[str, Any], invocation: Invocation
    ) -> tuple[Container, Any]:
        declared = self.deployed.functions[function]
        container = self._container(declared, invocation)
        context = LambdaContext(
            declared.env["AWS_LAMBDA_FUNCTION_NAME"],
            declared.arn,
            invocation.id,
            lambda: max(0, int(invocation.deadline - self.now)),
        )
        try:
            result = container.handler(_as_json(event), context)
        except Crash as crash:
            self.note(function, "", f"died: {crash}")
            raise
        except Exception as failure:
            self.note(function, "", f"raised {failure!r}")
            self._idle[function].append(container)
            raise
        self._idle[function].append(container)
        return container, _as_json(result)

    def operator(self, seconds: int) -> Runtime:
        """The world of a tool that somebody runs by hand with a function's environment; it dies
        like a container."""
        declared = Function(OPERATOR, "", "", {}, seconds, (), 0, None)
        invocation = Invocation(self.identify("run"), self.now, self.now + seconds * 1000)
        return self._runtime(declared, self._sandbox(declared, invocation))

    def _sandbox(self, declared: Function, invocation: Invocation) -> Container:
        name = self.identify(declared.name)
        chance = self.plan.chance(f"container/{name}")
        skew = chance.randint(-self.weather.skew, self.weather.skew)
        return Container(declared.name, name, skew, chance, invocation)

    def _container(self, declared: Function, invocation: Invocation) -> Container:
        idle = self._idle[declared.name]
        cold = 0.0 if self.weather.lone else self.weather.cold
        fault = self.chaos.draw(self.actor(), CONTAINER_KINDS, rate=cold)
        if fault is not None and idle:
            self.coverage.hit("faults", declared.name, "invoke", fault.kind)
            idle.clear()
        if idle:
            container = idle.pop()
            container.invocation = invocation
            return container
        container = self._sandbox(declared, invocation)
        module = importlib.import_module(declared.module)
        container.handler = module.build(self._runtime(declared, container))
        return container

    def _runtime(self, declared: Function, container: Container) -> Runtime:
        def send(service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
            return self._send(container, service, operation, params)

        def wait(seconds: float) -> None:
            self.sleep(seconds)
            self._check_time(container)

        def now() -> int:
            container.invocation.looked[len(container.invocation.calls)] = self.now
            return self.now + container.skew

        def write(line: str) -> None:
            told = json.loads(line)
            self.coverage.hit("log lines", told["outcome"])
            container.invocation.lines.append(told)

        def client(service: str, deadline_ms: int = 0, region: str = "") -> Any:
            attempts = 1 if deadline_ms else MAX_ATTEMPTS
            if self.plan.sdk:
                return sdk_client(service, send, container.chance.random, attempts)
            return fast_client(service, send, self.sleep, container.chance.random, attempts)

        return Runtime(
            env=declared.env,
            client=cache(client),
            now=now,
            entropy=container.chance.randbytes,
            sleep=wait,
            write=write,
        )

    def _check_time(self, container: Container) -> None:
        if self.now >= container.invocation.deadline:
            container.invocation.causes.append("timeout")
            self.coverage.hit("faults", container.function, "invoke", "timeout")
            raise Crash("ran out of time")

    # ---- Calls --------------------------------------------------------------------------------

    def sleep(self, seconds: float) -> None:
        self.scheduler.sleep(seconds)

    def _send(
        self, container: Container, service: str, operation: str, params: dict[str, Any]
    ) -> dict[str, Any]:
        self.sleep(0)
        self._check_time(container)
        if hasattr(body := params.get("Body", b""), "read"):
            # From its beginning, as botocore does for each attempt.
            body.seek(0)
            params = {**params, "Body": body.read()}
        fault = self._fault(container, service, operation, params)
        what = f"{container.function} {operation} {self._target(params)}"
        container.invocation.calls.append(operation)
        if fault is not None:
            container.invocation.causes.append(fault.kind)
            self.coverage.hit("faults", container.function, operation, fault.kind)
        try:
            answer = self._effect(container, service, operation, params, fault)
        except (Refused, ReadTimeoutError, Crash) as failure:
            self.note(what, params, _outcome(failure), fault.kind if fault else "")
            if fault is not None:
                container.failed_at[operation] = self.now
            elif isinstance(failure, Refused):
                self.coverage.hit("refusals", container.function, operation, failure.code)
            raise
        self.note(what, params, answer, fault.kind if fault else "")
        self.coverage.hit("calls", container.function, operation)
        for told in self.heard:
            told(container, operation, params, answer)
        if fault is not None and fault.kind == "freeze":
            self.sleep((container.invocation.deadline - self.now) / 1000 * 2 * fault.degree)
            self._check_time(container)
        return answer

    def _fault(
        self, container: Container, service: str, operation: str, params: Mapping[str, Any]
    ) -> Fault | None:
        """What happens here: what began at the call before and goes on, or something new."""
        if self._poisoned(operation, params):
            return Fault("", "poison", 1, 0.5)
        expected, kind, left = container.burst
        if left and expected == operation and not self.chaos.calm:
            container.burst = (operation, kind, left - 1)
            return Fault("", kind, left, 0.5)
        container.burst = ("", "", 0)
        if kinds := self._down(container, operation):
            fault = self.chaos.draw(self.actor(), kinds, 0.4, always=True)
        elif self.focus[:2] == (container.function, operation):
            fault = self.chaos.draw(self.actor(), self.focus[2:], rate=FOCUS, always=True)
        else:
            kinds = call_kinds(container.function, service, operation)
            fault = self.chaos.draw(self.actor(), kinds)
        if fault is not None and fault.kind in _LASTING:
            container.burst = (operation, fault.kind, fault.times - 1)
        return fault

    def _down(self, container: Container, operation: str) -> tuple[str, ...]:
        """How the store fails whom it fails again and again: creates, which then are accepted, or
        redirects, which then are answered from memory."""
        match container.function, operation:
            case ("ShortenerCreate", "PutItem") if self._outage:
                return "throttle", "lost_response"
            case ("ShortenerRedirect", "Query") if self.blind:
                return "throttle", "lost_response", "freeze"
        return ()

    def _poisoned(self, operation: str, params: Mapping[str, Any]) -> bool:
        """Whether this is a row that cannot be written as long as things go wrong."""
        if self.chaos.calm or operation != "PutItem" or "v" not in params["Item"]:
            return False
        if self.focus[1] == "BatchWriteItem":
            return False  # Nor would a replay end, or its former generation be dropped.
        name = params["Item"]["pk"]["S"]
        if name not in self._poison:
            # Without a row that cannot be written, a sweep sends nothing to its queue. What a
            # consumer keeps has no part in that, and would only be tried thousands of times.
            sends = self._gives_up and not name.startswith("heard@")
            rate = FOCUS if sends else self.weather.rate / 2
            fault = self.chaos.draw(f"row {name}", ("poison",), rate=rate, always=sends)
            self._poison[name] = fault is not None
        return self._poison[name]

    def _effect(
        self,
        container: Container,
        service: str,
        operation: str,
        params: dict[str, Any],
        fault: Fault | None,
    ) -> dict[str, Any]:
        def carry_out(given: dict[str, Any]) -> dict[str, Any]:
            self.calling = container
            answer = self._services[service].call(operation, given)
            if operation in ("SendMessage", "SendMessageBatch"):
                bodies = [each["MessageBody"] for each in given.get("Entries", [given])]
                sent = [(self._target(given), json.loads(body)) for body in bodies]
                container.invocation.sent += sent
            return answer

        match fault.kind if fault else "":
            case "crash_before":
                raise Crash(f"before {operation}")
            case "crash_after":
                carry_out(params)
                raise Crash(f"after {operation}")
            case "lost_request":
                self.sleep(READ_TIMEOUT)
                raise ReadTimeoutError(endpoint_url=service)
            case "lost_response":
                _silently(carry_out, params)
                self.sleep(READ_TIMEOUT)
                raise ReadTimeoutError(endpoint_url=service)
            case "throttle":
                raise throttled(service)
            case "server_error" | "poison":
                raise Refused("InternalServerError", status=500)
            case "conflict":
                raise _conflict(operation, params)
            case "partial":
                assert fault is not None
                return _partial(operation, params, carry_out, fault.degree)
        return carry_out(params)

    def _target(self, params: Mapping[str, Any]) -> str:
        for name in ("TableName", "QueueUrl", "TopicArn", "Bucket"):
            if name in params:
                place: str = self.deployed.names.get(params[name], params[name])
                return f"{place} {params['Key']}" if "Key" in params and name == "Bucket" else place
        return " ".join(self.deployed.names.get(t, t) for t in params.get("RequestItems", ()))

    def _watch(self, change: Change) -> None:
        if self.calling is not None:
            self.calling.invocation.wrote.append(change)
        for watcher in self.watchers:
            watcher(change)

    def _age(self) -> float:
        # Often as new or as old as it may be: a read that goes back takes one of each.
        share = min(1.0, max(0.0, 2 * self._staleness.random() - 0.5))
        return share * self.weather.staleness

    def _stale(self) -> None:
        if self.calling is not None:
            self.coverage.hit("faults", self.calling.function, "read", "stale")


_LASTING = {"throttle", "server_error", "conflict", "lost_request", "lost_response"}
"""What may go on for several attempts."""


_RIVALS = {"Conflict", "NoSuchKey", "Overtaken"}
"""Errors by which a function gives way to another, and comes again."""


def _excuse(invocation: Invocation, what: str) -> None:
    gave_way = any(line.get("error") in _RIVALS for line in invocation.lines)
    if not invocation.causes and not gave_way:
        raise Violation("nothing fails without a cause", what)


def _conflict(operation: str, params: Mapping[str, Any]) -> Refused:
    if operation != "TransactWriteItems":
        return Refused("TransactionConflictException", "Transaction is ongoing for the item")
    reasons = [{"Code": "TransactionConflict"}, *[{"Code": "None"}] * len(params["TransactItems"])]
    return Refused("TransactionCanceledException", CancellationReasons=reasons[:-1])


def _partial(
    operation: str,
    params: dict[str, Any],
    carry_out: Callable[[dict[str, Any]], dict[str, Any]],
    degree: float,
) -> dict[str, Any]:
    """Some of a batch is left undone, as the answer says; perhaps all of it."""
    if operation in _ENTRIES:
        entries = _ENTRIES[operation]
        done, left = _divided(params[entries], degree)
        answer = carry_out({**params, entries: done}) if done else {}
        failed = [
            {"Id": entry["Id"], "SenderFault": False, "Code": "InternalError"} for entry in left
        ]
        return {**answer, "Failed": failed}
    [(table, request)] = params["RequestItems"].items()
    if operation == "BatchWriteItem":
        done, left = _divided(request, degree)
        if done:
            carry_out({"RequestItems": {table: done}})
        return {"UnprocessedItems": {table: left}}
    done, left = _divided(request["Keys"], degree)
    unprocessed = {"UnprocessedKeys": {table: {**request, "Keys": left}}}
    if not done:
        return {"Responses": {}, **unprocessed}
    return {**carry_out({"RequestItems": {table: {**request, "Keys": done}}}), **unprocessed}


_ENTRIES = {"SendMessageBatch": "Entries", "PublishBatch": "PublishBatchRequestEntries"}


def _divided(batch: list[Any], degree: float) -> tuple[list[Any], list[Any]]:
    place = int(len(batch) * degree)
    return batch[:place], batch[place:]


def _silently(carry_out: Callable[[dict[str, Any]], object], params: dict[str, Any]) -> None:
    with suppress(Refused):  # That it was refused gets lost as well.
        carry_out(params)


def _outcome(failure: BaseException) -> str:
    if isinstance(failure, Refused):
        return failure.code
    return f"{type(failure).__name__} {failure}"


def _told(request: Request) -> str:
    kept = ("if-match", "idempotency-key", "x-correlation-id")
    headers = " ".join(f"{n}={v}" for n, v in request.headers.items() if n in kept)
    return f"{headers} {request.body.decode() if request.body else ''}".strip()


def _as_json(value: Any) -> Any:
    """A copy by way of JSON, as everything that enters or leaves Lambda; raises TypeError."""
    return json.loads(json.dumps(value))


def physical(names: Mapping[str, str], logical: str) -> str:
    """The physical name, URL or ARN of a logical name."""
    [found] = [key for key, name in names.items() if name == logical]
    return found
