"""What a visit leads to, in one fixed order: banned, window, cap, password, rules, target.

Pure, and without a library: the redirect imports it. The cap is the one step that takes a call, so
it is the handler's; everything else is told from the link, the visit and the clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Literal, NamedTuple

from functions.shortener.decider import BANNED, QUARANTINED, Link

Kind = Literal["human", "bot", "preview", "prefetch", "head"]
Stage = Literal["banned", "gone", "warning", "early", "over", "open"]


class Visit(NamedTuple):
    """Who comes by. `devices` are all names that fit; `languages` are lower-case, best first;
    `visitor` is what stays the same of somebody who comes again."""

    kind: Kind
    devices: frozenset[str] = frozenset()
    languages: tuple[str, ...] = ()
    country: str | None = None
    query: Mapping[str, str] = {}
    visitor: str = ""


def stage(link: Link, now: int) -> Stage:
    """How far a link lets anybody come at `now` (epoch ms)."""
    if link.standing == BANNED:
        return "banned"
    if link.deleted or link.disabled:
        return "gone"
    if link.standing == QUARANTINED:
        return "warning"
    return _window(link, now)


def _window(link: Link, now: int) -> Stage:
    if link.not_before is not None and now < link.not_before:
        return "early"
    return "over" if link.over(now) else "open"


def may_be_told(link: Link, now: int) -> bool:
    """Whether anybody may be told where a link leads that is warned of: what its window or its
    password keeps back, the warning does too."""
    return _window(link, now) == "open" and link.password is None


def guarded(link: Link) -> bool:
    """Whether only a person may follow it: machines would use it up, or cannot know a password."""
    return link.max_clicks is not None or link.password is not None


def destination(link: Link, visit: Visit) -> str:
    """Where an open link leads this visitor: by its first rule that fits, else its own URL."""
    for place, (conditions, targets) in enumerate(link.rules or ()):
        if all(_fits(name, values, visit) for name, *values in conditions):
            return _weighted(targets, f"{link.domain}/{link.code}/{place}/{visit.visitor}")
    return link.long_url


def _fits(name: str, values: list[str], visit: Visit) -> bool:
    match name:
        case "device":
            return not visit.devices.isdisjoint(values)
        case "language":
            return any(_speaks(language, values) for language in visit.languages[:1])
        case "country":
            return visit.country in values
        case "query":
            return any(_asked(value, visit.query) for value in values)
        case _:
            # A condition of a newer release: whom it is for cannot be told, so it is for nobody.
            return False


def _speaks(language: str, values: list[str]) -> bool:
    return language in values or language.partition("-")[0] in values


def _asked(value: str, query: Mapping[str, str]) -> bool:
    name, equals, wanted = value.partition("=")
    return name in query and (not equals or query[name] == wanted)


def _weighted(targets: tuple[tuple[str, int], ...], seed: str) -> str:
    """One of the targets by its share of the weights; the same for the same seed."""
    total = sum(weight for _, weight in targets)
    point = int.from_bytes(blake2b(seed.encode(errors="replace"), digest_size=8).digest()) % total
    for url, weight in targets:
        point -= weight
        if point < 0:
            return url
    raise AssertionError("weights are positive")
