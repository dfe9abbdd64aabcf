"""What visitors tell of links, for moderators to look at. Pure.

A report takes no link down: that would be a weapon in anybody's hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from functions.kernel.codec import EventCodec, to_data
from functions.kernel.decider import Decider
from functions.kernel.store import Stream
from functions.kernel.views import Row, View

KIND = "report"
Reason = Literal["phishing", "malware", "spam", "illegal", "other"]


@dataclass(frozen=True)
class LinkReported:
    """Somebody says that a link does harm. `comment` is the reporter's own words."""

    domain: str
    code: str
    reason: Reason
    reported_at: int
    comment: str | None = None


@dataclass(frozen=True)
class ReportLink:
    """Tell of a link."""

    domain: str
    code: str
    reason: Reason
    comment: str | None
    now: int


@dataclass(frozen=True)
class Report:
    """A report's state; it never changes."""

    domain: str
    code: str
    reason: Reason
    reported_at: int
    comment: str | None = None


def stream_id(domain: str, code: str, reporter: str) -> str:
    """The stream of what one reporter tells of one link."""
    return f"{KIND}#{domain}#{code}#{reporter}"


def decide(command: ReportLink, report: Report | None) -> list[LinkReported]:
    """The one event there is."""
    if report is not None:
        return []
    return [
        LinkReported(command.domain, command.code, command.reason, command.now, command.comment)
    ]


def evolve(report: Report | None, event: LinkReported) -> Report:
    """The state after one event."""
    return Report(**vars(event))


DECIDER: Decider[ReportLink, Report | None, LinkReported] = Decider(
    state=Report,
    initial=None,
    decide=decide,
    evolve=evolve,
    events=EventCodec(LinkReported),
)

LIST = "all"


def render(stream: Stream[Report | None]) -> Row:
    """A report's row, ordered by its time."""
    report = stream.state
    if report is None:
        return Row()
    return Row(to_data(report), LIST, f"{report.reported_at:015d}#{stream.id}")


REPORTS: View[Any] = View("reports", render)
