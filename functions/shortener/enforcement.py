"""Holding every link to the bans that it falls under: the cascade of a ban, and of its end.

A pass goes through the rows of the links and changes each link whose standing does not follow from
the bans. The rows and the directory may be behind, so that they only suggest: whether a ban is in
force its own stream says, and a second pass, a minute after the first, sees what the first missed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from functions.edge.problem import unavailable
from functions.kernel.commands import Commands, Context
from functions.kernel.dynamo import DynamoStore
from functions.kernel.errors import Gone, NotFound
from functions.kernel.generations import LiveViews
from functions.kernel.store import load
from functions.kernel.views import ViewTable
from functions.shortener import bans, directory, targets
from functions.shortener.bans import Ban
from functions.shortener.decider import BANNED, DECIDER, Enforce, Link
from functions.shortener.directory import Directory
from functions.shortener.terms import urls
from functions.shortener.views import LINKS, read

AGAIN_SECONDS = 60
"""When the second pass begins: containers know the ban by then, and rows are projected."""
CONFIRMED_MS = 5_000
"""For so long a pass relies on what it read of a ban. A pass that was overtaken by the ban's end
is right again before the second one begins."""


def order(client: Any, queue_url: str, ban: str) -> None:
    """Has the links held to a ban that was imposed or lifted: at once, and once more.

    Raises a 503 Problem if the queue does not take both.
    """
    body = json.dumps({"ban": ban})
    answer = client.send_message_batch(
        QueueUrl=queue_url,
        Entries=[
            {"Id": "now", "MessageBody": body},
            {"Id": "again", "MessageBody": body, "DelaySeconds": AGAIN_SECONDS},
        ],
    )
    if answer.get("Failed"):
        raise unavailable()


class Place(NamedTuple):
    """Where a pass goes on: after the row of `stream` in a generation of the view."""

    generation: int
    stream: str


class Enforcer:
    """One pass, or a slice of one. `now` gives epoch ms, `context` what surrounds a command."""

    def __init__(
        self,
        store: DynamoStore,
        table: ViewTable,
        commands: Commands[Link | None],
        now: Callable[[], int],
        context: Callable[[], Context],
    ) -> None:
        self._store = store
        self._table = table
        self._commands = commands
        self._now = now
        self._context = context
        self._live = LiveViews(table, now)
        self._directory = Directory()
        self._confirmed: dict[str, int] = {}
        self.held = 0

    def know(self, ban: str | None) -> None:
        """Reads the directory, and the ban that this is about from its stream."""
        self._directory = directory.read(self._table, self._live)
        if ban is not None:
            self._confirm(ban)

    def go(
        self,
        place: Place | None,
        attempt: Callable[[str, Callable[[], None]], None],
        has_time: Callable[[], bool],
    ) -> Place | None:
        """Holds the links from a place on, each by `attempt`. Gives where to go on, None at the
        end. A place in a generation that is not live any more is the beginning."""
        view = self._live.of(LINKS)
        after = place.stream if place and place.generation == view.generation else None
        for stream, data in self._table.rows(view, after):
            if "link" in data:
                link, _ = read(data)
                attempt(stream, lambda stream=stream, link=link: self._hold(stream, link))  # type: ignore[misc]
            if not has_time():
                return Place(view.generation, stream)
        return None

    def one(self, stream: str) -> None:
        """Holds one link, as its stream has it."""
        link = load(self._store, DECIDER, stream).state
        if link is not None:
            self._hold(stream, link)

    def _hold(self, stream: str, link: Link) -> None:
        if self._settled(link, self._ban_over(link)):
            return
        # Only suggested: neither the ban nor the link's present standing was read consistently.
        if link.ban is not None:
            self._confirm(link.ban)
        while (ban := self._ban_over(link)) is not None and self._unconfirmed(ban):
            self._confirm(ban)
        if self._settled(link, ban):
            return
        reason = self._reason(ban) if ban is not None else ""
        try:
            self._commands.execute(stream, Enforce(ban, reason), self._context())
            self.held += 1
        except (Gone, NotFound):
            return

    def _ban_over(self, link: Link) -> str | None:
        hosts = {targets.host_of(url) for _, url in urls(link)}
        return self._directory.over_link(link.owner, hosts)

    def _settled(self, link: Link, ban: str | None) -> bool:
        if link.ban is None and link.standing == BANNED:
            return True
        return link.ban == ban and (ban is None or link.reason == self._reason(ban))

    def _reason(self, ban: str) -> str:
        return self._directory.bans[ban].reason

    def _unconfirmed(self, ban: str) -> bool:
        return self._now() - self._confirmed.get(ban, 0) >= CONFIRMED_MS

    def _confirm(self, ban: str) -> None:
        if not self._unconfirmed(ban):
            return
        state: Ban | None = load(self._store, bans.DECIDER, ban).state
        held = None if state is None or state.lifted else state
        self._directory = self._directory.corrected(ban, held)
        self._confirmed[ban] = self._now()
