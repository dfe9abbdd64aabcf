"""From facts to segments: every bucket that a doorbell names is read, folded and written whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from functions.analytics.decider import Definition
from functions.analytics.facts import Fact, bucket, hour_of, lanes_at, minutes_of, parts
from functions.analytics.hours import Bucket, Dirty, Hours, delay, gone_at, is_old
from functions.analytics.segments import fold


class Work(NamedTuple):
    """Buckets of one site's hour."""

    site: str
    hour: int
    buckets: frozenset[Bucket]


class Folder:
    """Folds buckets of the exact ledger. `read` gives a bucket's facts, by a consistent read;
    `define` a site's definition; `now` epoch ms."""

    def __init__(
        self,
        read: Callable[[str], Iterable[Fact]],
        define: Callable[[str], Definition | None],
        hours: Hours,
        now: Callable[[], int],
    ) -> None:
        self._read = read
        self._define = define
        self._hours = hours
        self._now = now

    def plan(self, keys: Iterable[str]) -> list[Work]:
        """Buckets by the hours that they are in, each once; those of no known site are left out."""
        found: dict[tuple[str, int], set[Bucket]] = {}
        for key in dict.fromkeys(keys):
            site, minute, lane = parts(key)
            if defined := self._define(site):
                hour = hour_of(minute, defined.phase)
                found.setdefault((site, hour), set()).add((minute, lane))
        return [Work(site, hour, frozenset(set_)) for (site, hour), set_ in found.items()]

    def fold(self, work: Work) -> bool:
        """Writes the segments of an hour's buckets, then marks the hour: whoever takes that mark
        finds them. Says if the hour was not marked before."""
        site, hour, buckets = work
        now, defined = self._now(), self._define(site)
        assert defined is not None, "planned with its definition"
        if is_old(hour, defined.phase, now) and not self._hours.is_whole(site, hour, now):
            most = self.fold_all(defined, hour)
        else:
            until = gone_at(hour, defined.phase, now)
            most = max([self._put(site, hour, each, until) for each in sorted(buckets)])
        return self._hours.mark(Dirty(site, hour), delay(most), now)

    def fold_all(self, site: Definition, hour: int, *, anew: bool = False) -> int:
        """Writes the segments of all an hour's buckets, `anew` even over those that have seen as
        much; gives the facts of the largest."""
        until = gone_at(hour, site.phase, self._now())
        most = max([self._put(site.id, hour, each, until, anew) for each in buckets_of(site, hour)])
        self._hours.set_whole(site.id, hour, until)
        return most

    def _put(self, site: str, hour: int, place: Bucket, until: int, anew: bool = False) -> int:
        segment = fold(self._read(bucket(site, *place)))
        if segment.seen:
            self._hours.put(site, hour, place, segment, until, self._now(), anew=anew)
        return segment.seen


def buckets_of(site: Definition, hour: int) -> Iterable[Bucket]:
    """Every bucket that facts of an hour may be in."""
    for minute in minutes_of(hour, site.phase):
        for lane in range(lanes_at(site.lanes, minute)):
            yield minute, lane


def keys_of(work: Work) -> list[str]:
    """The keys of the buckets."""
    return [bucket(work.site, *place) for place in sorted(work.buckets)]
