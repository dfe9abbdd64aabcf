"""Minute segments, and the hours in which one of them changed, in the table of rollups.

A segment stands under `minute#<site>#<hour>` at `<minute>#<lane>`: `seen` facts, `b` the segment,
`revision` how often it changed after its watermark, `more` further pieces of one that is too large
for an item. Who folds a minute writes its segment if that has seen more, and then marks the hour
as dirty; who rolls the hour up takes the mark away before it reads. So no change goes unnoticed.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from zlib import crc32

from functions.analytics.facts import MINUTE_MS, minutes_of
from functions.analytics.segments import Segment, decode, encode, merge
from functions.kernel.backoff import DEFAULT, Backoff
from functions.kernel.errors import Conflict

Bucket = tuple[int, int]
"""Minute and lane; in the bulk ledger, minute and a batch's hash."""

LATENESS_MS = 2 * MINUTE_MS
"""Until so long after its end, a minute or an hour is expected to change."""
DAY_S = 86_400
KEPT_S = 3 * DAY_S
"""Seconds that a segment is kept after its hour, or after that was folded again."""
OLD_MS = DAY_S * 1000
"""An hour that ended so long ago may have lost segments when something comes late."""
LANES = 16
"""Partitions of the dirty marks, each good for 1,000 writes a second."""
STUCK_MS = 5 * MINUTE_MS
"""A mark of that age is taken to have lost its message."""
MIN_DELAY, MAX_DELAY = 5, 60
LONGEST_DELAY = 900
"""Seconds that SQS holds a message back at most (SQS API reference)."""
PIECE = 350_000
"""Bytes of a segment in one item, which DynamoDB holds to 400 KB."""
EPOCH_BITS, REVISION_BITS = 60, 40
PART_BITS = 20
BATCHES = 1 << 60
"""Lanes from here on are batches of the bulk ledger. Those below are parts of a compacted hour, its
revision in the bits from PART_BITS on; in the exact ledger that is 0."""
BATCH_WRITE = 25
"""BatchWriteItem takes at most this many (DynamoDB API reference)."""
_EPOCH, _WHOLE, _COMPACTED = "!epoch", "~whole", "~compacted"
"""Notes on an hour. The epoch sorts before its minutes, which were written before it began: who
reads it reads those after it. The others sort after them: what they say of minutes was so."""


class Hour(NamedTuple):
    """What is known of an hour, or of its end: the segment and the revision of each minute, and how
    many facts each of its buckets has seen.

    `version` grows whenever a fact comes or the hour is compacted or built anew: its epoch, then
    its revision, then facts seen. It is 0 where some of the segments are missing.
    """

    version: int
    minutes: Mapping[int, Segment]
    revisions: Mapping[int, int]
    buckets: Mapping[Bucket, int]

    @property
    def segment(self) -> Segment:
        """All of it in one."""
        return merge(self.minutes.values())

    @property
    def seen(self) -> int:
        """How many facts these are."""
        return sum(segment.seen for segment in self.minutes.values())

    @property
    def epoch(self) -> int:
        """How often it was built anew."""
        return self.version >> EPOCH_BITS


class Dirty(NamedTuple):
    """An hour that is to be rolled up: where it is dense and not over, only what is frequent, or
    the `whole` of it."""

    site: str
    hour: int
    whole: bool = False


class Compacted(NamedTuple):
    """Which segments of an hour count, since it was compacted: the `parts` of this revision, and
    batches that were not merged into it."""

    revision: int = 0
    parts: int = 0
    merged: frozenset[int] = frozenset()

    def counts(self, lane: int) -> bool:
        """Whether a segment of that lane does."""
        if lane >= BATCHES:
            return lane not in self.merged
        return lane >> PART_BITS in (0, self.revision)

    def is_whole(self, lanes: Iterable[int]) -> bool:
        """Whether all the parts are among these."""
        return sum(lane >> PART_BITS == self.revision for lane in lanes) >= self.parts


