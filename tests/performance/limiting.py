"""What a check costs this machine's processor, beside the library limits, in one run.

A check is one call to the table and what is decided around it. Both are measured: "alone" without
that call, as the library counts in its memory, and "with the store's client", botocore or Redis's,
without what the store itself does. What the library only decides here takes a body, a token's
claims and the rules as well, so the limiter is measured by itself too.

Every hundred checks are another identity's, of which all are allowed, so that no log grows longer
than any other.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from statistics import quantiles
from typing import Any, NamedTuple, get_args

import botocore.session
from botocore.awsrequest import AWSResponse
from limits import RateLimitItemPerHour
from limits.storage import MemoryStorage, RedisStorage, Storage
from limits.strategies import STRATEGIES

from functions.edge.clients import CONFIG
from functions.edge.limits.algorithms import Name
from functions.edge.limits.buckets import Buckets
from functions.edge.limits.limiter import Limiter
from functions.edge.limits.rules import Asked, Rule, Rulebook, encode
from functions.edge.runtime import Event, Runtime
from functions.ratelimiter.decider import stream_id
from functions.ratelimiter.handlers import check
from tests.performance.warm import Body
from tests.support.cloud.dynamodb import DynamoDB
from tests.support.cloud.sdk import over_http
from tests.support.deployed import free_port

AMOUNT = 100
CALLS = 200
"""Calls of each in a round."""
EVENTS, BUCKETS = "events", "buckets"
ENV = {"EVENTS_TABLE": EVENTS, "BUCKETS_TABLE": BUCKETS, "DENIALS_QUEUE_URL": ""}
RULES = {name: Rule(name, f"/{name}", AMOUNT, 3600, algorithm=name) for name in get_args(Name)}
HEADERS = {"content-type": "application/json"}
NO_REDIS = "No redis-server is on the PATH: the library's Redis storage was not measured."


class Measured(NamedTuple):
    """A call, and which of its costs say something: a storage in memory has no client, and of
    Redis's nothing can be left out."""

    call: Callable[[], None]
    alone: bool = True
    whole: bool = True


class Cost(NamedTuple):
    """Processor time of one call in microseconds: `alone` without the store's client, `whole` with
    it; both without the store itself."""

    alone: float
    whole: float


class Row(NamedTuple):
    """A name, and of each cost that says something p50 and p99."""

    name: str
    alone: tuple[float, float] | None
    whole: tuple[float, float] | None


class Spent:
    """Processor time in the store's client, and of that in the store, since it was last asked."""

    def __init__(self) -> None:
        self._nanoseconds = {"client": 0, "store": 0}

    @contextmanager
    def within(self, place: str) -> Iterator[None]:
        """Counts what is done meanwhile."""
        start = time.process_time_ns()
        try:
            yield
        finally:
            self._nanoseconds[place] += time.process_time_ns() - start

    def cost(self, call: Callable[[], None]) -> Cost:
        """What one call costs."""
        self._nanoseconds = {"client": 0, "store": 0}
        start = time.process_time_ns()
        call()
        total = time.process_time_ns() - start
        client, store = self._nanoseconds.values()
        return Cost((total - client) / 1000, (total - store) / 1000)


class Client:
    """botocore's client on a table in memory, and how long that takes."""

    def __init__(self, spent: Spent) -> None:
        session = botocore.session.get_session()
        session.set_credentials("key", "secret")
        self._client = session.create_client("dynamodb", region_name="us-east-1", config=CONFIG)
        self._client.meta.events.register("before-send", self._answer)
        self._store, self._spent = DynamoDB(), spent
        self.exceptions = self._client.exceptions
        _create(self._client, EVENTS, pk="S", sk="N")
        _create(self._client, BUCKETS, pk="S")
        self._client.put_item(TableName=EVENTS, Item=_commit())

    def query(self, **params: Any) -> Any:
        """The rules, once."""
        return self._client.query(**params)

    def update_item(self, **params: Any) -> Any:
        """What is measured."""
        with self._spent.within("client"):
            return self._client.update_item(**params)

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        with self._spent.within("store"):
            operation = request.headers["X-Amz-Target"].decode().partition(".")[2]
            send = lambda _, name, params: self._store.call(name, params)  # noqa: E731
            status, content = over_http("dynamodb", operation, send, request.body)
        media = {"content-type": "application/x-amz-json-1.0"}
        return AWSResponse(request.url, status, media, Body(content))


