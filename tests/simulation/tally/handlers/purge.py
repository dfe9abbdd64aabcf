"""Fed by the queue of due tallies: closes a tally, purges it, frees its name."""

from __future__ import annotations

from typing import Any

from functions.edge.log import LogLine
from functions.edge.queue import Message, consume
from functions.edge.runtime import Event, Handler, Runtime
from functions.edge.settings import settings
from functions.kernel.commands import Commands
from functions.kernel.commands import Context as Surroundings
from functions.kernel.errors import NotFound
from functions.kernel.generations import GENERATIONS, fed
from functions.kernel.publisher import PUBLISHED, published
from functions.kernel.purge import Purge, tombstone_of
from tests.simulation.tally.decider import DECIDER, LONGEST_RUN_MS, TALLIES, PassTime, Tally
from tests.simulation.tally.wiring import Tables, store, table


class Unfinished(Exception):
    """Time is running out; the message comes again and goes on."""


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Tables, runtime.env)
    events, rows = store(runtime, config), table(runtime, config)
    commands: Commands[Tally] = Commands(events, DECIDER, runtime.backoff())
    purge = Purge(
        runtime.client("dynamodb"), config.events_table, config.views_table, LONGEST_RUN_MS
    )

    def handler(event: Event, context: Any) -> Any:
        def has_time() -> bool:
            return bool(context.get_remaining_time_in_millis() > 5_000)

        def take(message: Message) -> None:
            stream, now = message.body["stream"], runtime.now()
            surroundings = Surroundings(
                actor="timer",
                now=now,
                commit_id=runtime.entropy(12).hex(),
                correlation=f"{context.aws_request_id} {stream}",
                tenant=None,
            )
            try:
                tally = commands.execute(stream, PassTime(now), surroundings).state
            except NotFound:
                return  # Its name is free already.
            if tally.purged_at is None:
                return
            if (found := tombstone_of(events, DECIDER, stream)) is None:
                return
            tombstone, tally = found
            if not published(rows, stream, tombstone.before):
                return  # When the tombstone's time is over, it is looked at once more.
            if not purge.trim(tombstone, now, has_time):
                if has_time():
                    return  # Somebody may still be writing: then, too.
                raise Unfinished(stream)
            if tally.due <= now and published(rows, stream, tombstone.after):
                purge.end(tombstone, [*fed(rows.mark(GENERATIONS), [TALLIES]), PUBLISHED])

        log = LogLine(runtime, "tally", context.aws_request_id)
        with log.closing():
            return consume(event, context, log, "failed_timers", take)

    return handler
