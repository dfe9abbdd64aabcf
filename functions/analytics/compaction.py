"""Compaction: an hour's batches are merged into one object, and its segments made exact.

Every step may be done twice, and the run may end after any: what it found is deleted last, so the
next one finds it again. Two runs at once cannot lose each other's facts, as the object is replaced
only over what was read, nor mix their segments, as one note says which revision's count.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import IO, NamedTuple

from functions.analytics.bulk import batch_in, compact_key, distinct, parts, raw_prefix
from functions.analytics.decider import Definition
from functions.analytics.facts import minutes_of
from functions.analytics.hours import (
    BATCHES,
    MIN_DELAY,
    Compacted,
    Dirty,
    Hours,
    gone_at,
)
from functions.analytics.marks import Marks
from functions.analytics.objects import Compact, Objects, read, write

MERGED_AT_ONCE = 100
"""Batches, gzipped, that are in memory at once; of some 6 MB of messages each is at most 1 MB."""


class Overtaken(Exception):
    """Somebody else has compacted the hour meanwhile: to be done again."""


class Found(NamedTuple):
    """What there was of an hour: segments by place with their lanes, raw objects' keys, and what
    was noted and written when it was compacted last."""

    noted: Compacted
    places: dict[str, int]
    raw: list[str]
    compact: Compact

    @property
    def batches(self) -> frozenset[int]:
        """The batches of which there is anything."""
        lanes = (lane for lane in self.places.values() if lane >= BATCHES)
        return frozenset(lanes) | frozenset(map(batch_in, self.raw))

    @property
    def is_merged(self) -> bool:
        """Whether all of it is in the object and the segments that count."""
        return self.compact.revision == self.noted.revision and self.batches <= self.noted.merged


class Compaction:
    """Compacts hours. `define` gives a site's definition, `now` epoch ms."""

    def __init__(
        self,
        objects: Objects,
        hours: Hours,
        marks: Marks,
        define: Callable[[str], Definition | None],
        now: Callable[[], int],
    ) -> None:
        self._objects = objects
        self._hours = hours
        self._marks = marks
        self._define = define
        self._now = now

    def compact(self, site: str, hour: int, *, anew: bool = False) -> bool:
        """Compacts an hour; says if there was anything to do. `anew` its segments are made again
        where there is an object, whose next revision this is. Raises Overtaken."""
        self._marks.remove(site, hour)
        defined = self._define(site)
        if defined is None:
            return False
        with ExitStack() as files:
            found = self._find(site, hour)
            files.enter_context(found.compact.content)
            noted = found.noted
            if not found.is_merged or (anew and found.compact.revision):
                merged = files.enter_context(self._merge(found))
                noted = self._replace(defined, hour, found, merged)
        garbage = [place for place, lane in found.places.items() if not noted.counts(lane)]
        if not garbage and not found.raw:
            return False
        # Before anything is deleted: who died before is found by what is left.
        self._hours.mark(Dirty(site, hour), MIN_DELAY, self._now())
        self._hours.drop(site, hour, garbage)
        self._objects.delete(found.raw)
        return True

    def _find(self, site: str, hour: int) -> Found:
        # Segments before objects: of each batch that has a segment the object was there before,
        # and is found or in the compacted one, which is read last.
        return Found(
            self._hours.compacted(site, hour),
            self._hours.places(site, hour),
            self._objects.keys(raw_prefix(site, hour)),
            self._objects.compact(compact_key(site, hour)),
        )

    def _merge(self, found: Found) -> IO[bytes]:
        """All lines, each once, in a file. Lines are never all in memory, nor are all objects."""
        with ExitStack() as files:
            runs = [found.compact.content] if found.compact.revision else []
            for start in range(0, len(found.raw), MERGED_AT_ONCE):
                keys = found.raw[start : start + MERGED_AT_ONCE]
                runs.append(files.enter_context(_merged([self._objects.get(key) for key in keys])))
            return _merged(runs, found.compact.revision + 1)

    def _replace(self, site: Definition, hour: int, found: Found, merged: IO[bytes]) -> Compacted:
        """Writes the object, then its segments, then the note that makes them count."""
        if not self._objects.replace(compact_key(site.id, hour), found.compact, merged):
            raise Overtaken
        revision, until = found.compact.revision + 1, gone_at(hour, site.phase, self._now())
        first, number = minutes_of(hour, site.phase).start, 0
        for minute, lane, segment in parts(read(merged), revision, first):
            # That it changed after its watermark is nothing new: its batches told.
            self._hours.put(site.id, hour, (minute, lane), segment, until, now=0)
            number += 1
        noted = Compacted(revision, number, found.batches)
        if not self._hours.set_compacted(site.id, hour, noted, until):
            raise Overtaken
        return noted


def _merged(files: Sequence[IO[bytes]], revision: int = 0) -> IO[bytes]:
    """A file of the ordered lines of all."""
    with ExitStack() as unfinished:
        merged = unfinished.enter_context(TemporaryFile())
        write(merged, distinct(heapq.merge(*map(read, files))), revision)
        unfinished.pop_all()
    return merged
