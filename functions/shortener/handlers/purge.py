"""Fed by the queue of due links: tells that a link expired, purges it, frees its code.

The only function that may delete commits. Every step may run again: the decider looks at the clock,
and what is deleted already is passed over.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from functions.edge.log import LogLine
from functions.edge.queue import Message, consume
from functions.edge.runtime import Event, Handler, Runtime, entry
from functions.edge.settings import settings
from functions.kernel.commands import Commands, Context
from functions.kernel.dynamo import DynamoStore
from functions.kernel.errors import NotFound
from functions.kernel.generations import GENERATIONS, fed
from functions.kernel.publisher import PUBLISHED, published
from functions.kernel.purge import Purge, tombstone_of
from functions.kernel.views import ViewTable
from functions.shortener.decider import DECIDER, PassTime
from functions.shortener.quotas import Quotas, clicks_key
from functions.shortener.views import LINKS

ACTOR = "timer"
RESERVE_MS = 5_000


class Unfinished(Exception):
    """Time is running out, the publisher is behind, or somebody may still write to the stream; the
    message comes again and goes on."""


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str
    views_table: str
    counters_table: str


class Purger:
    """Does what is due of one link."""

    def __init__(self, runtime: Runtime, config: Settings) -> None:
        client, backoff = runtime.client("dynamodb"), runtime.backoff()
        self._runtime = runtime
        self._store = DynamoStore(client, config.events_table, backoff)
        self._commands = Commands(self._store, DECIDER, backoff)
        self._table = ViewTable(client, config.views_table, backoff)
        self._purge = Purge(client, config.events_table, config.views_table)
        self._quotas = Quotas(client, config.counters_table, runtime.entropy)

    def pass_time(self, stream: str, log: LogLine, context: Any) -> None:
        """Lets time pass for a link. Raises Unfinished."""
        now = self._runtime.now()
        try:
            link = self._commands.execute(
                stream, PassTime(now), self._context(stream, log, now)
            ).state
        except NotFound:
            # Its code is free already.
            return
        if link is not None and link.purged_at is not None:
            self._bury(stream, now, context)

    def _bury(self, stream: str, now: int, context: Any) -> None:
        def has_time() -> bool:
            return bool(context.get_remaining_time_in_millis() > RESERVE_MS)

        if (found := tombstone_of(self._store, DECIDER, stream)) is None:
            return
        tombstone, link = found
        assert link is not None, "a tombstone is a link's"
        if not published(self._table, stream, tombstone.before):
            raise Unfinished(stream)
        if not self._purge.trim(tombstone, now, has_time):
            raise Unfinished(stream)
        self._quotas.forget(clicks_key(stream, link.created_at))
        if link.due is None or now < link.due:
            return
        # What was never told of that it is gone, others would keep for ever.
        if published(self._table, stream, tombstone.after):
            rows = [*fed(self._table.mark(GENERATIONS), [LINKS]), PUBLISHED]
            self._purge.end(tombstone, rows)

    def _context(self, stream: str, log: LogLine, now: int) -> Context:
        return Context(
            actor=ACTOR,
            now=now,
            commit_id=self._runtime.entropy(12).hex(),
            correlation=f"{log.correlation} {stream}",
            tenant=None,
        )


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    purger = Purger(runtime, settings(Settings, runtime.env))

    def handler(event: Event, context: Any) -> Any:
        log = LogLine(runtime, "shortener", context.aws_request_id)

        def take(message: Message) -> None:
            purger.pass_time(message.body["stream"], log, context)

        with log.closing():
            return consume(event, context, log, "failed_timers", take)

    return handler


handler = entry(build)
