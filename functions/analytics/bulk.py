"""The bulk ledger: an hour's facts as lines, and which of its segments count. Pure.

Facts are lines of JSON, and an hour is the set of its lines in their order: to put sets together
is all that compaction does, so it may be done in any order and twice. A line begins with the
fact's id and goes on to its time, so that lines of one id stand together, the earliest first; it
counts, the others are kept and count for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from functions.analytics.facts import Fact, day_of, decode, encode, minute_of
from functions.analytics.hours import BATCHES, PART_BITS
from functions.analytics.segments import Segment, Shape, fold, shape_of

PART = 5000
"""Facts of a minute that are folded into one segment, so that memory does not grow with an hour:
sixty times as many are held at once, some 200 MB."""

RAW, COMPACT = "raw/", "compact/"
SUFFIX = ".ndjson.gz"


class Part(NamedTuple):
    """A segment that compaction makes, of a minute and at a lane."""

    minute: int
    lane: int
    segment: Segment


def lines(facts: Iterable[Fact]) -> list[bytes]:
    """Facts as an ordered set of lines, each with its end."""
    return sorted({encode(fact).encode() + b"\n" for fact in facts})


def distinct(ordered: Iterable[bytes]) -> Iterator[bytes]:
    """Ordered lines, each once."""
    return (line for line, _ in groupby(ordered))


def batch_of(content: Iterable[bytes]) -> int:
    """The lane of a batch of lines, the same for the same lines."""
    digest = blake2b(digest_size=7)
    for line in content:
        digest.update(line)
    return BATCHES + int.from_bytes(digest.digest())


def raw_key(site: str, hour: int, batch: int) -> str:
    """Where a batch's facts of an hour are kept until it is compacted."""
    return f"{raw_prefix(site, hour)}{batch:x}{SUFFIX}"


def raw_prefix(site: str, hour: int) -> str:
    """Where all of an hour's batches are kept."""
    return f"{RAW}{site}/{day_of(hour)}/{hour % 24:02}/"


def batch_in(key: str) -> int:
    """The batch that a key is of. Raises ValueError for what is none."""
    return int(key.rpartition("/")[2].removesuffix(SUFFIX), 16)


def compact_key(site: str, hour: int) -> str:
    """Where an hour's facts are kept once it was compacted."""
    return f"{COMPACT}{site}/{day_of(hour)}/{hour % 24:02}{SUFFIX}"


def winners(ordered: Iterable[bytes]) -> Iterator[tuple[Fact, bool]]:
    """The facts of ordered, distinct lines, and of each whether it counts."""
    last = None
    for line in ordered:
        fact = decode(line.decode())
        yield fact, fact.id != last
        last = fact.id


def by_minute(ordered: Iterable[bytes]) -> dict[int, Segment]:
    """A batch's segments, by minute."""
    facts = sorted(
        ((minute_of(fact.at), fact) for fact, counts in winners(ordered) if counts),
        key=itemgetter(0),
    )
    return {
        minute: fold(fact for _, fact in pairs) for minute, pairs in groupby(facts, itemgetter(0))
    }


def parts(ordered: Iterable[bytes], revision: int, first: int) -> Iterator[Part]:
    """A compacted hour's segments, which the revision and the lines alone determine; `first` is the
    hour's first minute.

    The last has seen nothing: what only facts that do not count have in common is counted as
    nought, since it may have been counted otherwise before.
    """
    number = revision << PART_BITS
    held: dict[int, list[Fact]] = {}
    losers: set[Shape] = set()
    for fact, counts in winners(ordered):
        if not counts:
            losers.add(shape_of(fact))
            continue
        minute = minute_of(fact.at)
        held.setdefault(minute, []).append(fact)
        if len(held[minute]) == PART:
            yield Part(minute, number, fold(held.pop(minute)))
            number += 1
    for minute, facts in sorted(held.items()):
        yield Part(minute, number, fold(facts))
        number += 1
    if losers:
        yield Part(first, number, Segment(0, {each: {} for each in losers}))
