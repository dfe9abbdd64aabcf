"""What visitors notice while the store hangs or fails: the redirect beside a store that does both.

Every container is a process of its own with the function's handler and its hurried clients, and
answers one request at a time, as on Lambda; unlike there, no further ones start while all are busy.
The store is DynamoDB on the emulator, behind a proxy that can be told to hang or to answer 500.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any, Literal, NamedTuple

import botocore.session
from rich.progress import Progress

from infra.local.emulator import Emulator
from infra.local.endpoint import variables
from millrace.terminal import console, table
from tests.support.deployed import free_port

RATE = 50
"""Requests a second, over all containers."""
CONTAINERS = 8
CODES = [f"hot{number}" for number in range(10)]
HANG_SECONDS = 2.0
TABLE = "outage-events"
ENV = {
    "EVENTS_TABLE": TABLE,
    "COUNTERS_TABLE": "outage-counters",
    "PUBLIC_URL": "https://sho.rt",
    "CLICKS_QUEUE_URL": "http://127.0.0.1/000000000000/clicks",
    "SECRET_ARN": "outage-secret",
}

Mode = Literal["healthy", "hangs", "answers 500"]


class Phase(NamedTuple):
    """How the store behaves for so many seconds."""

    mode: Mode
    seconds: float


PHASES = (
    Phase("healthy", 10),
    Phase("hangs", 30),
    Phase("healthy", 10),
    Phase("answers 500", 30),
    Phase("healthy", 10),
)


class Asked(NamedTuple):
    """A request: the place of its phase, its code, and when it came (monotonic seconds)."""

    phase: int
    code: str
    at: float


class Answered(NamedTuple):
    """What became of a request. `seconds` count from its arrival, so waiting for a container is in
    them; `status` 0 is an exception, whose text is in `error`."""

    phase: int
    status: int
    stale: bool
    seconds: float
    error: str = ""


# ---- The store, and a queue that takes everything -----------------------------------------------


@dataclass
class Wire:
    """What stands between the containers and the store. `calls` counts them by `phase`."""

    store_port: int
    mode: Mode = "healthy"
    phase: int = 0
    calls: Counter[int] = field(default_factory=Counter)

    def answer(self, headers: Message, body: bytes) -> tuple[int, bytes]:
        """The store's answer to a call, or what comes in its place."""
        self.calls[self.phase] += 1
        if self.mode == "answers 500":
            return 500, b'{"__type":"InternalServerError","message":"told to fail"}'
        if self.mode == "hangs":
            time.sleep(HANG_SECONDS)
        store = HTTPConnection("127.0.0.1", self.store_port)
        try:
            store.request("POST", "/", body, dict(headers))
            answer = store.getresponse()
            return answer.status, answer.read()
        finally:
            store.close()


def _taken(headers: Message, body: bytes) -> tuple[int, bytes]:
    return 200, b'{"MessageId":"m"}'


