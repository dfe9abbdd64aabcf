"""Exports of a site's events: one stream each, which holds what was asked and how far it has come.

An export is written in slices. What was read up to `reached` stands in parts of a multipart upload,
whose ETags are kept here, or in an object beside it, `rest`, while it is less than a part. So a run
that dies is repeated from the newest commit, and what it had uploaded since is overwritten or
never looked at again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, assert_never

from functions.kernel.codec import EventCodec
from functions.kernel.decider import Decider

KIND = "export"
PREFIX = "exports/"
"""Of the keys of all that exports write; it is cleared away after a week."""
MAX_PARTS = 1000
"""Their ETags are part of a commit, which has 64 KB."""
MAX_RESTARTS = 3

Format = Literal["csv", "ndjson"]


@dataclass(frozen=True)
class ExportRequested:
    """A site's owner asked for its events from `since` until before `until`, epoch ms."""

    site: str
    owner: str
    since: int
    until: int
    format: Format
    requested_at: int


@dataclass(frozen=True)
class ExportContinued:
    """All `facts` before `reached` are written: so many `parts` more, by their ETags, of the
    `upload`, and the `rest`, by its key."""

    reached: int
    facts: int
    upload: str | None = None
    parts: tuple[str, ...] = ()
    rest: str | None = None


@dataclass(frozen=True)
class ExportRestarted:
    """The upload was not what is known of it: all is written anew."""


@dataclass(frozen=True)
class ExportFinished:
    """The file stands, and has so many facts."""

    facts: int
    finished_at: int


@dataclass(frozen=True)
class ExportFailed:
    """There will be no file."""

    reason: str
    finished_at: int


Event = ExportRequested | ExportContinued | ExportRestarted | ExportFinished | ExportFailed


@dataclass(frozen=True)
class Tell:
    """Keep what happened, as long as the export goes on."""

    event: Event


@dataclass(frozen=True)
class Export:
    """The state."""

    site: str
    owner: str
    since: int
    until: int
    format: Format
    requested_at: int
    reached: int
    facts: int = 0
    upload: str | None = None
    parts: tuple[str, ...] = ()
    rest: str | None = None
    restarts: int = 0
    finished_at: int | None = None
    reason: str | None = None

    @property
    def status(self) -> Literal["pending", "ready", "failed"]:
        """What has become of it."""
        if self.finished_at is None:
            return "pending"
        return "ready" if self.reason is None else "failed"


def stream_id(site: str, export: str) -> str:
    """The stream of an export."""
    return f"{KIND}#{site}#{export}"


def key(name: str, export: Export) -> str:
    """Where the file lies, once there is one."""
    return f"{PREFIX}{export.site}/{name}.{export.format}"


def decide(command: Tell, export: Export | None) -> list[Event]:
    """What happened, until the export has come to an end."""
    if export is not None and export.status != "pending":
        return []
    return [command.event]


def evolve(export: Export | None, event: Event) -> Export:
    """The state after one event."""
    if isinstance(event, ExportRequested):
        return Export(**vars(event), reached=event.since)
    assert export is not None, "an export's first event is ExportRequested"
    match event:
        case ExportContinued(reached, facts, upload, parts, rest):
            upload, parts = upload or export.upload, (*export.parts, *parts)
            return replace(
                export, reached=reached, facts=facts, upload=upload, parts=parts, rest=rest
            )
        case ExportRestarted():
            restarts = export.restarts + 1
            return replace(
                export,
                reached=export.since,
                facts=0,
                upload=None,
                parts=(),
                rest=None,
                restarts=restarts,
            )
        case ExportFinished(facts, finished_at):
            return replace(export, facts=facts, finished_at=finished_at)
        case ExportFailed(reason, finished_at):
            return replace(export, reason=reason, finished_at=finished_at)
        case _:
            assert_never(event)


CODEC = EventCodec(*Event.__args__)

EXPORTS: Decider[Tell, Export | None, Event] = Decider(
    state=Export, initial=None, decide=decide, evolve=evolve, events=CODEC
)
