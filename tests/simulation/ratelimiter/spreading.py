"""What must hold of leases and shards: who is served from memory, or from one bucket of several, is
held to bounds and laws, since nobody writes down all that is taken.

What is in a table is read off it as production keeps it: when each bucket will be full. What a
container has taken ahead is told in the same measure, as the time in which it refills (ns).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.simulation.ratelimiter.adjusting import adjusts
from tests.simulation.ratelimiter.outages import READS, WRITES, Outages
from tests.simulation.ratelimiter.rules import (
    MILLI,
    Asked,
    Check,
    Counted,
    CountsAs,
    Owner,
    Rule,
    Rules,
)
from tests.simulation.world import Container, Invocation, Served, Violation, World, physical
from tests.support.cloud.dynamodb import Change, Item

SPREAD = "fair"
"""The tenant whose rules lease and have shards."""
CHECKS = "POST /v1/check"
LEASE_LIFE_MS = 1000
TRUSTED_MS = 1000
"""For so long a container believes a denial without asking."""
CROWDED, TRIES = 1, 5
"""Seconds to wait for who lost against others, so many times."""


class Stood(NamedTuple):
    """When a bucket will be full (ns), from a true time on (ms)."""

    since: int
    full: int


class Admitted(NamedTuple):
    """A check that was let through: when it began (true ms), its cost, and by which rule."""

    begun: int
    cost: int
    rule: Rule


class Wrote(NamedTuple):
    """When somebody read the clock and when he wrote, in true time (ms)."""

    begun: int
    at: int


@dataclass
class Pocket:
    """What a container may have taken ahead of a limit, at most: since a true time (ms), so much,
    all refilled by a time of its clock; by which versions of the rule."""

    since: int = 0
    ahead: int = 0
    refilled: int = 0
    versions: set[Rule] = field(default_factory=set)


class Bucket(NamedTuple):
    """Where a limit, or a share of it, is counted: whose it is, and in which attribute."""

    owner: Owner
    counts_as: CountsAs
    attribute: str

    @property
    def place(self) -> Counted:
        """The whole limit."""
        return self.owner._replace(shard=None), self.counts_as


class Spread:
    """The oracle of one run."""

    def __init__(self, world: World, rules: Rules, outages: Outages) -> None:
        self._world = world
        self._rules = rules
        self._outages = outages
        self._table = physical(world.deployed.names, "RatelimiterBuckets")
        self._buckets: defaultdict[str, set[Bucket]] = defaultdict(set)
        self._stood: defaultdict[Bucket, list[Stood]] = defaultdict(lambda: [Stood(0, 0)])
        self._pockets: defaultdict[tuple[str, Counted], Pocket] = defaultdict(Pocket)
        self._took: defaultdict[str, Counter[Counted]] = defaultdict(Counter)
        self._wrote: defaultdict[Counted, list[Wrote]] = defaultdict(list)
        self._given: defaultdict[Counted, list[tuple[int, int]]] = defaultdict(list)
        self._admitted: defaultdict[Counted, list[Admitted]] = defaultdict(list)
        world.watchers.append(self._watch)
        world.served.append(self._served)

    def has(self, key: str) -> bool:
        """Whether it looks at this bucket."""
        return key in self._buckets

    # ---- What is written ----------------------------------------------------------------------

    def _watch(self, change: Change) -> None:
        if change.table != self._table:
            return
        container = self._world.calling
        if container is not None:
            self._look_at(self._rules.check(container))
        for bucket in sorted(self._buckets.get((change.new or change.old)["pk"]["S"], ())):
            old, new = _full(change.old, bucket), _full(change.new, bucket)
            if container is None:
                self._gone(bucket, old)
            else:
                self._written(container, bucket, old, new)
            self._stood[bucket].append(Stood(self._world.now, new))

    def _look_at(self, check: Check) -> None:
        for rule, owner in check.rules if check.asked.tenant == SPREAD else ():
            for bucket in _buckets(rule, owner):
                self._buckets[bucket.owner.key].add(bucket)

    def _gone(self, bucket: Bucket, full: int) -> None:
        if full > (self._world.now - self._world.weather.skew) * MILLI:
            raise Violation("what goes counts no more", f"{bucket} is full at {full}")

    def _written(self, container: Container, bucket: Bucket, old: int, new: int) -> None:
        check, place = self._rules.check(container), bucket.place
        rule = next((rule for rule, own in check.rules if bucket in _buckets(rule, own)), None)
        taken = new - max(old, check.clock)
        if old != new:
            self._wrote[place].append(Wrote(container.invocation.begun, self._world.now))
        if rule is None or self._took[check.id][place]:
            # By the way: it is not what the check is of, or that was counted already.
            if old != new:
                self._returned(container, place, check.clock, -taken)
                self._hit("leases", "given back later")
        elif adjusts(container.invocation):
            self._adjusted(check, rule, place)
        else:
            self._took[check.id][place] += 1
            self._taken(container, check, rule, place, taken)
            if new > check.clock + _deepest(rule):
                detail = f"{check.asked} by {rule} leaves {bucket} full at {new}"
                raise Violation("nothing is taken beyond a limit", detail)

    def _adjusted(self, check: Check, rule: Rule, place: Counted) -> None:
        now = self._world.now
        if check.asked.cost < 0:
            self._given[place].append((now, -check.cost(rule)))
        if rule.shards:
            self._hit("shards", "adjusted")
        elif any(
            pocket.ahead > 0 and now - pocket.since < LEASE_LIFE_MS
            for (_, whose), pocket in self._pockets.items()
            if whose == place
        ):
            self._hit("leases", "adjusted while out")

    def _taken(
        self, container: Container, check: Check, rule: Rule, place: Counted, taken: int
    ) -> None:
        """A check took, and perhaps gave back what was left of a lease, and took more ahead."""
        if rule.shards:
            return
        ahead = taken - check.cost(rule) * rule.terms.interval
        if ahead and not _leases(check):
            raise Violation("only who leases takes ahead", f"{check.asked} by {rule}: {taken}")
        pocket = self._pockets[container.name, place]
        if ahead < 0:
            self._returned(container, place, check.clock, -ahead)
            self._hit("leases", "given back with a check")
        elif ahead:
            pocket.ahead += ahead
            self._hit("leases", "taken ahead")
        if _leases(check):
            pocket.since = _decided_at(check, container)
            most = check.cost(rule) + rule.lease
            pocket.refilled = check.clock + most * rule.terms.interval
            pocket.versions.add(rule)

    def _returned(self, container: Container, place: Counted, clock: int, back: int) -> None:
        pocket = self._pockets[container.name, place]
        # Of two versions of a rule a container has two leases.
        if len(pocket.versions) < 2 and (back > pocket.ahead or clock + back > pocket.refilled):
            detail = f"{back} of {pocket} by {container.name} to {place} at {clock}"
            raise Violation("what goes back was taken, and has not refilled", detail)
        pocket.ahead -= back

    # ---- What is answered ---------------------------------------------------------------------

    def _served(self, served: Served) -> None:
        if served.route.key != CHECKS or served.answer.status not in (200, 429, 503):
            return
        container = served.container
        if Asked.of(served.invocation.event).tenant != SPREAD:
            return
        if self._rules.known_by(container, SPREAD) is None:
            return
        self._rules.check_fresh(container, SPREAD)
        check = self._rules.check(container)
        self._outages.note(container)
        match served.answer.status:
            case 200:
                self._allowed(check, served)
            case 429:
                self._denied(check, served)
            case 503:
                raise Violation("open lets through what cannot be counted", served.answer.text)

    def _allowed(self, check: Check, served: Served) -> None:
        rows = served.answer.json()["limits"]
        if [row["rule"] for row in rows] != [rule.name for rule, _ in check.rules]:
            raise Violation("every rule that fits is gone by", served.answer.text)
        for (rule, owner), row in zip(check.rules, rows, strict=True):
            if row["allowed"] is None:
                if not self._outages.excuse(served):
                    raise Violation("where it can be counted it is", served.answer.text)
            else:
                self._counted(check, rule, owner, row, served)

    def _counted(
        self, check: Check, rule: Rule, owner: Owner, row: Mapping[str, Any], served: Served
    ) -> None:
        if not row["allowed"]:
            raise Violation("what a limit refuses is not let through", served.answer.text)
        if not 0 <= row["remaining"] <= rule.terms.at_once:
            raise Violation("what remains is neither negative nor above the limit", str(row))
        place, invocation = (owner, rule.counts_as), served.invocation
        if not self._took[check.id][place]:
            self._from_memory(check, rule, place, served)
        elif rule.shards:
            tries = sum(invocation.calls.count(name) for name in WRITES)
            self._hit("shards", "first" if tries == 1 else "second, or again")
            if len(check.together) > 1:
                self._hit("shards", "beside another limit")
        self._admitted[place].append(Admitted(invocation.begun, check.cost(rule), rule))

    def _from_memory(self, check: Check, rule: Rule, place: Counted, served: Served) -> None:
        pocket = self._pockets[served.container.name, place]
        cost = check.cost(rule) * rule.terms.interval
        if not rule.lease or not _leases(check):
            raise Violation("nobody is let through uncounted", f"{check.asked} by {rule}")
        if _decided_at(check, served.container) - pocket.since >= LEASE_LIFE_MS:
            raise Violation("a lease serves as long as it lives", f"{check}: {pocket}")
        if cost > pocket.ahead:
            raise Violation("a lease serves what was taken ahead", f"{check}: {pocket}")
        pocket.ahead -= cost
        self._hit("leases", "served")

    def _denied(self, check: Check, served: Served) -> None:
        by_name = {rule.name: (rule, owner) for rule, owner in check.rules}
        names = [each["field"] for each in served.answer.json()["errors"]]
        if not set(names) <= by_name.keys() or self._took[check.id]:
            raise Violation("who is denied changes nothing", served.answer.text)
        headers = served.answer.headers
        if int(headers.get("x-ratelimit-remaining", 0)) < 0:
            raise Violation("what remains is neither negative nor above the limit", str(headers))
        refusing = [by_name[name] for name in names]
        if "retry-after" not in headers:
            if not any(check.cost(rule) > _least(rule) for rule, _ in refusing):
                raise Violation("what is never there is refused for good", served.answer.text)
            self._hit("shards", "impossible")
            return
        # Who is to wait for shards is to wait until each has room.
        waits = any(rule.shards for rule, _ in refusing) or int(headers["retry-after"]) == CROWDED
        crowded = waits and self._lost(served.invocation)
        # Another is asked where nothing but shards refuses.
        several = all(rule.shards for rule, _ in refusing)
        for rule, owner in refusing:
            empty = self._empty(check, rule, owner, served.invocation.begun)
            if empty < (2 if several else 1) and not crowded:
                raise Violation("a denial is the table's", f"{check.asked} by {rule}, {empty}")
            self._how(rule, served.invocation)

    def _lost(self, invocation: Invocation) -> bool:
        return sum(invocation.calls.count(name) for name in WRITES) >= TRIES

    def _empty(self, check: Check, rule: Rule, owner: Owner, begun: int) -> int:
        """Of how many buckets of a limit the table said, since a container may have looked, that
        they cannot pay."""
        found = 0
        for bucket in _buckets(rule, owner):
            stood = self._stood[bucket]
            first = max(n for n, each in enumerate(stood) if each.since <= begun - TRUSTED_MS)
            full = check.clock + (_least(rule) - check.cost(rule)) * _fastest(rule)
            found += any(each.full > full for each in stood[first:])
        return found

    def _how(self, rule: Rule, invocation: Invocation) -> None:
        asked = {*WRITES, *READS}.intersection(invocation.calls)
        group = "shards" if rule.shards else "leases" if rule.lease else "beside"
        self._hit(group, "denied by the table" if asked else "known to be denied")

    def _hit(self, *cell: str) -> None:
        self._world.coverage.hit(*cell)

    # ---- In the end ---------------------------------------------------------------------------

    def settled(self) -> None:
        """No stretch of time saw more admitted than its bound, whenever it began."""
        for place, admitted in self._admitted.items():
            every = sorted(admitted)
            for first, oldest in enumerate(every):
                total, rules = 0, set()
                for each in every[first:]:
                    total += each.cost
                    rules.add(each.rule)
                    if total > self._bound(place, rules, oldest.begun, each.begun):
                        detail = f"{place}: {total} from {oldest} to {each}"
                        raise Violation("no stretch of time sees more than its bound", detail)

    def _bound(self, place: Counted, rules: set[Rule], since: int, until: int) -> float:
        """The most of a stretch (true ms) in which a rule had these versions."""
        late, leased = 0, any(rule.lease for rule in rules)
        if leased:
            # What is spent was taken before. Clocks are off by as much as a write takes, too.
            since -= LEASE_LIFE_MS
            writes = self._within(place, since, until)
            late = max((wrote.at - wrote.begun for wrote in writes), default=0)
        passed = (until - since + 2 * self._world.weather.skew + late) * MILLI
        intervals = [rule.terms.window / rule.terms.amount for rule in rules]
        pairs = zip(rules, intervals, strict=True)
        depth = max(rule.terms.burst * interval for rule, interval in pairs)
        given = sum(cost for at, cost in self._given[place] if at >= since)
        return (depth + passed) / min(intervals) + given

    def _within(self, place: Counted, since: int, until: int) -> Iterator[Wrote]:
        return (each for each in self._wrote[place] if each.at >= since and each.begun <= until)


def _buckets(rule: Rule, owner: Owner) -> list[Bucket]:
    """Where a rule is counted."""
    shards = range(rule.shards) if rule.shards else [None]
    return [Bucket(owner._replace(shard=shard), rule.counts_as, f"t_{rule.id}") for shard in shards]


def _leases(check: Check) -> bool:
    """Whether it may be served from what was taken ahead: all is of one bucket, and leases."""
    return len(check.together) == 1 and all(rule.lease for rule, _ in check.rules)


def _full(item: Item, bucket: Bucket) -> int:
    return int(item.get(bucket.attribute, {"N": "0"})["N"])


def _least(rule: Rule) -> int:
    """What each bucket of a rule holds at least."""
    return rule.terms.burst // max(1, rule.shards)


def _fastest(rule: Rule) -> int:
    """How long a token takes at least, in each bucket of a rule."""
    return -(-rule.terms.window // -(-rule.terms.amount // max(1, rule.shards)))


def _deepest(rule: Rule) -> int:
    """How long each bucket of a rule takes at most until it is full."""
    shards = max(1, rule.shards)
    return -(-rule.terms.burst // shards) * -(-rule.terms.window // (rule.terms.amount // shards))


def _decided_at(check: Check, container: Container) -> int:
    """The true time (ms) of a check's clock."""
    return check.clock // MILLI - container.skew