@contextmanager
def _serving(answer: Callable[[Message, bytes], tuple[int, bytes]]) -> Iterator[str]:
    """An HTTP server whose every POST is answered so; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # The header and the body are two packets: without it, the second waits 40 ms for a reply.
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status, content = answer(self.headers, body)
            try:
                self.send_response(status)
                self.send_header("content-type", "application/x-amz-json-1.0")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except OSError:
                # The client has hung up: it waits less long than we hang.
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Nothing: a line a call would drown the report."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.socket.close()


def _fill(port: int) -> None:
    """Makes the table and the links."""
    client = botocore.session.get_session().create_client(
        "dynamodb",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
        ],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
    )
    for code in CODES:
        client.put_item(TableName=TABLE, Item=_commit(code))


def _commit(code: str) -> dict[str, Any]:
    link = {
        "code": code,
        "created_at": 1,
        "domain": "default",
        "long_url": f"https://example.com/{code}",
        "owner": "alice",
        "redirect_status": 302,
    }
    return {
        "pk": {"S": f"link#default#{code}"},
        "sk": {"N": "0"},
        "n": {"N": "1"},
        "id": {"S": "0" * 24},
        "e": {"S": json.dumps([["LinkCreated", 1, link]])},
        "m": {"S": json.dumps({"actor": "alice", "at": 1, "correlation": "r"})},
    }


# ---- A container --------------------------------------------------------------------------------


def _container(requests: Any, answers: Any, ready: Any) -> None:
    """A process that answers requests until it gets None."""
    from functions.edge.runtime import process_runtime
    from functions.shortener.handlers import redirect

    lines: list[str] = []
    handler = redirect.build(process_runtime(hurried=True)._replace(write=lines.append))
    ready.wait()
    while (asked := requests.get()) is not None:
        lines.clear()
        status, error = 0, ""
        try:
            status = handler(_event(asked.code), None)["statusCode"]
        except Exception as raised:
            error = repr(raised)
        seconds = time.monotonic() - asked.at
        stale = any("stale_redirects" in json.loads(line) for line in lines)
        answers.put(Answered(asked.phase, status, stale, seconds, error))


def _event(code: str) -> dict[str, Any]:
    caller = {"method": "GET", "sourceIp": "192.0.2.1"}
    return {
        "routeKey": "GET /{code}",
        "headers": {"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0 Safari/537.36"},
        "pathParameters": {"code": code},
        "requestContext": {"requestId": "r", "domainName": "sho.rt", "http": caller},
    }


# ---- The run ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """What was answered in each phase, and the calls that reached the store in it."""

    phases: Sequence[Phase]
    answered: Sequence[Answered]
    calls: Mapping[int, int]

    def of(self, phase: int) -> list[Answered]:
        """The answers to the requests that came in one phase."""
        return [each for each in self.answered if each.phase == phase]


def run(
    store_port: int,
    phases: Sequence[Phase] = PHASES,
    *,
    containers: int = CONTAINERS,
    rate: float = RATE,
    tick: Callable[[Mode], None] = lambda mode: None,
) -> Run:
    """Asks for hot codes through the phases, the store being the emulator on `store_port`. `tick`
    hears of each request."""
    _fill(store_port)
    wire = Wire(store_port)
    with _serving(wire.answer) as store, _serving(_taken) as queue:
        environment = {
            **variables(store),
            **ENV,
            "AWS_ENDPOINT_URL_SQS": queue,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        with _containers(containers, environment) as (requests, answers):
            asked = 0
            for each in _arrivals(phases, rate, wire):
                requests.put(each)
                asked += 1
                tick(phases[each.phase].mode)
            # All that were asked are answered, however late.
            answered = [answers.get(timeout=120) for _ in range(asked)]
    return Run(phases, answered, dict(wire.calls))


def _arrivals(phases: Sequence[Phase], rate: float, wire: Wire) -> Iterator[Asked]:
    """Requests at their times; the wire is told each phase as it begins."""
    choice, at = random.Random(0), time.monotonic()
    for number, phase in enumerate(phases):
        wire.mode, wire.phase = phase.mode, number
        for _ in range(round(phase.seconds * rate)):
            at += 1 / rate
            time.sleep(max(0.0, at - time.monotonic()))
            yield Asked(number, choice.choice(CODES), time.monotonic())


@contextmanager
def _containers(number: int, environment: Mapping[str, str]) -> Iterator[tuple[Any, Any]]:
    """Processes that take requests from one queue and put what became of them into another."""
    spawn = multiprocessing.get_context("spawn")
    requests, answers, ready = spawn.Queue(), spawn.Queue(), spawn.Barrier(number + 1)
    processes = [
        spawn.Process(target=_container, args=(requests, answers, ready), daemon=True)
        for _ in range(number)
    ]
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        for process in processes:
            process.start()
    finally:
        os.environ.clear()
        os.environ.update(before)
    try:
        ready.wait(timeout=120)
        yield requests, answers
    finally:
        for _ in processes:
            requests.put(None)
        for process in processes:
            process.join(timeout=10)
            process.kill()
        for queue in (requests, answers):
            queue.close()
            queue.join_thread()


# ---- The report ---------------------------------------------------------------------------------


class Row(NamedTuple):
    """One phase in figures: shares of its requests, milliseconds, calls, exceptions."""

    mode: Mode
    requests: int
    redirected: float
    stale: float
    p50: float
    p99: float
    slowest: float
    calls: int
    exceptions: int


def rows(done: Run) -> list[Row]:
    """The figures of every phase."""
    return [
        _row(phase.mode, done.of(n), done.calls.get(n, 0)) for n, phase in enumerate(done.phases)
    ]


def _row(mode: Mode, answered: Sequence[Answered], calls: int) -> Row:
    times = [each.seconds * 1000 for each in answered]
    percents = quantiles(times, n=100)
    return Row(
        mode,
        len(answered),
        sum(each.status == 302 for each in answered) / len(answered),
        sum(each.stale for each in answered) / len(answered),
        percents[49],
        percents[98],
        max(times),
        calls,
        sum(each.status == 0 for each in answered),
    )


COLUMNS = (
    "store",
    "requests",
    "redirected",
    "stale",
    "p50 ms",
    "p99 ms",
    "max ms",
    "calls",
    "raised",
)


def main() -> int:
    """`make outage`: runs all phases and prints a table; 1 if a handler raised anything."""
    with TemporaryDirectory() as scratch, Progress(console=console(stderr=True)) as bar:
        emulator = Emulator(free_port(), Path(scratch) / "emulator")
        emulator.start()
        task = bar.add_task("starting", total=sum(phase.seconds for phase in PHASES) * RATE)
        try:
            done = run(
                emulator.port,
                tick=lambda mode: bar.update(task, advance=1, description=f"store {mode}"),
            )
        finally:
            emulator.stop()
    found = rows(done)
    console().print(f"{RATE} requests/s for {len(CODES)} hot codes, {CONTAINERS} containers")
    console().print(table(*COLUMNS, rows=map(_shown, found), right=COLUMNS[1:]))
    return int(any(row.exceptions for row in found))


def _shown(row: Row) -> list[str]:
    shares = [f"{share:.1%}" for share in (row.redirected, row.stale)]
    times = [f"{each:.0f}" for each in (row.p50, row.p99, row.slowest)]
    return [row.mode, str(row.requests), *shares, *times, str(row.calls), str(row.exceptions)]


if __name__ == "__main__":
    raise SystemExit(main())
