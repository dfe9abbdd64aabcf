"""Clicks leave the redirect as messages, in the form of contracts/shortener/LinkClicked.v1.json."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from functions.edge.log import LogLine
from functions.edge.runtime import Runtime
from functions.kernel.backoff import Pause
from functions.kernel.store import Stream
from functions.shortener.decider import Link
from functions.shortener.policy import Visit

MAX_AGENT = 256
PAUSE_MS = 1_000
"""For about so long after a failed send no other is tried: no visitor waits for a queue that is
down. It doubles with every failure in a row."""
MAX_PAUSE_MS = 8_000
"""Up to this: what it costs is that clicks are in the log for so much longer than need be."""


def message(
    stream: Stream[Link | None], link: Link, visit: Visit, url: str, agent: str, referrer: str
) -> dict[str, Any]:
    """What a click tells, without id, time and correlation. No address: of where somebody is, only
    the country is told."""
    data = {
        "domain": link.domain,
        "code": link.code,
        "kind": visit.kind,
        "url": url,
        "country": visit.country,
        "language": visit.languages[0] if visit.languages else None,
        "referrer": _host(referrer),
        "agent": agent[:MAX_AGENT] or None,
    }
    return {
        "type": "LinkClicked",
        "schema": 1,
        "stream": stream.id,
        "version": stream.version,
        "tenant": stream.tenant,
        "data": {name: value for name, value in data.items() if value is not None},
    }


def _host(referrer: str) -> str | None:
    try:
        return urlsplit(referrer).hostname
    except ValueError:
        return None


class Clicks:
    """Sends clicks to the queue; one that cannot be sent goes into the log line instead, from where
    it can be sent later."""

    def __init__(self, runtime: Runtime, queue_url: str) -> None:
        self._runtime = runtime
        self._url = queue_url
        self._pause = Pause(PAUSE_MS, MAX_PAUSE_MS, runtime.now, runtime.backoff().jitter)

    def tell(self, click: dict[str, Any], log: LogLine) -> None:
        """Sends a click. Never raises for a queue that fails."""
        envelope = {
            "id": self._runtime.entropy(12).hex(),
            "time": self._runtime.now(),
            "correlation": log.correlation,
            **click,
        }
        if not (self._pause.over and self._sent(envelope)):
            log.add(lost_click=envelope)
            log.count("lost_clicks")

    def _sent(self, envelope: dict[str, Any]) -> bool:
        try:
            self._runtime.client("sqs").send_message(
                QueueUrl=self._url, MessageBody=json.dumps(envelope, separators=(",", ":"))
            )
        except (BotoCoreError, ClientError):
            self._pause.failed()
            return False
        self._pause.succeeded()
        return True
