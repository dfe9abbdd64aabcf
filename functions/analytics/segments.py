"""A segment: the facts of a minute, or of more, by all that is counted of them. Pure.

It holds everything about the facts but their ids and exact times, so every rollup can be made from
it, and segments of disjoint facts can be put together.
"""

from __future__ import annotations

import json
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, cast

from functions.analytics.facts import NO_UTM, Fact, Utm

ANONYMOUS = ""
"""Stands for the visitor of facts that have none."""


class Shape(NamedTuple):
    """What facts have in common that are counted together; the fields are Fact's."""

    name: str
    page: str | None = None
    link: str | None = None
    referrer: str | None = None
    country: str | None = None
    device: str | None = None
    browser: str | None = None
    os: str | None = None
    utm: Utm = NO_UTM
    props: tuple[tuple[str, str], ...] = ()
    machine: str | None = None


class Segment(NamedTuple):
    """How often each visitor did what, and how many facts that were."""

    seen: int
    counts: Mapping[Shape, Mapping[str, int]]


def fold(facts: Iterable[Fact]) -> Segment:
    """The segment of facts with different ids, in whatever order."""
    seen = 0
    counts: defaultdict[Shape, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for fact in facts:
        seen += 1
        counts[shape_of(fact)][fact.visitor or ANONYMOUS] += 1
    return Segment(seen, counts)


def merge(segments: Iterable[Segment]) -> Segment:
    """The segment of the facts of all, which must be of different facts."""
    seen = 0
    counts: defaultdict[Shape, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for segment in segments:
        seen += segment.seen
        for shape, visitors in segment.counts.items():
            mine = counts[shape]
            for visitor, number in visitors.items():
                mine[visitor] += number
    return Segment(seen, counts)


def encode(segment: Segment) -> bytes:
    """A segment as bytes; the same facts give the same ones."""
    rows = [
        [_plain(shape), dict(sorted(visitors.items()))]
        for shape, visitors in segment.counts.items()
    ]
    rows.sort(key=lambda row: json.dumps(row[0]))
    text = json.dumps([segment.seen, rows], separators=(",", ":"), ensure_ascii=False)
    return zlib.compress(text.encode())


def decode(content: bytes) -> Segment:
    """The segment that was encoded."""
    seen, rows = json.loads(zlib.decompress(content))
    return Segment(seen, {_of(plain): visitors for plain, visitors in rows})


def shape_of(fact: Fact) -> Shape:
    """What a fact is counted by."""
    return Shape(
        fact.name,
        fact.page,
        fact.link,
        fact.referrer,
        fact.country,
        fact.device,
        fact.browser,
        fact.os,
        fact.utm,
        fact.props,
        fact.machine,
    )


def _plain(shape: Shape) -> list[Any]:
    """A shape without the empty fields at its end."""
    fields: list[Any] = list(shape)
    for place, empty in ((8, NO_UTM), (9, ())):
        if fields[place] == empty:
            fields[place] = None
    while fields[-1] is None:
        fields.pop()
    return fields


def _of(plain: list[Any]) -> Shape:
    shape = Shape(*plain)
    return shape._replace(
        utm=cast(Utm, tuple(shape.utm or NO_UTM)),
        props=tuple((key, value) for key, value in shape.props or ()),
    )
