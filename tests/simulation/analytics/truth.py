"""What must hold of facts, salts, segments and rows at every write, and of all of them in the end.

The oracle counts facts by a pass of its own (tests/unit/analytics/reference.py) and digests
visitors by itself, so that a mistake in production's shows.
"""

from __future__ import annotations

import gzip
import hashlib
import hmac
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from functions.analytics.bulk import compact_key
from functions.analytics.cells import decode_cells
from functions.analytics.decider import Definition
from functions.analytics.events import BULK
from functions.analytics.facts import Fact, decode
from functions.analytics.hours import EPOCH_BITS, REVISION_BITS
from functions.analytics.rows import _read_top
from functions.analytics.sketches import estimate, merge, sketch
from tests.simulation.world import Served, Violation, World, physical
from tests.support.cloud.dynamodb import Change, Item
from tests.support.cloud.s3 import Stored
from tests.unit.analytics.reference import Counted, reference

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
LATE_MS = 120_000
"""Until so long after its end an hour is expected to change."""
SALT_GRACE_MS = HOUR_MS
"""How long a salt may outlive its period."""
SALT_SWEEP_MS = 2 * HOUR_MS
"""How long after that it may take until it is deleted: a sweep's interval, and one that failed."""
RUN_MS = 120_000
"""What a run takes at most, with all that may hold it up."""

FactId = tuple[str, str]
"""Site and event."""


@dataclass
class Asked:
    """What senders have asked for. `bodies` are the names and pages under which an event was sent,
    `promised` the events that were accepted; those of `private` must never be kept."""

    bodies: defaultdict[FactId, set[tuple[str, str | None]]] = field(
        default_factory=lambda: defaultdict(set)
    )
    promised: set[FactId] = field(default_factory=set)
    private: set[FactId] = field(default_factory=set)


