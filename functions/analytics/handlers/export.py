"""Fed by the queue of exports: writes a site's events into a file, slice after slice.

Every step may run again. What is to be read next stands in the export's stream, written after what
was read before it is stored; so a run that dies is repeated from there, and of two at a time only
one goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from functions.analytics import decider, exports
from functions.analytics.decider import DECIDER, Site
from functions.analytics.exporting import FORMATS
from functions.analytics.exports import (
    EXPORTS,
    MAX_PARTS,
    MAX_RESTARTS,
    Event,
    Export,
    ExportContinued,
    ExportFailed,
    ExportFinished,
    ExportRestarted,
    Tell,
)
from functions.analytics.facts import Span
from functions.analytics.files import PART, Broken, File
from functions.analytics.reading import reader_of
from functions.edge.log import LogLine
from functions.edge.queue import Message, consume
from functions.edge.runtime import Event as LambdaEvent
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.settings import settings
from functions.kernel.commands import Commands, Context
from functions.kernel.dynamo import DynamoStore
from functions.kernel.errors import KernelError
from functions.kernel.store import load

ACTOR = "export"
RESERVE_MS = 30_000
"""Time kept back to store what was read: three calls, each tried three times at 3 s."""
GIVE_UP_AT = 4
"""The delivery at which an export that fails once more is told to have failed: one before the
last, so that the dead-letter queue keeps what even that cannot be said of."""


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str
    raw_bucket: str
    exports_queue_url: str


class Run:
    """One run on one export. Raises VersionMismatch if another run was faster."""

    def __init__(self, exporter: Exporter, body: Any, log: LogLine) -> None:
        self._exporter = exporter
        self._name = body["export"]
        self._log = log
        self._stream = exports.stream_id(body["site"], body["export"])
        current = load(exporter.store, EXPORTS, self._stream)
        self._version = current.version
        self.export = current.state

    def tell(self, event: Event) -> None:
        """Keeps what happened."""
        runtime = self._exporter.runtime
        context = Context(
            actor=ACTOR,
            now=runtime.now(),
            commit_id=runtime.entropy(12).hex(),
            correlation=self._log.correlation,
            tenant=None,
        )
        outcome = self._exporter.commands.execute(
            self._stream, Tell(event), context, (self._version,)
        )
        self.export, self._version = outcome.state, outcome.version

    def fail(self, reason: str) -> None:
        """Tells that there will be no file, if that is still to be told."""
        if self.pending:
            self.tell(ExportFailed(reason, self._exporter.runtime.now()))

    @property
    def pending(self) -> bool:
        """Whether there is something left to do."""
        return self.export is not None and self.export.status == "pending"

    def go_on(self, site: Site, has_time: Callable[[], bool]) -> None:
        """Writes until the end, or as long as there is time."""
        export = self.export
        assert export is not None
        file = self._exporter.file(self._name)
        try:
            self._write(export, site, file, has_time)
        except Broken:
            if export.restarts == MAX_RESTARTS:
                self.fail("It could not be stored.")
            else:
                self.tell(ExportRestarted())

    def _write(self, export: Export, site: Site, file: File, has_time: Callable[[], bool]) -> None:
        reader, written = self._exporter.reader, FORMATS[export.format].written
        span = Span(export.reached, export.until)
        content, facts = bytearray(file.begun(export)), export.facts
        for each in reader.read(site, span, reader.hours(site, span, machines=True)):
            content += written(each.facts).encode()
            facts += len(each.facts)
            late = not has_time()
            if len(content) >= PART or late:
                self._store(file, bytes(content), each.reached, facts)
                content.clear()
            if late or not self.pending:
                return
        assert self.export is not None
        file.finish(self.export, bytes(content))
        self.tell(ExportFinished(facts, self._exporter.runtime.now()))

    def _store(self, file: File, content: bytes, reached: int, facts: int) -> None:
        assert self.export is not None
        if len(content) < PART:
            mark = self._exporter.runtime.entropy(8).hex()
            rest = file.keep(self.export, content, mark) if content else None
            self.tell(ExportContinued(reached, facts, rest=rest))
        elif len(self.export.parts) == MAX_PARTS:
            self.fail("It is too large: ask for less at a time.")
        else:
            upload, tag = file.add(self.export, content)
            self.tell(ExportContinued(reached, facts, upload, (tag,)))


class Exporter:
    """What runs share."""

    def __init__(self, runtime: Runtime, config: Settings) -> None:
        backoff = runtime.backoff()
        self.runtime = runtime
        self.store = DynamoStore(runtime.client("dynamodb"), config.events_table, backoff)
        self.commands = Commands(self.store, EXPORTS, backoff)
        self.reader = reader_of(runtime)
        self._config = config

    def file(self, name: str) -> File:
        """The file of an export."""
        return File(self.runtime.client("s3"), self._config.raw_bucket, name)

    def take(self, message: Message, log: LogLine, has_time: Callable[[], bool]) -> None:
        """Goes on with the export of a message, and sends another if there is more to do."""
        try:
            self._go_on(message.body, log, has_time)
        except Exception as error:
            log.add(error=type(error).__name__)
            if message.delivery < GIVE_UP_AT or isinstance(error, KernelError):
                raise
            Run(self, message.body, log).fail("It failed again and again.")
            log.count("failed_exports")

    def _go_on(self, body: Any, log: LogLine, has_time: Callable[[], bool]) -> None:
        run = Run(self, body, log)
        if not run.pending:
            return
        site = load(self.store, DECIDER, decider.stream_id(body["site"])).state
        if site is None or site.deleted:
            run.fail("The site was deleted.")
            return
        run.go_on(site, has_time)
        if run.pending:
            self.runtime.client("sqs").send_message(
                QueueUrl=self._config.exports_queue_url, MessageBody=json.dumps(body)
            )


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    exporter = Exporter(runtime, settings(Settings, runtime.env))

    def handler(event: LambdaEvent, context: Any) -> Any:
        log = LogLine(runtime, "analytics", context.aws_request_id)

        def has_time() -> bool:
            return bool(context.get_remaining_time_in_millis() > RESERVE_MS)

        def take(message: Message) -> None:
            exporter.take(message, log, has_time)

        with log.closing():
            return consume(event, context, log, "failed_runs", take)

    return handler


handler = entry(build)
