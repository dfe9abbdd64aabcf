"""What happened to a site. Storage format: never change a shipped one, add a schema.

Times are epoch milliseconds, UTC. What visitors do is no event of these: see facts.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from functions.kernel.codec import EventCodec

Ledger = Literal["exact", "bulk"]
EXACT: Final = "exact"
BULK: Final = "bulk"

Identity = Literal["day", "week", "month"]
What = Literal["event", "page"]

Pair = tuple[str, str]
"""Two rollups that are counted together, as ("page", "country")."""
Goal = tuple[str, What, str]
"""A name, what is looked at, and the pattern that it fits."""
Step = tuple[What, str]
Funnel = tuple[str, int, tuple[Step, ...]]
"""A name, the milliseconds in which its steps must follow each other, and the steps."""
Lanes = tuple[int, int]
"""From which epoch minute on, and over how many partitions a minute's facts are spread."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """How a site is counted, as its owner may set it.

    `phase`: the minutes by which its local hours begin before the full hour of UTC, which is its
    time zone's offset modulo an hour. `ledger`: whether every event is kept as an item of its own,
    or batches of them as objects. `identity`: how long a visitor's salted id lives. `properties`:
    keys of custom properties, each a rollup. `pairs`: see Pair. `blocked_referrers`: hosts whose
    visits count as spam, all below them included.
    """

    timezone: str
    phase: int
    ledger: Ledger = EXACT
    identity: Identity = "day"
    retention_days: int = 365
    properties: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()
    blocked_referrers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SiteCreated(Terms):
    """A site was made, and has an id for its snippet."""

    id: str
    owner: str
    name: str
    origins: tuple[str, ...]
    created_at: int


@dataclass(frozen=True)
class SiteRenamed:
    """The site has another name."""

    name: str


@dataclass(frozen=True)
class SiteOriginsChanged:
    """Browsers may send the site's events from these origins now."""

    origins: tuple[str, ...]


@dataclass(frozen=True)
class SiteTimezoneChanged:
    """The site's days are another zone's, whose hours begin at the same minutes."""

    timezone: str


@dataclass(frozen=True)
class SiteIdentityChanged:
    """A visitor's id lives for another time from now on."""

    identity: Identity


@dataclass(frozen=True)
class SiteRetentionChanged:
    """Events that come from now on are kept for so many days; in the bulk ledger all are."""

    retention_days: int


@dataclass(frozen=True)
class SitePropertiesChanged:
    """These custom properties are counted from now on."""

    properties: tuple[str, ...]


@dataclass(frozen=True)
class SitePairsChanged:
    """These pairs of rollups are counted from now on."""

    pairs: tuple[Pair, ...]


@dataclass(frozen=True)
class SiteReferrersBlocked:
    """Visits that these hosts refer count as spam from now on; any others do not."""

    blocked_referrers: tuple[str, ...]


@dataclass(frozen=True)
class GoalSet:
    """A goal is counted from now on, in the place of any of its name."""

    name: str
    what: What
    pattern: str


@dataclass(frozen=True)
class GoalRemoved:
    """The goal is counted no longer."""

    name: str


@dataclass(frozen=True)
class FunnelSet:
    """There is a funnel, in the place of any of its name."""

    name: str
    window_ms: int
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class FunnelRemoved:
    """There is no such funnel any more."""

    name: str


@dataclass(frozen=True)
class LanesGrown:
    """From a minute to come on, each minute's facts are spread over more partitions."""

    from_minute: int
    number: int


@dataclass(frozen=True)
class SiteDeleted:
    """The owner deleted the site: it takes no more events, and tells nobody of those it had."""

    deleted_at: int


Event = (
    SiteCreated
    | SiteRenamed
    | SiteOriginsChanged
    | SiteTimezoneChanged
    | SiteIdentityChanged
    | SiteRetentionChanged
    | SitePropertiesChanged
    | SitePairsChanged
    | SiteReferrersBlocked
    | GoalSet
    | GoalRemoved
    | FunnelSet
    | FunnelRemoved
    | LanesGrown
    | SiteDeleted
)

CODEC = EventCodec(*Event.__args__)
