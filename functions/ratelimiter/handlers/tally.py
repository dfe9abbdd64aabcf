"""Fed by the queue of denials: keeps each sample once, brings its row up to date, tells the others.

A message that fails comes again whole, and harmlessly: what of it is kept already counts once, and
a repeat of what was told bears the same id. A crash in between means a repeat, never a loss.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from functions.edge.log import LogLine
from functions.edge.queue import Message, consume
from functions.edge.runtime import Event, Handler, Runtime, entry
from functions.edge.secrets import Secrets
from functions.edge.settings import settings
from functions.edge.topic import Topic
from functions.ratelimiter.denials import decode
from functions.ratelimiter.tallies import Tallies
from functions.ratelimiter.telling import Telling

RESERVE_MS = 15_000
"""What a message of the most samples may take. With less time left it is left for another run."""


class Unfinished(Exception):
    """Time is running out; the message comes again."""


class Settings(NamedTuple):
    """What the function is told by its environment."""

    tallies_table: str
    domain_events_arn: str
    secret_arn: str
    denials_retention_days: int


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Settings, runtime.env)
    client = runtime.client("dynamodb")
    days = config.denials_retention_days
    tallies = Tallies(client, config.tallies_table, runtime.now, days, runtime.backoff())
    topic = Topic(runtime, config.domain_events_arn, "ratelimiter")
    telling = Telling(topic, Secrets(runtime, config.secret_arn))

    def take(body: Any, log: LogLine, context: Any) -> None:
        if context.get_remaining_time_in_millis() < RESERVE_MS:
            raise Unfinished
        # All are read before one is kept: a message that cannot be read leaves nothing behind.
        denials = decode(body)
        kept = [denial for denial in denials if tallies.keep(denial)]
        telling.tell(kept)
        log.count("sampled_denials", len(kept))
        log.count("expired_denials", len(denials) - len(kept))

    def handler(event: Event, context: Any) -> Any:
        log = LogLine(runtime, "ratelimiter", context.aws_request_id)

        def one(message: Message) -> None:
            take(message.body, log, context)

        with log.closing():
            return consume(event, context, log, "failed_samples", one)

    return handler


handler = entry(build)