def measure(runs: int) -> tuple[list[Row], list[str]]:
    """Rows, and what could not be measured: in each round all of them in turn."""
    spent = Spent()
    with _redis() as redis:
        every = {**_handlers(spent), **_limiters(spent)}
        every |= _library(MemoryStorage(), "memory", alone=True)
        if redis is not None:
            every |= _library(redis, "Redis", alone=False)
        samples: dict[str, list[Cost]] = {name: [] for name in every}
        for _ in range(runs):
            for name, each in every.items():
                samples[name] += [spent.cost(each.call) for _ in range(CALLS)]
    rows = [
        Row(
            name,
            _percentiles([cost.alone for cost in samples[name]]) if each.alone else None,
            _percentiles([cost.whole for cost in samples[name]]) if each.whole else None,
        )
        for name, each in every.items()
    ]
    return rows, [] if redis is not None else [NO_REDIS]


def _percentiles(costs: list[float]) -> tuple[float, float]:
    cuts = quantiles(costs, n=100)
    return cuts[49], cuts[98]


# ---- Ours --------------------------------------------------------------------------------------


def _handlers(spent: Spent) -> dict[str, Measured]:
    client = Client(spent)
    runtime = Runtime(
        ENV, lambda *_: client, lambda: time.time_ns() // 10**6, os.urandom, time.sleep, _nowhere
    )
    handler = check.build(runtime)
    identities = count()

    def asking(name: str) -> Measured:
        def ask() -> None:
            answer = handler(_event(name, f"{name}-{next(identities) // AMOUNT}"), None)
            assert answer["statusCode"] == 200, answer

        return Measured(ask)

    return {f"POST /v1/check, {name}": asking(name) for name in RULES}


def _limiters(spent: Spent) -> dict[str, Measured]:
    client = Client(spent)
    limiter, identities = Limiter(Buckets(lambda _: client, BUCKETS)), count()

    def asking(rule: Rule) -> Measured:
        def ask() -> None:
            identity = f"{rule.name}-{next(identities) // AMOUNT}"
            asked = Asked(rule.endpoint, "GET", {"user": identity})
            [decision] = limiter.check("default", [rule], asked, time.time_ns() // 10**6)
            assert decision.allows

        return Measured(ask)

    return {f"limiter, {name}": asking(rule) for name, rule in RULES.items()}


def _nowhere(line: str) -> None:
    """Where log lines go."""


def _event(endpoint: str, user: str) -> Event:
    claims = {"sub": "gateway", "custom:scopes": check.WRITE}
    return {
        "routeKey": "POST /v1/check",
        "headers": HEADERS,
        "requestContext": {"requestId": "r", "authorizer": {"jwt": {"claims": claims}}},
        "body": json.dumps({"endpoint": f"/{endpoint}", "user": user}),
    }


def _create(client: Any, table: str, **keys: str) -> None:
    kinds = zip(keys, ("HASH", "RANGE"), strict=False)
    client.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": kind} for name, kind in keys.items()
        ],
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in kinds],
    )


def _commit() -> Mapping[str, Any]:
    data = {"number": 1, "rules": encode(Rulebook(tuple(RULES.values())))}
    events = [["RulesPublished", 1, {**data, "digest": "d"}], ["RulesActivated", 1, data]]
    return {
        "pk": {"S": stream_id("default")},
        "sk": {"N": "0"},
        "n": {"N": "2"},
        "id": {"S": "000000000000000000000000"},
        "e": {"S": json.dumps(events)},
        "m": {"S": json.dumps({"actor": "olga", "at": 1, "correlation": "r"})},
    }


# ---- The library -------------------------------------------------------------------------------


def _library(storage: Storage, kept: str, alone: bool) -> dict[str, Measured]:
    """Each way to count, asked as a check is: whether it may go on, and how much remains."""
    item, identities = RateLimitItemPerHour(AMOUNT), count()

    def asking(name: str) -> Measured:
        strategy = STRATEGIES[name](storage)

        def ask() -> None:
            identity = f"{name}-{next(identities) // AMOUNT}"
            assert strategy.hit(item, identity)
            strategy.get_window_stats(item, identity)

        return Measured(ask, alone=alone, whole=not alone)

    return {f"limits, {name}, {kept}": asking(name) for name in STRATEGIES}


@contextmanager
def _redis() -> Iterator[Storage | None]:
    """The library's storage on a server of its own; None where there is none on the PATH."""
    program = shutil.which("redis-server")
    if program is None:
        yield None
        return
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
    try:
        storage = RedisStorage(f"redis://127.0.0.1:{port}")
        _until(storage.check)
        yield storage
    finally:
        server.terminate()
        server.wait()


def _until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with suppress(Exception):
            if ready():
                return
        time.sleep(0.05)
    raise TimeoutError("redis-server does not answer")
