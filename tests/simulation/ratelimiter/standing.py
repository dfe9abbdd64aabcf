"""How every limit stands and stood, and who wrote of it: what is counted exactly, for all that look
at it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from tests.simulation.ratelimiter.counting import Meter, Terms, new
from tests.simulation.ratelimiter.rules import MILLI, Counted, Owner, Rule
from tests.simulation.world import Container, Violation, World
from tests.support.cloud.dynamodb import Item


class Stood(NamedTuple):
    """A limit's meter from a true time on (ms)."""

    since: int
    meter: Meter


class Took(NamedTuple):
    """What an invocation wrote: of whose bucket, and in which turn."""

    owner: Owner
    step: int
    at: int


class Standing:
    """Every limit's meters through the run. `took` is by invocation; `holders` are the checks that
    were told a slot, by that."""

    def __init__(self, world: World) -> None:
        self.took: defaultdict[str, list[Took]] = defaultdict(list)
        self.holders: dict[str, str] = {}
        self._seen: dict[tuple[str, Counted], int] = {}
        self._world = world
        self._meters: defaultdict[Counted, list[Stood]] = defaultdict(list)
        self._terms: dict[Counted, Terms] = {}
        self._owners: dict[str, Owner] = {}
        self._given: defaultdict[Counted, list[tuple[int, int]]] = defaultdict(list)

    def meter(self, owner: Owner, rule: Rule) -> Meter:
        """How a limit stands."""
        stood = self._meters.get((owner, rule.counts_as))
        return stood[-1].meter if stood else new(rule.terms.algorithm)

    def at(self, owner: Owner, rule: Rule, time: int) -> Meter:
        """How it stood once somebody wrote at a true time."""
        [meter] = [each.meter for each in self._meters[owner, rule.counts_as] if each.since == time]
        return meter

    def since(self, owner: Owner, rule: Rule, time: int) -> Sequence[Meter]:
        """All that it stood at since a true time, the oldest first."""
        stood = [
            Stood(0, new(rule.terms.algorithm)),
            *self._meters.get((owner, rule.counts_as), ()),
        ]
        first = max(place for place, each in enumerate(stood) if each.since <= time)
        return [each.meter for each in stood[first:]]

    def change(self, owner: Owner, rule: Rule, meter: Meter) -> None:
        """Somebody wrote how it stands now."""
        place = owner, rule.counts_as
        if self._terms.get(place, rule.terms) != rule.terms:
            self._world.coverage.hit("rules", "edited, and goes on")
        self._terms[place] = rule.terms
        self._meters[place].append(Stood(self._world.now, meter))

    def given(self, owner: Owner, rule: Rule, cost: int) -> None:
        """Somebody gave back so much."""
        self._given[owner, rule.counts_as].append((self._world.now, cost))

    def given_since(self, place: Counted, since: int) -> int:
        """What was given back since a true time."""
        return sum(cost for at, cost in self._given[place] if at >= since)

    def see(self, container: str, place: Counted, at: int) -> None:
        """A container knows how a limit stood at a true time."""
        self._seen[container, place] = at

    def seen(self, container: str, place: Counted) -> int:
        """Since when nothing older can be what a container knows."""
        return self._seen.get((container, place), 0)

    def wrote(self, container: Container, owner: Owner) -> None:
        """Somebody wrote of a bucket."""
        self._owners[owner.key] = owner
        took = Took(owner, self._world.scheduler.step, self._world.now)
        self.took[container.invocation.id].append(took)

    def forgotten(self, old: Item) -> None:
        """A bucket is gone: nothing of it may count, by whatever rules it was taken."""
        owner, now = self._owners[old["pk"]["S"]], self._world.now
        for place in [place for place in self._meters if place[0] == owner]:
            stood, terms = self._meters[place][-1], self._terms[place]
            if stood.meter.counts(terms, (now - self._world.weather.skew) * MILLI):
                raise Violation("what goes counts no more", f"{place}: {stood}, {old}")
            self._meters[place].append(Stood(now, new(terms.algorithm)))
