"""Looking through an owner's list: what a filter lets through, and how far a request looks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from functions.kernel.views import Page, View, ViewTable
from functions.shortener import targets
from functions.shortener.decider import Link
from functions.shortener.policy import Stage, stage
from functions.shortener.views import position, read

State = Literal["active", "scheduled", "expired", "disabled", "quarantined", "banned"]
STATES: dict[Stage, State] = {
    "open": "active",
    "early": "scheduled",
    "over": "expired",
    "gone": "disabled",
    "warning": "quarantined",
    "banned": "banned",
}
"""What a link's stage is called by its owner; a deleted one is in no list."""


@dataclass(frozen=True)
class Filter:
    """What is asked of a link, all of it; None asks nothing."""

    tag: str | None = None
    domain: str | None = None
    state: State | None = None
    q: str | None = None

    def fits(self, link: Link, now: int) -> bool:
        """Whether a link is as asked at `now` (epoch ms)."""
        return (
            self.tag in (None, *(link.tags or ()))
            and self.domain in (None, link.domain)
            and self.state in (None, STATES[stage(link, now)])
            and (self.q is None or _starts(link, self.q.casefold()))
        )


def _starts(link: Link, text: str) -> bool:
    """Whether something that people know a link by starts with `text`, which is casefolded."""
    title = (link.title or "").casefold()
    host = targets.host_of(link.long_url)
    hosts = {host, targets.in_letters(host).casefold()}
    names = {link.code.casefold(), title, *title.split(), *hosts}
    names |= {each.removeprefix("www.") for each in hosts}
    return any(name.startswith(text) for name in names)


class Reach(NamedTuple):
    """How far one request looks: so many queries of so many rows; a query ends at 1 MB besides
    (DynamoDB API reference)."""

    rows: int
    queries: int


class Found(NamedTuple):
    """Links with their versions; `next` is the position to go on after, None at the end."""

    links: list[tuple[Link, int]]
    next: str | None


def pages(
    table: ViewTable, view: View[Any], name: str, reach: Reach, below: str | None
) -> Iterator[Page]:
    """The pages of a list that are within reach, newest first, under `below`."""
    for _ in range(reach.queries):
        page = table.newest(view, name, limit=reach.rows, below=below)
        yield page
        if (below := page.next) is None:
            return


def look(pages: Iterable[Page], fits: Callable[[Link], bool], limit: int) -> Found:
    """At most `limit` links that fit. It may be fewer than there are, even none, with a position
    to go on after."""
    found: list[tuple[Link, int]] = []
    following = None
    for page in pages:
        for place, row in enumerate(page.rows, 1):
            link, version = read(row)
            if fits(link):
                found.append((link, version))
            if len(found) == limit:
                more = page.next is not None or place < len(page.rows)
                return Found(found, position(link) if more else None)
        following = page.next
    return Found(found, following)
