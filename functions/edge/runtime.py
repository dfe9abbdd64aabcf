"""Everything impure that a handler may use, in one place that a test or simulator can replace."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, Protocol

from functions.kernel.backoff import Backoff

Event = dict[str, Any]
Handler = Callable[[Event, Any], Any]


class Clients(Protocol):
    """Shared botocore clients by service name; with a deadline, in milliseconds, one that gives up
    then and never asks twice; with a region, one of that and not of our own."""

    def __call__(self, service: str, deadline_ms: int = 0, region: str = "", /) -> Any:
        """A service's client."""


class Runtime(NamedTuple):
    """The handler's world: `now` is epoch milliseconds, `sleep` takes seconds, `write` takes one
    log line."""

    env: Mapping[str, str]
    client: Clients
    now: Callable[[], int]
    entropy: Callable[[int], bytes]
    sleep: Callable[[float], None]
    write: Callable[[str], None]

    def backoff(self) -> Backoff:
        """Waits between attempts, on this runtime's clock and entropy."""
        return Backoff(sleep=self.sleep, jitter=lambda: int.from_bytes(self.entropy(4)) / 2**32)


def _now() -> int:
    return time.time_ns() // 1_000_000


def _write(line: str) -> None:
    # One write call, to stderr: Lambda logs either stream, and the emulator answers sooner.
    sys.stderr.write(line + "\n")


def process_runtime(hurried: bool = False) -> Runtime:
    """The runtime of this process: its environment, clock, entropy and AWS clients; `hurried` ones
    give up early."""
    from functions.edge.clients import client

    clients = partial(client, hurried=hurried)
    return Runtime(os.environ, clients, _now, os.urandom, time.sleep, _write)


def entry(build: Callable[[Runtime], Handler], *, hurried: bool = False) -> Handler:
    """A Lambda entry point that builds its handler on the first invocation, not at import."""
    built: list[Handler] = []

    def handler(event: Event, context: Any) -> Any:
        if not built:
            built.append(build(process_runtime(hurried)))
        return built[0](event, context)

    return handler
