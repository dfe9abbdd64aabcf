"""From a request with events to one message: whatever the number of events, one send.

The message tells who came only as a digest; the address goes no further than here.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from functions.analytics import tracking
from functions.analytics.decider import Site
from functions.analytics.salts import Salts
from functions.analytics.tracking import MAX_AGENT, Envelope, Fault, Tracked
from functions.analytics.visitors import USER_KEY, anonymous, known
from functions.edge.http import Answer, Request
from functions.edge.log import LogLine
from functions.edge.problem import Problem, invalid
from functions.edge.runtime import Runtime
from functions.edge.secrets import Secrets

MEDIA = {"application/json", "text/plain"}
"""sendBeacon sends text without asking first."""


class Settings(NamedTuple):
    """What a function that takes events is told by its environment."""

    events_table: str
    salts_table: str
    tracked_queue_url: str
    bulk_queue_url: str
    secret_arn: str
    country_header: str = "cloudfront-viewer-country"


class Sender(NamedTuple):
    """Whom a request comes from: a visitor's browser, or a site's own server, of which none of the
    first three is told. `machine` is what it says of itself."""

    address: str | None = None
    agent: str | None = None
    country: str | None = None
    machine: str | None = None
    own: bool = False


class Intake:
    """Takes events in, with what one container remembers."""

    def __init__(self, runtime: Runtime, config: Settings) -> None:
        self._runtime = runtime
        self._queues = {"exact": config.tracked_queue_url, "bulk": config.bulk_queue_url}
        self._salts = Salts(
            runtime.client("dynamodb"), config.salts_table, runtime.now, runtime.entropy
        )
        self._secrets = Secrets(runtime, config.secret_arn)

    def take(self, site: Site, envelope: Envelope, sender: Sender, log: LogLine) -> Answer:
        """Sends on what can be accepted, and says what cannot. 202, as it is not counted yet."""
        received = self._runtime.now()
        times = tracking.window(received, envelope.sent_at, site.retention_days)
        accepted: list[Tracked] = []
        rejected: list[dict[str, Any]] = []
        for index, given in enumerate(envelope.events):
            try:
                accepted.append(tracking.event(given, times, sender.own))
            except Fault as fault:
                rejected.append({"index": index, "field": fault.field, "reason": fault.reason})
        if accepted:
            self._send(site, accepted, sender, received, log)
        log.count("accepted_events", len(accepted))
        log.count("rejected_events", len(rejected))
        return Answer(202, {"accepted": len(accepted), "ignored": 0, "rejected": rejected})

    def _send(
        self, site: Site, events: list[Tracked], sender: Sender, received: int, log: LogLine
    ) -> None:
        message = {
            "site": site.id,
            "received": received,
            "agent": sender.agent and sender.agent[:MAX_AGENT],
            "country": sender.country,
            "machine": sender.machine,
            "events": [
                self._told(event, self._visitor(site, event, sender, received, log))
                for event in events
            ],
        }
        body = json.dumps(message, separators=(",", ":"), ensure_ascii=False)
        url = self._queues[site.ledger]
        self._runtime.client("sqs").send_message(QueueUrl=url, MessageBody=body)

    def _told(self, event: Tracked, visitor: str | None) -> dict[str, Any]:
        told = {
            **event._asdict(),
            "id": event.id or self._runtime.entropy(12).hex(),
            "agent": event.agent and event.agent[:MAX_AGENT],
            "visitor": visitor,
        }
        del told["user"], told["ip"]
        return {name: value for name, value in told.items() if value not in (None, ())}

    def _visitor(
        self, site: Site, event: Tracked, sender: Sender, received: int, log: LogLine
    ) -> str | None:
        """The visitor's digest; none if there is nothing to tell it from, or nothing to make it
        with: rather an event without a visitor than none."""
        address, agent = event.ip or sender.address, event.agent or sender.agent or ""
        try:
            if event.user is not None:
                return known(self._secrets.key(USER_KEY), site.id, event.user)
            if address is None or (salt := self._salts.at(site.identity, received)) is None:
                return None
            return anonymous(salt, site.id, address, agent)
        except (BotoCoreError, ClientError):
            log.count("events_without_visitor")
            return None


def envelope_of(request: Request, site: str | None = None) -> Envelope:
    """The request's body, its events still unread. Raises Problems."""
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Problem(415, "unsupported_encoding", "The body must not be compressed.")
    media = request.headers.get("content-type", "text/plain").partition(";")[0].strip().lower()
    if media not in MEDIA:
        detail = "The body must be application/json or text/plain."
        raise Problem(415, "unsupported_media_type", detail)
    text = request.body(tracking.MAX_BODY_BYTES)
    try:
        return tracking.envelope(text, site)
    except Fault as fault:
        raise invalid(fault.field, fault.reason) from None
    except ValueError:
        raise Problem(400, "bad_json", "The body is not a JSON document.") from None
