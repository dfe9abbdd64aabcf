"""What may happen to a site."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, assert_never

from functions.analytics.events import (
    CODEC,
    Event,
    Funnel,
    FunnelRemoved,
    FunnelSet,
    Goal,
    GoalRemoved,
    GoalSet,
    Lanes,
    LanesGrown,
    Pair,
    SiteCreated,
    SiteDeleted,
    SiteIdentityChanged,
    SiteOriginsChanged,
    SitePairsChanged,
    SitePropertiesChanged,
    SiteReferrersBlocked,
    SiteRenamed,
    SiteRetentionChanged,
    SiteTimezoneChanged,
    Step,
    Terms,
    What,
)
from functions.kernel.decider import Decider
from functions.kernel.errors import Gone, NotFound, Rejected

KIND = "site"
MINUTE_MS = 60_000

DIMENSIONS: Final = (
    "name",
    "page",
    "link",
    "referrer",
    "country",
    "device",
    "browser",
    "os",
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_term",
    "utm_content",
)
"""Rollups of which an event has one value at most; these may be paired."""
ROLLUPS: Final = ("all", *DIMENSIONS, "goal", "machine")
"""The rollups that every site has."""
DEFAULT_PAIRS: tuple[Pair, ...] = (("page", "country"), ("page", "device"), ("country", "device"))
"""What a new site counts together unless it says otherwise."""

MAX_ORIGINS = 20
MAX_RETENTION_DAYS = 1825
MAX_PROPERTIES = 20
MAX_PAIRS = 10
MAX_BLOCKED = 50
MAX_GOALS = 50
MAX_FUNNELS = 20
MIN_STEPS, MAX_STEPS = 2, 10
MAX_LANES = 64
LANES_AHEAD = 15
"""How many minutes ahead lanes may grow at the earliest. Whoever writes facts looks at the site
again more often, so that none spreads a minute over fewer lanes than others read."""


@dataclass(frozen=True)
class CreateSite:
    """Make a site. `id` is the site's, `now` epoch milliseconds."""

    id: str
    owner: str
    name: str
    origins: tuple[str, ...]
    terms: Terms
    now: int


@dataclass(frozen=True)
class EditSite:
    """Set what `changes` names: `name`, `origins` and fields of Terms; `timezone` comes with its
    `phase`."""

    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SetGoal:
    """Count a goal from now on."""

    name: str
    what: What
    pattern: str


@dataclass(frozen=True)
class RemoveGoal:
    """Count it no longer."""

    name: str


@dataclass(frozen=True)
class SetFunnel:
    """Have a funnel."""

    name: str
    window_ms: int
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class RemoveFunnel:
    """Have it no longer."""

    name: str


@dataclass(frozen=True)
class GrowLanes:
    """Spread each minute's facts over more partitions, from epoch minute `from_minute` on."""

    number: int
    from_minute: int
    now: int


@dataclass(frozen=True)
class DeleteSite:
    """Take the site down for good."""

    now: int


Command = (
    CreateSite | EditSite | SetGoal | RemoveGoal | SetFunnel | RemoveFunnel | GrowLanes | DeleteSite
)


@dataclass(frozen=True, kw_only=True)
class Definition(Terms):
    """What the ledger, the rollups and the queries need to know of a site, or of a short link,
    which is a small site. `lanes` are sorted, and never change for a minute that has come."""

    id: str
    created_at: int
    goals: tuple[Goal, ...] = ()
    funnels: tuple[Funnel, ...] = ()
    lanes: tuple[Lanes, ...] = ((0, 1),)

    @property
    def rollups(self) -> tuple[str, ...]:
        """All that is counted of it: what every site has, its properties, its pairs."""
        own = [property_rollup(key) for key in self.properties]
        return (*ROLLUPS, *own, *(pair_rollup(pair) for pair in self.pairs))


@dataclass(frozen=True, kw_only=True)
class Site(Definition):
    """A site's state."""

    owner: str
    name: str
    origins: tuple[str, ...]
    deleted: bool = False
    deleted_at: int | None = None


def stream_id(site: str) -> str:
    """The stream of a site. No tenant is in it: whoever sends events has the public id alone."""
    return f"{KIND}#{site}"


def property_rollup(key: str) -> str:
    """The rollup of a custom property."""
    return f"prop:{key}"


def pair_rollup(pair: Pair) -> str:
    """The rollup of two rollups together."""
    return "*".join(pair)


CHANGES: Mapping[str, Callable[[Any], Event]] = {
    "name": SiteRenamed,
    "origins": SiteOriginsChanged,
    "timezone": SiteTimezoneChanged,
    "identity": SiteIdentityChanged,
    "retention_days": SiteRetentionChanged,
    "properties": SitePropertiesChanged,
    "pairs": SitePairsChanged,
    "blocked_referrers": SiteReferrersBlocked,
}
"""What setting a field is told as; the event's only field has the same name. `phase` and `ledger`
are for ever: every fact and every hour that there is depends on them."""


def decide(command: Command, site: Site | None) -> list[Event]:
    """The events that a command leads to. Raises Rejected, Gone for a deleted site, and NotFound
    for a goal or a funnel that it has not."""
    if isinstance(command, CreateSite):
        return _create(command)
    if site is None or site.deleted:
        raise Gone
    match command:
        case EditSite(changes):
            return _edit(changes, site)
        case SetGoal():
            return _set_goal(command, site)
        case RemoveGoal(name):
            _find(name, site.goals)
            return [GoalRemoved(name)]
        case SetFunnel():
            return _set_funnel(command, site)
        case RemoveFunnel(name):
            _find(name, site.funnels)
            return [FunnelRemoved(name)]
        case GrowLanes():
            return _grow(command, site)
        case DeleteSite(now):
            return [SiteDeleted(now)]
        case _:
            assert_never(command)


