"""All facts of a site between two times, in the order in which they happened, from either ledger.

Only hours are read of which the rows say that something happened, and the newest, whose rows may
be on their way.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import chain
from tempfile import TemporaryFile
from typing import NamedTuple

from botocore.exceptions import ClientError

from functions.analytics.bulk import compact_key, distinct, raw_prefix
from functions.analytics.decider import Definition
from functions.analytics.events import BULK
from functions.analytics.facts import (
    MINUTE_MS,
    Fact,
    Span,
    bucket,
    day_of,
    decode,
    hour_of,
    hours_of,
    lanes_at,
    minute_of,
    minutes_of,
)
from functions.analytics.ledger import ExactLedger
from functions.analytics.objects import Objects, read
from functions.analytics.rollups import MACHINE, TOTAL
from functions.analytics.rows import Rows
from functions.edge.runtime import Runtime
from functions.edge.settings import settings

FRESH_MS = 60 * MINUTE_MS
"""An hour that ended so short a while ago is read whatever the rows say."""
AT_ONCE = 20
"""Buckets that are read before any of their facts is given out."""

Hours = Mapping[int, int]
"""Events by hour."""


class Settings(NamedTuple):
    """What a function that reads ledgers is told by its environment."""

    facts_table: str
    rollups_table: str
    raw_bucket: str
    readers: int


class Slice(NamedTuple):
    """All facts between the slice before and `reached`, epoch ms, where reading may go on."""

    facts: list[Fact]
    reached: int


class Reader:
    """Reads ledgers. `of_bucket` gives a bucket's facts, in the exact one; `of_hour` the lines of a
    site's hour, in the bulk one. `readers` are how many buckets are asked for at a time: each is a
    call of its own, and most hold little."""

    def __init__(
        self,
        of_bucket: Callable[[str], Iterable[Fact]],
        of_hour: Callable[[str, int], Iterable[bytes]],
        rows: Rows,
        now: Callable[[], int],
        readers: int,
    ) -> None:
        self._of_bucket = of_bucket
        self._of_hour = of_hour
        self._rows = rows
        self._now = now
        self._readers = readers

    def hours(self, site: Definition, span: Span, *, machines: bool) -> Hours:
        """The hours to read, with the events that are counted of people, or of `machines` too: one
        query, or two and one for each kind of machine that came."""
        wanted = span.hours(site.phase)
        if not wanted:
            return {}
        first, last = day_of(wanted[0]), day_of(wanted[-1])
        values = [TOTAL]
        if machines:
            came = self._rows.tops(site.id, MACHINE, first, last).values()
            values += sorted({(MACHINE, kind) for entries in came for kind in entries})
        found: defaultdict[int, int] = defaultdict(int)
        for value in values:
            for day, row in self._rows.days(site.id, value, first, last).items():
                for place, cell in row.cells.items():
                    hour = hours_of(day)[place]
                    if cell.events and hour in wanted:
                        found[hour] += cell.events
        now = self._now()
        fresh = range(
            hour_of(minute_of(now - FRESH_MS), site.phase), hour_of(minute_of(now), site.phase) + 1
        )
        found.update({hour: found[hour] for hour in fresh if hour in wanted})
        return found

    def read(self, site: Definition, span: Span, hours: Iterable[int]) -> Iterator[Slice]:
        """The facts of some hours, as far as they are in a span: slice after slice, of which some
        are empty. To stop is to ask for no more; to go on, to ask for what is left of the span."""
        with ThreadPoolExecutor(self._readers) as pool:
            for hour in sorted(hours):
                if site.ledger == BULK:
                    yield from self._bulk(site, hour, span)
                else:
                    yield from self._exact(pool, site, hour, span)

    def _exact(
        self, pool: ThreadPoolExecutor, site: Definition, hour: int, span: Span
    ) -> Iterator[Slice]:
        minutes = _within(minutes_of(hour, site.phase), span)
        while minutes:
            # Lanes grow only: what is right for the last of these is enough for the first.
            step = max(1, AT_ONCE // lanes_at(site.lanes, minutes[-1]))
            group, minutes = minutes[:step], minutes[step:]
            facts = chain.from_iterable(pool.map(self._bucket, buckets(site, group)))
            yield _slice(facts, span, group.stop)

    def _bulk(self, site: Definition, hour: int, span: Span) -> Iterator[Slice]:
        """An hour's lines are ordered by id, and too many to be sorted in memory: those of each
        minute go into a file of its own."""
        minutes = _within(minutes_of(hour, site.phase), span)
        with ExitStack() as files:
            held = {minute: files.enter_context(TemporaryFile()) for minute in minutes}
            last = None
            for line in self._of_hour(site.id, hour):
                fact = decode(line.decode())
                # Of lines with one id, the first counts.
                if fact.id != last and minute_of(fact.at) in held:
                    held[minute_of(fact.at)].write(line)
                last = fact.id
            for minute, file in held.items():
                file.seek(0)
                yield _slice((decode(line.decode()) for line in file), span, minute + 1)

    def _bucket(self, key: str) -> list[Fact]:
        return list(self._of_bucket(key))


def reader_of(runtime: Runtime) -> Reader:
    """The reader of a runtime's ledgers."""
    config, client = settings(Settings, runtime.env), runtime.client("dynamodb")
    exact = ExactLedger(client, config.facts_table)
    rows = Rows(client, config.rollups_table, runtime.backoff())
    objects = Objects(runtime.client("s3"), config.raw_bucket)
    of_bucket = partial(exact.read, consistent=False)
    return Reader(of_bucket, partial(hour_lines, objects), rows, runtime.now, config.readers)


def hour_lines(objects: Objects, site: str, hour: int) -> Iterator[bytes]:
    """The lines of an hour in the bulk ledger, each once, in their order.

    Batches are asked for before the compacted object: what compaction deletes meanwhile is in that
    already.
    """
    with ExitStack() as files:
        runs = []
        for key in objects.keys(raw_prefix(site, hour)):
            try:
                runs.append(files.enter_context(objects.get(key)))
            except ClientError as error:
                if error.response["Error"]["Code"] != "NoSuchKey":
                    raise
        compact = objects.compact(compact_key(site, hour))
        files.enter_context(compact.content)
        if compact.revision:
            runs.append(compact.content)
        yield from distinct(heapq.merge(*map(read, runs)))


def buckets(site: Definition, minutes: Iterable[int]) -> list[str]:
    """The buckets of the exact ledger that some minutes' facts are in."""
    return [
        bucket(site.id, minute, lane)
        for minute in minutes
        for lane in range(lanes_at(site.lanes, minute))
    ]


def _within(minutes: range, span: Span) -> range:
    first = max(minutes.start, minute_of(span.since))
    return range(first, max(first, min(minutes.stop, minute_of(span.until - 1) + 1)))


def _slice(facts: Iterable[Fact], span: Span, end: int) -> Slice:
    """Facts of minutes before `end`."""
    ordered = sorted(
        (fact for fact in facts if span.since <= fact.at < span.until),
        key=lambda fact: (fact.at, fact.id),
    )
    return Slice(ordered, min(end * MINUTE_MS, span.until))
