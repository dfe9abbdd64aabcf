"""Clicks leave the redirect as messages, in the form of contracts/shortener/LinkClicked.v1.json."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from functions.edge.log import LogLine
from functions.edge.runtime import Runtime
from functions.edge.secrets import Secrets
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
SECRET_PAUSE_MS = 60_000
"""For so long after a failed read the secret is not asked for; clicks go without a visitor."""
DAY_MS = 86_400_000


def message(
    stream: Stream[Link | None],
    link: Link,
    visit: Visit,
    url: str,
    agent: str,
    referrer: str,
    visitor: str | None = None,
) -> dict[str, Any]:
    """What a click tells, without id, time and correlation. No address: of where somebody is, only
    the country is told, and of who it is, at most a digest."""
    data = {
        "domain": link.domain,
        "code": link.code,
        "kind": visit.kind,
        "url": url,
        "country": visit.country,
        "language": visit.languages[0] if visit.languages else None,
        "referrer": _host(referrer),
        "agent": agent[:MAX_AGENT] or None,
        "visitor": visitor,
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


def opted_out(headers: Mapping[str, str]) -> bool:
    """Whether the browser asks not to be followed: Global Privacy Control or Do Not Track."""
    return headers.get("sec-gpc") == "1" or headers.get("dnt") == "1"


class Visitors:
    """Tells visitors of one link on one day from each other, without telling who they are."""

    def __init__(self, runtime: Runtime, secret_arn: str) -> None:
        self._runtime = runtime
        self._secrets = Secrets(runtime, secret_arn)
        self._keys: dict[int, bytes] = {}
        self._leave_until = 0

    def digest(self, stream: str, visitor: str) -> str | None:
        """Sixteen hex digits for a visitor, of a link and of a day of UTC; None where the secret
        cannot be read, which is tried once per container unless it fails."""
        key = self._key(self._runtime.now())
        if key is None:
            return None
        told = f"{stream} {visitor}".encode(errors="replace")
        return hmac.digest(key, told, hashlib.sha256)[:8].hex()

    def _key(self, now: int) -> bytes | None:
        day = now // DAY_MS
        if day not in self._keys and now >= self._leave_until:
            try:
                self._keys = {day: self._secrets.key(f"visitors/{day}")}
            except (BotoCoreError, ClientError):
                self._leave_until = now + SECRET_PAUSE_MS
        return self._keys.get(day)


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
            # The digest is still personal data, which no log may hold.
            kept = {name: value for name, value in click["data"].items() if name != "visitor"}
            log.add(lost_click={**envelope, "data": kept})
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
