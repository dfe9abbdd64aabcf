"""What rows must say, worked out from the facts in one pass and in the simplest way there is."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from functions.analytics.decider import Definition
from functions.analytics.facts import Fact, day_of, hour_of, minute_of

Numbers = tuple[int, int, int]
"""Events, page views, visitors."""


class Counted(NamedTuple):
    """By rollup and value, and by day of UTC moved by the site's phase."""

    hours: dict[tuple[str, str], dict[int, Numbers]]
    days: dict[tuple[str, str], dict[str, set[str]]]


def reference(facts: Iterable[Fact], site: Definition) -> Counted:
    """Every hour's numbers and every day's visitors, of each rollup and value."""
    distinct = {fact.id: fact for fact in facts}.values()
    facts_of: defaultdict[tuple[str, str], list[Fact]] = defaultdict(list)
    for fact in distinct:
        for value in set(_values(fact, site)):
            facts_of[value].append(fact)
    hours: dict[tuple[str, str], dict[int, Numbers]] = {}
    days: dict[tuple[str, str], dict[str, set[str]]] = {}
    for value, mine in facts_of.items():
        by_hour: defaultdict[int, list[Fact]] = defaultdict(list)
        by_day: defaultdict[str, set[str]] = defaultdict(set)
        for fact in mine:
            hour = hour_of(minute_of(fact.at), site.phase)
            by_hour[hour].append(fact)
            by_day[day_of(hour)] |= visitors([fact])
        hours[value] = {hour: _numbers(each) for hour, each in by_hour.items()}
        days[value] = dict(by_day)
    return Counted(hours, days)


def visitors(facts: Iterable[Fact]) -> set[str]:
    """The visitors that facts are of."""
    return {fact.visitor for fact in facts if fact.visitor is not None}


def _numbers(facts: Sequence[Fact]) -> Numbers:
    views = sum(fact.name == "pageview" for fact in facts)
    return len(facts), views, len(visitors(facts))


def _values(fact: Fact, site: Definition) -> Iterator[tuple[str, str]]:
    if fact.machine:
        yield "machine", fact.machine
        return
    utm = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
    single = {
        "name": fact.name,
        "page": fact.page,
        "link": fact.link,
        "referrer": fact.referrer,
        "country": fact.country,
        "device": fact.device,
        "browser": fact.browser,
        "os": fact.os,
        **dict(zip(utm, fact.utm, strict=True)),
        **{f"prop:{key}": text for key, text in fact.props if key in site.properties},
    }
    yield "all", ""
    for rollup, value in single.items():
        if value:
            yield rollup, value
    for name, what, pattern in site.goals:
        looked_at = fact.name if what == "event" else fact.page
        about = what == "event" or fact.name == "pageview"
        if about and looked_at is not None and fnmatchcase(looked_at, pattern):
            yield "goal", name
    for left, right in site.pairs:
        if single.get(left) and single.get(right):
            yield f"{left}*{right}", f"{single[left]}\t{single[right]}"


SITE = Definition(
    id="abcdefghijkl",
    created_at=0,
    timezone="UTC",
    phase=0,
    properties=("plan",),
    pairs=(("page", "country"), ("page", "device"), ("country", "device"), ("page", "prop:plan")),
    goals=(("signup", "event", "signup"), ("docs", "page", "/docs/*")),
)


def traffic(chance: random.Random, number: int, start: int, length: int) -> list[Fact]:
    """Facts within `length` ms from `start`, the popular ones by far the most frequent."""
    return [_fact(chance, f"e{place}", start + chance.randrange(length)) for place in range(number)]


def _fact(chance: random.Random, id: str, at: int) -> Fact:
    def some(*values: str) -> str | None:
        return chance.choice([*values, None])

    pages = ["/", "/docs/a", "/docs/b", "/pricing"]
    pages += [f"/blog/{chance.randrange(30)}"] if chance.random() < 0.3 else []
    return Fact(
        id=id,
        site=SITE.id,
        at=at,
        name=chance.choice(["pageview", "pageview", "pageview", "signup"]),
        visitor=f"{chance.randrange(60):016x}" if chance.random() < 0.9 else None,
        page=chance.choice(pages) if chance.random() < 0.95 else None,
        referrer=some("news.example", "search.example"),
        country=some("DE", "FR", "US"),
        device=some("phone", "desktop"),
        browser=some("Firefox", "Chrome"),
        os=some("Linux"),
        utm=(some("letter"), None, some("spring", "summer"), None, None),
        props=(("plan", "pro"),) if chance.random() < 0.3 else (),
        machine="bot" if chance.random() < 0.1 else None,
    )