def _create(command: CreateSite) -> list[Event]:
    created = SiteCreated(
        id=command.id,
        owner=command.owner,
        name=command.name,
        origins=command.origins,
        created_at=command.now,
        **vars(command.terms),
    )
    _check(created, created.origins)
    return [created]


def _edit(changes: Mapping[str, Any], site: Site) -> list[Event]:
    if changes.get("phase", site.phase) != site.phase:
        reason = "is of a zone whose hours begin at other minutes: make a new site for it"
        raise Rejected(reason, "timezone")
    edited = replace(site, **changes)
    _check(edited, edited.origins)
    return [
        tell(changes[name])
        for name, tell in CHANGES.items()
        if name in changes and changes[name] != getattr(site, name)
    ]


def _check(terms: Terms, origins: tuple[str, ...]) -> None:
    if not 1 <= terms.retention_days <= MAX_RETENTION_DAYS:
        raise Rejected(f"is not from 1 to {MAX_RETENTION_DAYS}", "retention_days")
    _check_list(origins, MAX_ORIGINS, "origins")
    _check_list(terms.properties, MAX_PROPERTIES, "properties")
    _check_list(terms.blocked_referrers, MAX_BLOCKED, "blocked_referrers")
    _check_list([frozenset(pair) for pair in terms.pairs], MAX_PAIRS, "pairs")
    known = {*DIMENSIONS, *map(property_rollup, terms.properties)}
    for pair in terms.pairs:
        if pair[0] == pair[1]:
            raise Rejected(f"{pair_rollup(pair)} is a rollup with itself", "pairs")
        if unknown := [name for name in pair if name not in known]:
            raise Rejected(f"{unknown[0]} is no rollup that can be paired", "pairs")


def _check_list(values: Iterable[object], most: int, name: str) -> None:
    listed = list(values)
    if len(listed) > most:
        raise Rejected(f"is more than {most}", name)
    if len(set(listed)) < len(listed):
        raise Rejected("has something twice", name)


def _set_goal(command: SetGoal, site: Site) -> list[Event]:
    goal = GoalSet(command.name, command.what, command.pattern)
    if (goal.name, goal.what, goal.pattern) in site.goals:
        return []
    _check_room(command.name, site.goals, MAX_GOALS)
    return [goal]


def _set_funnel(command: SetFunnel, site: Site) -> list[Event]:
    funnel = FunnelSet(command.name, command.window_ms, command.steps)
    if (funnel.name, funnel.window_ms, funnel.steps) in site.funnels:
        return []
    if not MIN_STEPS <= len(command.steps) <= MAX_STEPS:
        raise Rejected(f"are not from {MIN_STEPS} to {MAX_STEPS}", "steps")
    _check_room(command.name, site.funnels, MAX_FUNNELS)
    return [funnel]


def _check_room(name: str, named: tuple[Goal, ...] | tuple[Funnel, ...], most: int) -> None:
    if len(_others(name, named)) >= most:
        raise Rejected(f"is one too many: a site has at most {most}", "name")


def _find(name: str, named: tuple[Goal, ...] | tuple[Funnel, ...]) -> None:
    if name not in {each[0] for each in named}:
        raise NotFound(name)


def _grow(command: GrowLanes, site: Site) -> list[Event]:
    from_minute, number = site.lanes[-1]
    if command.number <= number:
        return []
    if command.number > MAX_LANES:
        raise Rejected(f"is more than {MAX_LANES}", "number")
    earliest = max(command.now // MINUTE_MS + LANES_AHEAD, from_minute + 1)
    if command.from_minute < earliest:
        raise Rejected(f"is before minute {earliest}", "from_minute")
    return [LanesGrown(command.from_minute, command.number)]


def evolve(site: Site | None, event: Event) -> Site | None:
    """The state after one event."""
    if isinstance(event, SiteCreated):
        return Site(**vars(event))
    assert site is not None, "a site's first event is SiteCreated"
    match event:
        case GoalSet(name, what, pattern):
            return replace(site, goals=(*_others(name, site.goals), (name, what, pattern)))
        case GoalRemoved(name):
            return replace(site, goals=_others(name, site.goals))
        case FunnelSet(name, window, steps):
            return replace(site, funnels=(*_others(name, site.funnels), (name, window, steps)))
        case FunnelRemoved(name):
            return replace(site, funnels=_others(name, site.funnels))
        case LanesGrown(from_minute, number):
            return replace(site, lanes=(*site.lanes, (from_minute, number)))
        case SiteDeleted(deleted_at):
            return replace(site, deleted=True, deleted_at=deleted_at)
        case _:
            # What is left sets the one field that it is named after.
            return replace(site, **vars(event))


def _others(name: str, named: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(each for each in named if each[0] != name)


def visible(site: Site | None, actor: str) -> bool:
    """A site is its owner's alone."""
    return site is not None and site.owner == actor


DECIDER: Decider[Command, Site | None, Event] = Decider(
    state=Site,
    initial=None,
    decide=decide,
    evolve=evolve,
    events=CODEC,
    snapshot_every=1,
    visible=visible,
)
