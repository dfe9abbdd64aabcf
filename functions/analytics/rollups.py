"""From a segment to what is counted: for each rollup and value, events, page views and visitors.

Pure. Facts of machines count in the rollup `machine` alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from functions.analytics.decider import Definition, pair_rollup, property_rollup
from functions.analytics.events import Step
from functions.analytics.facts import Fact
from functions.analytics.patterns import fits
from functions.analytics.segments import ANONYMOUS, Segment, Shape

PAGEVIEW = "pageview"
ALL = "all"
TOTAL = (ALL, "")
"""Rollup and value that every fact of a person counts in."""
PAGE = "page"
MACHINE = "machine"
GOAL = "goal"
BETWEEN = "\t"
"""Stands between the two values of a pair; no value has it."""
MAX_VALUES = 5000
"""Values of one rollup that an hour keeps apart; the total holds the others."""

DENSE = 1000
"""For so many facts of an hour that is not over, a value needs an event more; see `frequent`."""
FEW = 100
"""Values of a rollup that never wait: goals, countries, devices."""

_UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
_FIELDS = ("name", "page", "link", "referrer", "country", "device", "browser", "os")

Value = tuple[str, str]
"""A rollup and one of its values."""
Numbers = tuple[int, int, int]
"""Events, page views, visitors."""


@dataclass
class Tally:
    """What is counted of one value."""

    events: int = 0
    pageviews: int = 0
    visitors: set[str] = field(default_factory=set)

    @property
    def numbers(self) -> Numbers:
        """Events, page views and visitors."""
        return self.events, self.pageviews, len(self.visitors)

    def add(self, shape: Shape, visitors: Mapping[str, int]) -> None:
        """Counts facts of one shape."""
        events = sum(visitors.values())
        self.events += events
        if shape.name == PAGEVIEW:
            self.pageviews += events
        self.visitors.update(visitors)
        self.visitors.discard(ANONYMOUS)


Tallies = Mapping[Value, Tally]


def tally(segment: Segment, site: Definition) -> Tallies:
    """Everything that is counted of a segment, the total first, of each rollup the MAX_VALUES that
    have the most events."""
    found: defaultdict[Value, Tally] = defaultdict(Tally)
    found[TOTAL] = Tally()
    for shape, visitors in segment.counts.items():
        for value in values_of(shape, site):
            found[value].add(shape, visitors)
    return _bounded(found)


def frequent(tallies: Tallies, seen: int) -> Tallies:
    """Of what was tallied of so many facts, all but the rare values of long rollups: those with
    less than one event for every DENSE facts.

    Most values of a dense hour are rare, and a row costs the same for one event as for a thousand.
    """
    sizes = Counter(rollup for rollup, _ in tallies)
    return {
        value: each
        for value, each in tallies.items()
        if each.events >= seen // DENSE or sizes[value[0]] <= FEW
    }


def visited(segment: Segment) -> Tallies:
    """Of everything that is counted of a segment, the total and all of its pages."""
    found: defaultdict[Value, Tally] = defaultdict(Tally)
    found[TOTAL] = Tally()
    for shape, visitors in segment.counts.items():
        if shape.machine:
            continue
        found[TOTAL].add(shape, visitors)
        if shape.page:
            found[PAGE, shape.page].add(shape, visitors)
    return found


def together(tallies: Iterable[Tally]) -> Tally:
    """What is counted of different facts, put together."""
    found = Tally()
    for each in tallies:
        found.events += each.events
        found.pageviews += each.pageviews
        found.visitors |= each.visitors
    return found


def values_of(shape: Shape, site: Definition) -> Iterator[Value]:
    """The values that a shape counts in, each once."""
    if shape.machine:
        yield MACHINE, shape.machine
        return
    single = dict(_single(shape, site))
    yield TOTAL
    yield from single.items()
    for goal in site.goals:
        if reaches(goal[1:], shape):
            yield GOAL, goal[0]
    for pair in site.pairs:
        if all(name in single for name in pair):
            yield pair_rollup(pair), BETWEEN.join(single[name] for name in pair)


def _single(shape: Shape, site: Definition) -> Iterator[Value]:
    for name in _FIELDS:
        if value := getattr(shape, name):
            yield name, value
    for name, value in zip(_UTM, shape.utm, strict=True):
        if value:
            yield name, value
    for key, value in shape.props:
        if key in site.properties:
            yield property_rollup(key), value


def reaches(step: Step, shape: Shape | Fact) -> bool:
    """Whether what happened is that step of a funnel, or what a goal is."""
    what, pattern = step
    if what == "event":
        return fits(pattern, shape.name)
    return shape.name == PAGEVIEW and shape.page is not None and fits(pattern, shape.page)


def _bounded(found: Tallies) -> Tallies:
    rollups: defaultdict[str, list[Value]] = defaultdict(list)
    for value in found:
        rollups[value[0]].append(value)
    kept = (_most(values, found) for values in rollups.values())
    return {value: found[value] for values in kept for value in values}


def _most(values: Iterable[Value], found: Tallies) -> list[Value]:
    """The MAX_VALUES that have the most events; of as many, the first by name."""
    return sorted(values, key=lambda value: (-found[value].events, value))[:MAX_VALUES]
