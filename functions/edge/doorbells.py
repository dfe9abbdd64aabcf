"""A stream reader's edge: records and retried streams in; what fails goes to the retry queue.

A stream handler never reports partial failures, since a retried batch stalls its whole shard:
each stream is brought up to date or handed to the queue. If that hand-over fails, it raises.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from functions.edge.log import LogLine
from functions.edge.queue import Message, consume, send
from functions.edge.runtime import Event, Runtime
from functions.kernel.dynamo import from_item
from functions.kernel.errors import Unreadable
from functions.kernel.projector import ProjectionFailed
from functions.kernel.quarantine import Quarantine
from functions.kernel.readers import Reader, newest_of_each
from functions.kernel.store import Commit

SET_ASIDE_AT = 4
"""The delivery at which a stream that fails once more goes into quarantine: one before the last,
so that the dead-letter queue keeps what even that cannot be said of."""


class Retries:
    """A reader's retry queue, holding streams that could not be brought up to date."""

    def __init__(self, runtime: Runtime, url: str, log: LogLine) -> None:
        self._runtime = runtime
        self._url = url
        self._log = log
        self.failed: list[str] = []

    def attempt(self, stream: str, work: Callable[[], None]) -> None:
        """Runs `work` on a stream; whatever it raises, the others must go on."""
        try:
            work()
        except Exception as error:
            self._log.add(error=type(error.__cause__ or error).__name__)
            self.failed.append(stream)
            self._log.failed = True

    def ring(self, reader: Reader, stream: str) -> None:
        """Rings a stream, whatever comes of it."""
        self.attempt(stream, lambda: reader.ring(stream))

    def hand_over(self) -> None:
        """Gives the failed streams to the queue. Raises if the queue does not take them."""
        self._log.count("retried_streams", len(self.failed))
        if self.failed:
            bodies = [{"stream": stream} for stream in self.failed]
            send(self._runtime.client("sqs"), self._url, bodies)
            self.failed = []


@dataclass(frozen=True)
class Doorbells:
    """A reader of a capability's stream with what it takes to feed it: the queue that holds its
    retries, and the quarantine."""

    runtime: Runtime
    capability: str
    queue_url: str
    reader: Reader
    quarantine: Quarantine

    def handler(self, event: Event, context: Any) -> Any:
        """The Lambda handler for the event table's stream and for the retry queue."""
        log = LogLine(self.runtime, self.capability, context.aws_request_id)
        records = event["Records"]
        log.add(records=len(records))
        if records and records[0].get("eventSource") == "aws:sqs":
            return self._again(event, context, log)
        with log.closing():
            retries = Retries(self.runtime, self.queue_url, log)
            _ring_all(records, self.reader.renewed(), retries, log)
            retries.hand_over()
        return None

    def _again(self, event: Event, context: Any, log: LogLine) -> Any:
        # Each stream once: a second try in the same batch would repeat all that the first did.
        ring = cache(partial(_failure, self.reader.renewed()))

        def take(message: Message) -> None:
            stream = message.body["stream"]
            if (error := ring(stream)) is None:
                return
            if message.delivery < SET_ASIDE_AT:
                raise error
            view = error.view if isinstance(error, ProjectionFailed) else "*"
            kind = type(error.__cause__ or error).__name__
            log.add(error=kind)
            self.quarantine.add(stream, view, kind, self.runtime.now())
            log.count("quarantined")

        with log.closing():
            return consume(event, context, log, "failed_retries", take)


def _failure(reader: Reader, stream: str) -> Exception | None:
    """Rings a stream; what prevented it, if anything did."""
    try:
        reader.ring(stream)
    except Exception as error:
        return error
    return None


def _ring_all(records: Iterable[Event], reader: Reader, retries: Retries, log: LogLine) -> None:
    written = [record for record in records if record["eventName"] != "REMOVE"]
    # Commits are immutable: a MODIFY means that somebody wrote past the kernel.
    log.count("modified_commits", sum(each["eventName"] == "MODIFY" for each in written))
    commits: list[Commit] = []
    for record in written:
        stream = record["dynamodb"]["Keys"]["pk"]["S"]
        retries.attempt(stream, lambda record=record: commits.append(_commit(record)))  # type: ignore[misc]
    if commits:
        log.add(newest=max(commit.metadata.at for commit in commits))
    for commit in newest_of_each(commits):
        retries.attempt(commit.stream, lambda commit=commit: reader.take(commit))  # type: ignore[misc]


def _commit(record: Event) -> Commit:
    """The commit in a record. Raises for an image that is not what the kernel writes."""
    image = dict(record["dynamodb"]["NewImage"])
    if "r" in image:
        image["r"] = {"B": base64.b64decode(image["r"]["B"])}
    commit = from_item(image)
    if commit.after - commit.before != len(json.loads(commit.events)):
        raise Unreadable(f"{commit.stream}: the image's numbers disagree")
    if not isinstance(commit.metadata.at, int):
        raise Unreadable(f"{commit.stream}: the image has no recorded time")
    return commit
