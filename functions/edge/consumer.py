"""The consumer's edge: domain events in from a queue, each to whoever handles its type.

The queue is subscribed to the topic with RawMessageDelivery, so that a message is an envelope. What
this code cannot read yet comes again, and in the end waits in the dead-letter queue for a
deployment and a redrive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from functions.edge.log import LogLine
from functions.edge.queue import Message, consume
from functions.edge.runtime import Event, Handler, Runtime
from functions.kernel.envelope import Envelope
from functions.kernel.errors import Unreadable


class Consumed(NamedTuple):
    """How a type is consumed: the newest schema of it that this code reads, and what it does. It
    may be called twice for one envelope, and in any order; use kernel.envelope.keep."""

    schema: int
    handle: Callable[[Envelope], object]


def consumer(runtime: Runtime, capability: str, types: Mapping[str, Consumed]) -> Handler:
    """The Lambda handler for a capability's queue of domain events. Other types than `types` are
    let pass: a filter policy may be wider than what is of use here."""

    def handler(event: Event, context: Any) -> Any:
        log = LogLine(runtime, capability, context.aws_request_id)
        with log.closing():
            return consume(event, context, log, "failed_domain_events", take)

    def take(message: Message) -> None:
        _handle(Envelope.of(message.body), types)

    return handler


def _handle(envelope: Envelope, types: Mapping[str, Consumed]) -> None:
    consumed = types.get(envelope.type)
    if consumed is None:
        return
    if envelope.schema > consumed.schema:
        raise Unreadable(f"{envelope.type} of schema {envelope.schema}")
    consumed.handle(envelope)
