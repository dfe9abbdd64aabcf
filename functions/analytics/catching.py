"""The sweep over facts: folds every bucket whose segment has seen fewer than there are, so that
even a fact heals of which the stream's record was lost.

It reads the ledger in slices as the kernel's sweep reads events, each run going on where the one
before stopped: half a read unit per 4 KB of facts, and one query per hour that is recent. Of older
hours the segments are gone, and what was lost there only a rebuild finds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from functions.analytics.decider import Definition
from functions.analytics.facts import bucket
from functions.analytics.folding import Folder, Work
from functions.analytics.hours import Hours, is_kept
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
        folder: Folder,
        now: Callable[[], int],
    ) -> None:
        self._client = client
        self._table = facts_table
        self._define = define
        self._hours = hours
        self._folder = folder
        self._now = now

    def sweep(
        self, marks: ViewTable, ring: Callable[[Work], None], has_time: Callable[[], bool]
    ) -> Swept:
        """Goes through the ledger while `has_time()`, from where the last run stopped. `ring` folds
        some buckets of an hour, and must not raise for an hour that cannot be."""
        position, checked, rung = marks.mark(MARK), 0, 0
        while True:
            counts, position = self.slice(position)
            late = self.behind(counts)
            for work in late:
                ring(work)
            checked += len(counts)
            rung += sum(len(work.buckets) for work in late)
            marks.set_mark(MARK, position)
            if position is None or not has_time():
                return Swept(checked, rung, complete=position is None)

    def behind(self, counts: Mapping[str, int]) -> list[Work]:
        """Of buckets with so many facts each, those of recent hours whose segment has seen fewer.
        One query per hour."""
        late = []
        for work in self._folder.plan(counts):
            defined = self._define(work.site)
            if defined is None or not is_kept(work.hour, defined.phase, self._now()):
                continue
            seen = self._hours.seen(work.site, work.hour)
            missing = {
                place
                for place in work.buckets
                if seen.get(place, 0) < counts[bucket(work.site, *place)]
            }
            if missing:
                late.append(work._replace(buckets=frozenset(missing)))
        return late

    def slice(self, position: Position, limit: int = SLICE) -> tuple[dict[str, int], Position]:
        """One page of a scan: facts by bucket, and the position to go on from, None at the end.

        A bucket that the page cuts off is left to the next one, unless it is all there is: then
        what of it is here counts, and what is behind by less is not seen.
        """
        start = {"ExclusiveStartKey": position} if position else {}
        answer = self._client.scan(
            TableName=self._table,
            # What has no `f` is a pointer; see ledger.py.
            FilterExpression="attribute_exists(f)",
            ProjectionExpression="pk, sk",
            Limit=limit,
            **start,
        )
        items, last = answer["Items"], answer.get("LastEvaluatedKey")
        if last is not None:
            whole = [item for item in items if item["pk"] != last["pk"]]
            if whole:
                items, last = whole, whole[-1]
        return dict(Counter(item["pk"]["S"] for item in items)), last