class Truth:
    """The oracle of one run."""

    def __init__(self, world: World) -> None:
        self.asked = Asked()
        self.facts: dict[FactId, tuple[str, Fact]] = {}
        self.sites: dict[str, Definition] = {}
        self.deleted: dict[str, int] = {}
        self.expiring = False
        self._world = world
        self._pointers: dict[tuple[str, str], Item] = {}
        self._merged: dict[tuple[str, int, int], int] = {}
        self._salts: dict[str, bytes] = {}
        names = world.deployed.names
        self._watched = {
            physical(names, "AnalyticsFacts"): self._fact,
            physical(names, "AnalyticsSalts"): self._salt,
            physical(names, "AnalyticsRollups"): self._rolled,
        }
        self.rollups = physical(names, "AnalyticsRollups")
        self._bucket = physical(names, "AnalyticsRaw")
        world.watchers.append(self._watch)
        world.served.append(self._served)

    def _watch(self, change: Change) -> None:
        if look := self._watched.get(change.table):
            look(change)

    # ---- Facts --------------------------------------------------------------------------------

    def _fact(self, change: Change) -> None:
        if change.old:
            raise Violation("facts are immutable", f"{change.old} became {change.new}")
        item = change.new
        pk, id = item["pk"]["S"], item["sk"]["S"]
        if "f" not in item:
            self._pointers[pk, id] = item
            self._world.coverage.hit("ledger", "pointer")
            return
        fact = decode(item["f"]["S"])
        key = fact.site, id
        if key in self.facts:
            raise Violation("a fact is kept once", f"{id} at {self.facts[key][0]} and at {pk}")
        if key in self.asked.private or fact.page == "/private":
            raise Violation("nothing is kept of who opted out", str(fact))
        known = self.asked.bodies.get(key)
        if known is not None and (fact.name, fact.page) not in known:
            raise Violation("a fact is what was sent", f"{fact}: {known}")
        if fact.name == "click":
            self._check_click(fact)
        self.facts[key] = pk, fact
        self._world.coverage.hit("ledger", "fact")

    def _check_click(self, fact: Fact) -> None:
        salts = [self._salts.get(name) for name in periods(fact.at)]
        wanted = {digest(salt, f"{fact.site}|{who}|") for salt in salts if salt for who in CLICKERS}
        if fact.visitor is not None and fact.visitor not in wanted:
            raise Violation("a visitor is told by the salt of the time", str(fact))

    # ---- Visitors -----------------------------------------------------------------------------

    def _salt(self, change: Change) -> None:
        name = (change.new or change.old)["pk"]["S"]
        if not change.new:
            self._world.coverage.hit("salts", "deleted")
            return
        if name in self._salts:
            raise Violation("a period has one salt", name)
        self._salts[name] = change.new["salt"]["B"]
        self._world.coverage.hit("salts", "made")

    def _served(self, served: Served) -> None:
        for queue, message in served.invocation.sent:
            if queue != "AnalyticsTracked":
                continue
            for event in message["events"]:
                self._check_visitor(message, event, served.event)

    def _check_visitor(
        self, message: Mapping[str, Any], event: Mapping[str, Any], asked: Mapping[str, Any]
    ) -> None:
        if event.get("visitor") is None or "user_id" in asked["body"]:
            return
        http = asked["requestContext"]["http"]
        who = f"{message['site']}|{http['sourceIp']}|{message['agent'] or ''}"
        salts = [self._salts.get(name) for name in periods(message["received"])]
        if event["visitor"] not in {digest(salt, who) for salt in salts if salt}:
            raise Violation("a visitor is told by the salt of the time", f"{message}")
        self._world.coverage.hit("salts", "used")

    def check_salts(self) -> None:
        """No salt outlives its period by more than it takes to delete it."""
        table = self._world.dynamodb.tables[physical(self._world.deployed.names, "AnalyticsSalts")]
        for item in table.everything():
            over = period_end(item["pk"]["S"]) + SALT_GRACE_MS + SALT_SWEEP_MS
            if over < self._world.now:
                raise Violation("salts are deleted on time", str(item["pk"]))

    # ---- Segments and rows --------------------------------------------------------------------

    def _rolled(self, change: Change) -> None:
        kind = (change.new or change.old)["pk"]["S"].partition("#")[0]
        if kind == "row":
            self._row(change.old, change.new)
        elif kind == "top":
            self._check_version(change.old, change.new)
        elif kind == "minute" and "seen" in change.old:
            self._segment(change.old, change.new)
        elif kind == "minute" and "merged" in change.new:
            self._compaction(change.new)

    def _compaction(self, note: Item) -> None:
        """An hour's segments count as they were compacted, from now on."""
        _, site, number = note["pk"]["S"].split("#")
        revision, hour = int(note["n"]["N"]), int(number)
        stored = self._world.s3.buckets[self._bucket][compact_key(site, hour)]
        # Somebody else may have merged more by now, which counts once he says so.
        if int(stored.metadata["revision"]) == revision:
            facts = {fact.id: fact for fact in map(decode, _lines(stored))}.values()
            people = sum(not fact.machine for fact in facts)
            self._merged[site, hour, revision] = people

    def _segment(self, old: Item, new: Item) -> None:
        bulk = self.define(old["pk"]["S"].split("#")[1]).ledger == BULK
        if not new and not self.expiring and not bulk:
            raise Violation("segments stay until they expire", str(old["pk"]))
        if new and int(new["seen"]["N"]) < int(old["seen"]["N"]):
            raise Violation("a segment never sees less", f"{old} became {new}")

    def _check_version(self, old: Item, new: Item) -> None:
        if not new:
            raise Violation("rows stay", str(old["pk"]))
        before = int(old["v"]["N"]) if old else 0
        if int(new["v"]["N"]) != before + 1:
            raise Violation("a row is written over what was read", f"{new['pk']}: {before}")

    def _row(self, old: Item, new: Item) -> None:
        self._check_version(old, new)
        before = decode_cells(old["c"]["B"]) if old else {}
        first = _hour(new["sk"]["S"])
        _, id, rollup, _ = new["pk"]["S"].split("#", 3)
        site, total = self.define(id), rollup == "all"
        for place, cell in decode_cells(new["c"]["B"]).items():
            former = before.get(place)
            if cell == former:
                continue
            compacted = (cell.version >> REVISION_BITS) % (1 << (EPOCH_BITS - REVISION_BITS))
            changed = cell[1:4] != (former[1:4] if former else (0, 0, 0))
            revision = former.revision if former else 0
            if former and cell.version <= former.version:
                raise Violation("an hour is never counted from less", f"{new['pk']}: {cell}")
            if total and cell.events < self._merged.get((site.id, first + place, compacted), 0):
                raise Violation("what was compacted is counted whole", f"{new['pk']}: {cell}")
            ended = (first + place + 1) * HOUR_MS - site.phase * 60_000 + LATE_MS
            since = self._world.now - ended
            skew = self._world.weather.skew
            if cell.revision != revision and since < -skew:
                raise Violation("revisions are for late data", f"{new['pk']}: {cell}")
            if cell.revision != revision + changed and since > skew + RUN_MS:
                raise Violation("late data make a revision", f"{new['pk']}: {cell}")
            self._world.coverage.hit("rows", "late" if since > 0 else "in time")

    def define(self, site: str) -> Definition:
        """A site as it is."""
        return self.sites.get(site) or Definition(id=site, created_at=0, timezone="UTC", phase=0)

    # ---- In the end ---------------------------------------------------------------------------

    def settled(self) -> None:
        """When all is quiet: all that was promised is kept, and counted, once."""
        self._check_promises()
        self._check_pointers()
        self.check_salts()
        by_site: defaultdict[str, list[Fact]] = defaultdict(list)
        for _, fact in self.facts.values():
            by_site[fact.site].append(fact)
        for fact in self._compacted():
            if not self._is_gone(fact.site):
                by_site[fact.site].append(fact)
        wanted: dict[tuple[str, str, str, str], Any] = {}
        for site, facts in by_site.items():
            wanted.update(_rows(site, reference(facts, self.define(site)), self.define(site)))
        self._check_rows(wanted)
        self._check_tops(wanted)
        if marks := [item["sk"]["S"] for item in self._items("dirty#")]:
            raise Violation("no hour stays dirty", str(marks))

    def _compacted(self) -> Iterator[Fact]:
        """The facts of the bulk ledger, each id once in an hour, its ids prefixed by that."""
        seen = set()
        for key, stored in sorted(self._world.s3.buckets[self._bucket].items()):
            if key.startswith("raw/"):
                # Left by who died over what was done already; it goes when retention comes round.
                if key.split("/")[1] in self.deleted or self._is_merged(key, stored):
                    continue
                raise Violation("what is settled is compacted", key)
            hour = key.partition("/")[2].removesuffix(".ndjson.gz")
            for fact in map(decode, _lines(stored)):
                known = self.asked.bodies.get((fact.site, fact.id))
                if fact.page == "/private" or (known and (fact.name, fact.page) not in known):
                    raise Violation("a fact is what was sent", str(fact))
                if (hour, fact.id) not in seen:
                    seen.add((hour, fact.id))
                    yield fact._replace(id=f"{hour.replace('/', '-')}/{fact.id}")

    def _is_merged(self, key: str, raw: Stored) -> bool:
        """Whether a batch that came again is in its hour's object."""
        hour = key.removeprefix("raw/").rpartition("/")[0]
        found = self._world.s3.buckets[self._bucket].get(f"compact/{hour}.ndjson.gz")
        return found is not None and set(_lines(raw)).issubset(_lines(found))

    def _check_promises(self) -> None:
        kept = {(fact.site, fact.id.partition("/")[2]) for fact in self._compacted()}
        for key in sorted(self.asked.promised - kept):
            if key not in self.facts and key[0] not in self.deleted:
                raise Violation("what is accepted is kept", str(key))

    def _check_pointers(self) -> None:
        # Where lanes have grown there may be a second one, which nobody follows.
        ways: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
        for (pk, id), item in self._pointers.items():
            ways[pk.rpartition("#")[0], id].add(int(item["to"]["N"]))
        for (minute, id), times in ways.items():
            site = minute.rpartition("#")[0]
            fact = self.facts.get((site, id))
            if fact is None and site in self.deleted:
                continue  # Whoever wrote the pointer died, and nobody came back to a deleted site.
            if fact is None or fact[1].at not in times:
                raise Violation("a pointer leads to its fact", f"{id} at {minute}: {times} {fact}")

    def _is_gone(self, site: str) -> bool:
        """Whether the ledger may have nothing of a site any more."""
        return site in self.deleted and self.define(site).ledger == BULK

    def _items(self, prefix: str) -> Iterator[Item]:
        for item in self._world.dynamodb.tables[self.rollups].everything():
            if item["pk"]["S"].startswith(prefix):
                yield item

    def _check_rows(self, wanted: Mapping[tuple[str, str, str, str], Any]) -> None:
        left = dict(wanted)
        totals: defaultdict[tuple[str, str, int], Counter[str]] = defaultdict(Counter)
        for item in self._items("row#"):
            _, site, rollup, value = item["pk"]["S"].split("#", 3)
            day = item["sk"]["S"]
            if self._is_gone(site):
                continue
            cells = {
                place: cell[1:4]
                for place, cell in decode_cells(item["c"]["B"]).items()
                if any(cell[1:4])
            }
            if not cells:
                continue  # Of what was counted twice, or otherwise, before compaction.
            told = left.pop((site, rollup, value, day), None)
            said = cells, item["u"]["B"]
            if told and self.define(site).ledger == BULK:
                # Whoever was counted before compaction stays in the set of the day's visitors.
                told = told[0], merge([told[1], said[1]])
            if said != told:
                raise Violation("rows are what the ledger says", f"{item['pk']} {said}: {told}")
            for place, (events, _, visitors) in cells.items():
                totals[site, day, place][rollup] += events
                if visitors > events:
                    raise Violation("no more visitors than events", f"{item['pk']}: {cells}")
        if left:
            raise Violation("rows are what the ledger says", f"there is no {next(iter(left))}")
        for hour, sums in totals.items():
            if sums["name"] != sums["all"] or sums["country"] > sums["all"]:
                raise Violation("a dimension sums up to the total", f"{hour}: {sums}")

    def _check_tops(self, wanted: Mapping[tuple[str, str, str, str], Any]) -> None:
        left: defaultdict[tuple[str, str, str], dict[str, Any]] = defaultdict(dict)
        for (site, rollup, value, day), (cells, visitors) in wanted.items():
            if rollup != "all":
                events, views = (sum(cell[place] for cell in cells.values()) for place in (0, 1))
                left[site, rollup, day][value] = events, views, estimate(visitors)
        for item in self._items("top#"):
            _, site, rollup = item["pk"]["S"].split("#", 2)
            if self._is_gone(site):
                continue
            entries = _read_top(item).entries
            # In the bulk ledger visitors are as in rows: perhaps some more than there were.
            known = 2 if self.define(site).ledger == BULK else 3
            said = {value: entry[:known] for value, entry in entries.items() if entry.events}
            expected = left.pop((site, rollup, item["sk"]["S"]), {})
            told = {value: numbers[:known] for value, numbers in expected.items()}
            if said != told:
                raise Violation("lists are what rows say", f"{item['pk']} {said}: {told}")
        if left:
            raise Violation("lists are what rows say", f"there is no {next(iter(left))}")

    def expire(self) -> int:
        """What DynamoDB does in time: deletes segments that are due to go; gives how many."""
        due = [
            {"pk": item["pk"], "sk": item["sk"]}
            for item in self._items("minute#")
            if int(item["gone_at"]["N"]) * 1000 < self._world.now
        ]
        self.expiring, self._world.calling = True, None
        for key in due:
            self._world.dynamodb.call("DeleteItem", {"TableName": self.rollups, "Key": key})
        self.expiring = False
        if due:
            self._world.coverage.hit("rows", "expired segments")
        return len(due)