def delay(seen: int) -> int:
    """Seconds to wait before an hour is rolled up in which a bucket has seen so many facts.

    Rows cost the same however much they grew: where more comes, waiting spares more of them.
    """
    return max(MIN_DELAY, min(MAX_DELAY, seen // 5))


def gone_at(hour: int, phase: int, now: int) -> int:
    """When a segment of an hour that is written now may go, in epoch seconds."""
    ended = _end(hour, phase)
    return (now if is_old(hour, phase, now) else ended) // 1000 + KEPT_S


def is_old(hour: int, phase: int, now: int) -> bool:
    """Whether some of an hour's segments may be gone."""
    return _end(hour, phase) + OLD_MS < now


def is_kept(hour: int, phase: int, now: int) -> bool:
    """Whether an hour's segments are all there for a day more at least."""
    return _end(hour, phase) + (KEPT_S - DAY_S) * 1000 > now


def left(hour: int, phase: int, now: int) -> int:
    """Seconds until the hour's end, rounded up; none or fewer once it is over."""
    return -((now - _end(hour, phase)) // 1000)


def is_late(hour: int, phase: int, now: int) -> bool:
    """Whether an hour was to change no more."""
    return _end(hour, phase) + LATENESS_MS <= now


def _end(hour: int, phase: int) -> int:
    return minutes_of(hour, phase).stop * MINUTE_MS


class Hours:
    """The table of rollups as far as it holds segments and marks, and the queue of dirty hours.
    `now` is epoch ms."""

    def __init__(
        self, client: Any, table: str, queue: Any, queue_url: str, backoff: Backoff = DEFAULT
    ) -> None:
        self._backoff = backoff
        self._client = client
        self._table = table
        self._queue = queue
        self._queue_url = queue_url

    # ---- Segments -----------------------------------------------------------------------------

    def put(
        self,
        site: str,
        hour: int,
        bucket: Bucket,
        segment: Segment,
        gone_at: int,
        now: int,
        *,
        anew: bool = False,
    ) -> bool:
        """Writes a segment unless one stands there that has seen as much; says if it did.

        One that has seen the same and would be gone sooner stays longer. `anew` it is written over
        one that has seen the same, which an older release may have folded otherwise; that is no
        change after its watermark.
        """
        key = _key(site, hour, _place(bucket))
        content = encode(segment)
        pieces = [content[start : start + PIECE] for start in range(0, len(content), PIECE)]
        # Pieces first: whoever reads the number of them must find them. What has seen the same is
        # the same, so no two writers differ on a piece; of two releases' the whole cannot be read,
        # and is again.
        for number, piece in enumerate(pieces[1:]):
            sk = _piece(bucket, segment.seen, number)
            item = {**_key(site, hour, sk), "b": {"B": piece}, "gone_at": {"N": str(gone_at)}}
            self._client.put_item(TableName=self._table, Item=item)
        late = not anew and now >= (bucket[0] + 1) * MINUTE_MS + LATENESS_MS
        guard = "seen <= :seen" if anew else "seen < :seen"
        try:
            self._client.update_item(
                TableName=self._table,
                Key=key,
                UpdateExpression=(
                    "SET seen = :seen, b = :b, more = :more, gone_at = :gone_at ADD revision :late"
                ),
                ConditionExpression=(
                    f"attribute_not_exists(pk) OR {guard} OR (seen = :seen AND gone_at < :gone_at)"
                ),
                ExpressionAttributeValues={
                    ":seen": {"N": str(segment.seen)},
                    ":b": {"B": pieces[0]},
                    ":more": {"N": str(len(pieces) - 1)},
                    ":gone_at": {"N": str(gone_at)},
                    ":late": {"N": str(int(late))},
                },
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def read(
        self, site: str, hour: int, *, since: int | None = None, consistent: bool = True
    ) -> Hour:
        """One query: an hour, or what of it is from the minute `since` on."""
        items = {item["sk"]["S"]: item for item in self._items(site, hour, since, consistent)}
        compacted = _compacted(items.get(_COMPACTED))
        found: defaultdict[int, list[Segment]] = defaultdict(list)
        revisions: defaultdict[int, int] = defaultdict(int)
        buckets: dict[Bucket, int] = {}
        for bucket, content in _counting(items).items():
            segment = decode(content)
            found[bucket[0]].append(segment)
            revisions[bucket[0]] += int(items[_place(bucket)]["revision"]["N"])
            buckets[bucket] = segment.seen
        minutes = {minute: merge(segments) for minute, segments in found.items()}
        seen = sum(segment.seen for segment in minutes.values())
        epoch = int(items[_EPOCH]["n"]["N"]) if _EPOCH in items else 0
        version = (epoch << EPOCH_BITS) + (compacted.revision << REVISION_BITS) + seen
        # Read while it was being compacted, or old: there will be another reason to read it.
        whole = since is not None or compacted.is_whole(_lane(sk) for sk in _segments(items))
        return Hour(version if whole else 0, minutes, revisions, buckets)

    def encoded(self, site: str, hour: int, since: int) -> dict[Bucket, bytes]:
        """One query, eventually consistent: the segments of an hour that count, from the minute
        `since` on, as they are kept."""
        return _counting({item["sk"]["S"]: item for item in self._items(site, hour, since, False)})

    def _items(
        self, site: str, hour: int, since: int | None, consistent: bool
    ) -> Iterator[dict[str, Any]]:
        condition, values = "pk = :hour", {":hour": _key(site, hour, "")["pk"]}
        if since is not None:
            condition += " AND sk >= :since"
            values[":since"] = {"S": f"{since:09}"}
        page: dict[str, Any] = {}
        while True:
            answer = self._client.query(
                TableName=self._table,
                KeyConditionExpression=condition,
                ExpressionAttributeValues=values,
                ConsistentRead=consistent,
                **page,
            )
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    # ---- Notes on an hour ---------------------------------------------------------------------

    def is_whole(self, site: str, hour: int, now: int) -> bool:
        """Whether every segment of an old hour was written again, and stays for a day at least."""
        answer = self._client.get_item(
            TableName=self._table, Key=_key(site, hour, _WHOLE), ConsistentRead=True
        )
        return "Item" in answer and int(answer["Item"]["gone_at"]["N"]) > now // 1000 + DAY_S

    def set_whole(self, site: str, hour: int, gone_at: int) -> None:
        """Notes that they were, to be gone then."""
        item = {**_key(site, hour, _WHOLE), "gone_at": {"N": str(gone_at)}}
        self._client.put_item(TableName=self._table, Item=item)

    def begin_anew(self, site: str, hours: Sequence[int], gone_at: int, now: int) -> int:
        """Begins the next epoch of a day's hours, the same for all and all at once, and gives it:
        what is rolled up from now on replaces what there is, whatever it has seen. The hours are
        marked as dirty, so that `resend` has each rolled up that is not meanwhile.

        The notes must stay as long as any row does that was rolled up under them. Raises Conflict
        if others keep beginning another.
        """
        for _ in self._backoff.tries():
            epoch = 1 + max(self._epoch(site, hour) for hour in hours)
            notes = [self._epoch_note(site, hour, epoch, gone_at) for hour in hours]
            marks = [{"Put": self._marking(Dirty(site, hour), now)} for hour in hours]
            try:
                self._client.transact_write_items(TransactItems=[*notes, *marks])
            except self._client.exceptions.TransactionCanceledException:
                continue
            return epoch
        raise Conflict(f"{site}: others keep building the same hours anew")

    def _epoch(self, site: str, hour: int) -> int:
        answer = self._client.get_item(
            TableName=self._table, Key=_key(site, hour, _EPOCH), ConsistentRead=True
        )
        return int(answer["Item"]["n"]["N"]) if "Item" in answer else 0

    def _epoch_note(self, site: str, hour: int, epoch: int, gone_at: int) -> dict[str, Any]:
        item = {
            **_key(site, hour, _EPOCH),
            "n": {"N": str(epoch)},
            "gone_at": {"N": str(gone_at)},
        }
        return {
            "Put": {
                "TableName": self._table,
                "Item": item,
                "ConditionExpression": "attribute_not_exists(pk) OR n < :n",
                "ExpressionAttributeValues": {":n": item["n"]},
            }
        }

    # ---- Compacted hours ----------------------------------------------------------------------

    def compacted(self, site: str, hour: int) -> Compacted:
        """Which of an hour's segments count."""
        answer = self._client.get_item(
            TableName=self._table, Key=_key(site, hour, _COMPACTED), ConsistentRead=True
        )
        return _compacted(answer.get("Item"))

    def set_compacted(self, site: str, hour: int, compacted: Compacted, gone_at: int) -> bool:
        """Notes which do from now on, all at once, unless that is known of as new a revision; says
        if it did."""
        merged = b"".join(lane.to_bytes(8, "big") for lane in sorted(compacted.merged))
        try:
            self._client.put_item(
                TableName=self._table,
                Item={
                    **_key(site, hour, _COMPACTED),
                    "n": {"N": str(compacted.revision)},
                    "parts": {"N": str(compacted.parts)},
                    "merged": {"B": merged},
                    "gone_at": {"N": str(gone_at)},
                },
                ConditionExpression="attribute_not_exists(pk) OR n < :n",
                ExpressionAttributeValues={":n": {"N": str(compacted.revision)}},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def places(self, site: str, hour: int) -> dict[str, int]:
        """One query: where an hour's segments and their pieces are, with their lanes."""
        places = (item["sk"]["S"] for item in self._items(site, hour, None, True))
        return {place: _lane(place) for place in places if not _is_note(place)}

    def drop(self, site: str, hour: int, places: Sequence[str]) -> None:
        """Deletes what is there. Raises Conflict if the table takes no more."""
        for start in range(0, len(places), BATCH_WRITE):
            requests = [
                {"DeleteRequest": {"Key": _key(site, hour, place)}}
                for place in places[start : start + BATCH_WRITE]
            ]
            self._batch_write(requests)

    def _batch_write(self, requests: list[dict[str, Any]]) -> None:
        for _ in self._backoff.tries():
            answer = self._client.batch_write_item(RequestItems={self._table: requests})
            requests = answer.get("UnprocessedItems", {}).get(self._table, [])
            if not requests:
                return
        raise Conflict(f"{self._table} takes no more writes")

    # ---- Dirty hours --------------------------------------------------------------------------

    def mark(self, dirty: Dirty, delay: int, now: int) -> bool:
        """Marks an hour as dirty, and has it rolled up after `delay` seconds; says if it was not
        marked before. Raises what the queue raises: the mark then waits for `resend`."""
        marking = self._marking(dirty, now + delay * 1000)
        try:
            self._client.put_item(**marking, ConditionExpression="attribute_not_exists(pk)")
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        self._send(dirty, delay)
        return True

    def _marking(self, dirty: Dirty, at: int) -> dict[str, Any]:
        return {"TableName": self._table, "Item": {**_mark(dirty), "at": {"N": str(at)}}}

    def postpone(self, dirty: Dirty, delay: int) -> None:
        """Has an hour that is marked rolled up later."""
        self._send(dirty, delay)

    def unmark(self, dirty: Dirty) -> None:
        """Takes the mark away; to be done before the hour is read."""
        self._client.delete_item(TableName=self._table, Key=_mark(dirty))

    def resend(self, now: int) -> int:
        """Sends each hour again that should have been rolled up STUCK_MS ago; gives how many."""
        stuck = list(self._stuck(now - STUCK_MS))
        for dirty in stuck:
            self._send(dirty, 0)
        return len(stuck)

    def _stuck(self, until: int) -> Iterator[Dirty]:
        for lane in range(LANES):
            page: dict[str, Any] = {}
            while True:
                answer = self._client.query(
                    TableName=self._table,
                    KeyConditionExpression="pk = :lane",
                    ExpressionAttributeValues={":lane": {"S": f"dirty#{lane}"}},
                    **page,
                )
                for item in answer["Items"]:
                    if int(item["at"]["N"]) <= until:
                        site, hour, whole = item["sk"]["S"].split("#")
                        yield Dirty(site, int(hour), bool(int(whole)))
                if "LastEvaluatedKey" not in answer:
                    break
                page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def _send(self, dirty: Dirty, delay: int) -> None:
        body = json.dumps(dirty._asdict())
        delay = min(delay, LONGEST_DELAY)
        self._queue.send_message(QueueUrl=self._queue_url, MessageBody=body, DelaySeconds=delay)


def _key(site: str, hour: int, sk: str) -> dict[str, Any]:
    return {"pk": {"S": f"minute#{site}#{hour}"}, "sk": {"S": sk}}


def _mark(dirty: Dirty) -> dict[str, Any]:
    name = f"{dirty.site}#{dirty.hour}#{int(dirty.whole)}"
    return {"pk": {"S": f"dirty#{crc32(name.encode()) % LANES}"}, "sk": {"S": name}}


def _is_note(sk: str) -> bool:
    return not sk[0].isdigit()


def _place(bucket: Bucket) -> str:
    return f"{bucket[0]:09}#{bucket[1]}"


def _piece(bucket: Bucket, seen: int, number: int) -> str:
    return f"{_place(bucket)}#{seen}#{number}"


def _bucket(sk: str) -> Bucket:
    minute, lane = sk.split("#")
    return int(minute), int(lane)


def _lane(sk: str) -> int:
    return int(sk.split("#")[1])


def _compacted(item: Mapping[str, Any] | None) -> Compacted:
    if item is None:
        return Compacted()
    content = item["merged"]["B"]
    lanes = (content[start : start + 8] for start in range(0, len(content), 8))
    return Compacted(
        int(item["n"]["N"]),
        int(item["parts"]["N"]),
        frozenset(int.from_bytes(lane, "big") for lane in lanes),
    )


def _segments(items: Iterable[str]) -> list[str]:
    """Those of the places at which a segment stands, or its first piece."""
    return [sk for sk in items if not _is_note(sk) and sk.count("#") == 1]


def _counting(items: Mapping[str, Mapping[str, Any]]) -> dict[Bucket, bytes]:
    """Of the items by place: the segments that count, each of all its pieces."""
    compacted = _compacted(items.get(_COMPACTED))
    buckets = map(_bucket, _segments(items))
    return {bucket: _whole(items, bucket) for bucket in buckets if compacted.counts(bucket[1])}


def _whole(items: Mapping[str, Mapping[str, Any]], bucket: Bucket) -> bytes:
    first = items[_place(bucket)]
    seen, more = int(first["seen"]["N"]), int(first["more"]["N"])
    rest = (items[_piece(bucket, seen, number)]["b"]["B"] for number in range(more))
    return b"".join([first["b"]["B"], *rest])
