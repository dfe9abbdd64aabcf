"""The sweep over facts: folds every bucket whose segment has seen fewer than there are, and one of
every hour whose rows say fewer than its segments, so that a fact heals of which the stream's record
was lost, or a mark that was never made.

It reads the ledger in slices as the kernel's sweep reads events, each run going on where the one
before stopped: half a read unit per 4 KB of facts, and for each hour that is recent a query and a
read of its totals. Of older hours the segments are gone, and what was lost there only a rebuild
finds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from functions.analytics.cells import NOTHING, Row
from functions.analytics.decider import Definition
from functions.analytics.facts import bucket, day_of
from functions.analytics.folding import Folder, Work
from functions.analytics.hours import Hour, Hours, is_kept
from functions.analytics.rollups import ALL, MACHINE, tally
from functions.analytics.rows import Rows
from functions.kernel.sweep import Swept
from functions.kernel.views import ViewTable

MARK = "facts"
SLICE = 1000
"""Items per scan page."""

Position = Mapping[str, Any] | None


class Catcher:
    """Finds buckets that are behind. `define` gives a site's definition, `now` epoch ms."""

    def __init__(
        self,
        client: Any,
        facts_table: str,
        define: Callable[[str], Definition | None],
        hours: Hours,
        rows: Rows,
        folder: Folder,
        now: Callable[[], int],
        slice: int = SLICE,
    ) -> None:
        self._client = client
        self._table = facts_table
        self._define = define
        self._hours = hours
        self._rows = rows
        self._folder = folder
        self._now = now
        self._slice = slice

    def sweep(
        self, marks: ViewTable, ring: Callable[[Work], None], has_time: Callable[[], bool]
    ) -> Swept:
        """Goes through the ledger while `has_time()`, from where the last run stopped. `ring` folds
        some buckets of an hour, and must not raise for an hour that cannot be."""
        checked = rung = 0
        for counts, position in self._slices(marks.mark(MARK)):
            late = self.behind(counts)
            for work in late:
                ring(work)
            checked += len(counts)
            rung += sum(len(work.buckets) for work in late)
            marks.set_mark(MARK, position)
            if not has_time():
                break
        return Swept(checked, rung, complete=position is None)

    def behind(self, counts: Mapping[str, int]) -> list[Work]:
        """Of buckets with so many facts each, those that are to be folded again."""
        late = []
        for work in self._folder.plan(counts):
            defined = self._define(work.site)
            if defined is None or not is_kept(work.hour, defined.phase, self._now()):
                continue
            read = self._hours.read(work.site, work.hour)
            missing = {
                place
                for place in work.buckets
                if read.buckets.get(place, 0) < counts[bucket(work.site, *place)]
            }
            if not missing and self._is_unrolled(defined, work.hour, read):
                # To fold any of them again marks the hour.
                missing = {min(work.buckets)}
            if missing:
                late.append(work._replace(buckets=frozenset(missing)))
        return late

    def _is_unrolled(self, site: Definition, hour: int, read: Hour) -> bool:
        """Whether fewer events are in the totals, of people and of machines, than were read."""
        wanted = {
            value: each.events
            for value, each in tally(read.segment, site).items()
            if value[0] in (ALL, MACHINE)
        }
        rows = self._rows.day(site.id, wanted, day_of(hour))
        return any(
            rows.get(value, Row()).cells.get(hour % 24, NOTHING).events < events
            for value, events in wanted.items()
        )

    def _slices(self, position: Position) -> Iterator[tuple[Counter[str], Position]]:
        """Facts by bucket, a page's worth of buckets at a time and each of them whole; with the
        position behind them, which is None at the end."""
        counts: Counter[str] = Counter()
        begun, open_one = position, ""
        while True:
            items, following = self._page(position)
            counts.update(item["pk"]["S"] for item in items)
            # What the page cuts off goes on with the next.
            cut: str = following["pk"]["S"] if following else ""
            if cut != open_one:
                ended = [item for item in items if item["pk"]["S"] != cut]
                begun = ended[-1] if ended else position
            left = Counter({cut: counts.pop(cut)}) if cut in counts else Counter()
            if counts or following is None:
                yield counts, following and begun
            if following is None:
                return
            counts, position, open_one = left, following, cut

    def _page(self, position: Position) -> tuple[list[dict[str, Any]], Position]:
        start = {"ExclusiveStartKey": position} if position else {}
        answer = self._client.scan(
            TableName=self._table,
            # What has no `f` is a pointer; see ledger.py.
            FilterExpression="attribute_exists(f)",
            ProjectionExpression="pk, sk",
            Limit=self._slice,
            **start,
        )
        return answer["Items"], answer.get("LastEvaluatedKey")
