"""The pool's filler, on a schedule: makes codes for the slots that have been claimed."""

from __future__ import annotations

from typing import Any

from functions.edge.log import LogLine
from functions.edge.runtime import Event, Handler, Runtime, entry
from functions.edge.settings import settings
from functions.shortener.pool import Pool
from functions.shortener.strategies import PoolSettings


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    pool = Pool(runtime.client("dynamodb"), *settings(PoolSettings, runtime.env), runtime.entropy)

    def handler(event: Event, context: Any) -> None:
        log = LogLine(runtime, "shortener", context.aws_request_id)
        with log.closing():
            log.count("pooled_codes", pool.fill())

    return handler


handler = entry(build)