CLICKERS = ("aaaa", "bbbb")
"""The digests by which a shortener tells its visitors."""


def _rows(
    site: str, counted: Counted, define: Definition
) -> dict[tuple[str, str, str, str], tuple[dict[int, Any], bytes]]:
    rows = {}
    for (rollup, value), days in counted.days.items():
        for day, visitors in days.items():
            first = _hour(day)
            numbers = counted.hours[rollup, value]
            cells = {h - first: cell for h, cell in numbers.items() if first <= h < first + 24}
            rows[site, rollup, value, day] = cells, sketch(visitors)
    return rows


def _lines(stored: Stored) -> list[str]:
    return gzip.decompress(stored.content).decode().splitlines()


def _hour(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) // 3600


def digest(salt: bytes, text: str) -> str:
    """A visitor, as §visitors of the README says."""
    return hmac.new(salt, text.encode(), hashlib.sha256).hexdigest()[:16]


def periods(at: int) -> list[str]:
    """The periods that a time is in."""
    day = datetime.fromtimestamp(at / 1000, UTC)
    monday = day - timedelta(days=day.weekday())
    return [f"day#{day:%F}", f"week#{monday:%F}", f"month#{day:%Y-%m}-01"]


def period_end(name: str) -> int:
    """When a period is over, in epoch ms."""
    kind, _, first = name.partition("#")
    start = datetime.fromisoformat(first).replace(tzinfo=UTC)
    after = {"day": start + timedelta(days=1), "week": start + timedelta(days=7)}.get(
        kind, (start + timedelta(days=31)).replace(day=1)
    )
    return int(after.timestamp()) * 1000
