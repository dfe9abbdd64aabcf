"""The directory: every ban in force and every domain that has an owner, in one short list.

What creates links asks it each time, so a container keeps it for some seconds; see
docs/decisions/0016-moderation.md for what that leaves to the enforcement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from functions.kernel.codec import from_data, to_data
from functions.kernel.generations import LiveViews
from functions.kernel.store import Stream
from functions.kernel.views import Row, View, ViewTable
from functions.shortener import bans
from functions.shortener.bans import Ban
from functions.shortener.domains import Domain

FRESH_MS = 5_000
"""How old a container's directory may be while the table answers."""
JITTER_MS = 1_000
"""Up to so much sooner it is read again, so that containers do not all ask at once."""
MAX_ENTRIES = 10_000
"""Bans and domains together. One costs 2 to 3 % of a read unit each time that a container reads
the directory (150 to 250 bytes, eventually consistent)."""
LIST = "directory"


@dataclass(frozen=True)
class Directory:
    """Bans by stream id, domains by host."""

    bans: Mapping[str, Ban] = field(default_factory=dict)
    domains: Mapping[str, Domain] = field(default_factory=dict)

    def over_owner(self, owner: str) -> str | None:
        """The ban that an owner is under."""
        ban = bans.over_owner(owner)
        return ban if ban in self.bans else None

    def over_host(self, host: str) -> str | None:
        """The first of the bans that a host is under."""
        return min((ban for ban in bans.over_host(host) if ban in self.bans), default=None)

    def over_link(self, owner: str, hosts: Iterable[str]) -> str | None:
        """The first of the bans that a link is under, whoever asks and whenever."""
        found = [self.over_owner(owner), *map(self.over_host, hosts)]
        return min((ban for ban in found if ban is not None), default=None)

    def owns(self, owner: str, host: str) -> bool:
        """Whether a domain is this owner's."""
        return host in self.domains and self.domains[host].owner == owner

    def corrected(self, ban: str, state: Ban | None) -> Directory:
        """The directory with what is known to be so of one ban (None: it is not in force)."""
        others = {name: each for name, each in self.bans.items() if name != ban}
        return replace(self, bans=others if state is None else {**others, ban: state})


def render(stream: Stream[Any]) -> Row:
    """The row of a ban or a domain; one that is over leaves the directory."""
    match stream.state:
        case Ban(lifted=False) | Domain(released=False) as entry:
            return Row(to_data(entry), LIST, stream.id)
        case _:
            return Row()


DIRECTORY: View[Any] = View("directory", render)


def read(table: ViewTable, live: LiveViews) -> Directory:
    """The directory as the table has it: one query a megabyte, some 5,000 entries."""
    rows, below = [], None
    while True:
        page = table.newest(live.of(DIRECTORY), LIST, limit=MAX_ENTRIES, below=below)
        rows += page.rows
        if (below := page.next) is None:
            return _directory(rows)


def _directory(rows: Iterable[dict[str, Any]]) -> Directory:
    held: dict[str, Ban] = {}
    claimed: dict[str, Domain] = {}
    for row in rows:
        if "host" in row:
            claimed[row["host"]] = from_data(Domain, row)
        else:
            held[bans.stream_id(row["kind"], row["value"])] = from_data(Ban, row)
    return Directory(held, claimed)


class RecentDirectory:
    """The directory that one container remembers. `now` gives epoch ms, `jitter` 0 to 1.

    It goes on with what it has while the table fails; `failed` says so of the last look.
    """

    def __init__(
        self,
        table: ViewTable,
        now: Callable[[], int],
        jitter: Callable[[], float],
    ) -> None:
        self._table = table
        self._live = LiveViews(table, now)
        self._now = now
        self._jitter = jitter
        self._fresh_until = 0
        self._known: Directory | None = None
        self.failed = False

    def look(self) -> Directory | None:
        """The directory, or None where it could not be read even once."""
        if self._now() >= self._fresh_until:
            self._renew()
        return self._known

    def _renew(self) -> None:
        try:
            self._known = read(self._table, self._live)
            self.failed = False
        except (BotoCoreError, ClientError):
            self.failed = True
        # After a failure too: no create waits for a table that was just found to fail.
        self._fresh_until = self._now() + FRESH_MS - round(self._jitter() * JITTER_MS)
