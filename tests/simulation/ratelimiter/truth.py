"""What must hold of buckets: of each write, of each answer to a check, of all that was admitted.

Everything is counted again from what reached the table, in the order in which it did, by the clock
of the container that wrote it (see counting.py); so a check that was denied must have been over its
limit, and one that took must not have been.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tests.simulation.ratelimiter.adjusting import MARK, adjusts
from tests.simulation.ratelimiter.counting import SECOND, Meter, Terms, bound, queued, remaining
from tests.simulation.ratelimiter.outages import READS, WRITES, Outages
from tests.simulation.ratelimiter.rules import MILLI, Asked, Check, Counted, Owner, Rule, Rules
from tests.simulation.ratelimiter.spreading import SPREAD
from tests.simulation.ratelimiter.standing import Standing
from tests.simulation.world import Invocation, Served, Violation, World, physical
from tests.support.cloud.dynamodb import Change

CHECKS = "POST /v1/check"
TRUSTED_MS = 1000
"""For so long a container believes a denial without asking."""
TRIES = 5
"""Updates that a check makes at most of the same."""
CROWDED = 1
"""Seconds that who lost against others too often is told to wait."""


class Admitted(NamedTuple):
    """A check that was let through: when it began and when it wrote (true ms), its cost."""

    begun: int
    wrote: int
    cost: int
    terms: Terms


Denials = Sequence[tuple[Rule, list[Meter]]]
"""Rules that refuse, each with all that it stood at when it did."""


class Truth:
    """The oracle of one run; `elsewhere` says of a bucket's key that others look at it."""

    def __init__(
        self,
        world: World,
        rules: Rules,
        standing: Standing,
        outages: Outages,
        elsewhere: Callable[[str], bool],
    ) -> None:
        self._world = world
        self._rules = rules
        self._standing = standing
        self._outages = outages
        self._elsewhere = elsewhere
        self._table = physical(world.deployed.names, "RatelimiterBuckets")
        self._writing: tuple[int, Check, set[Owner]] | None = None
        self._admitted: defaultdict[Counted, list[Admitted]] = defaultdict(list)
        world.watchers.append(self._watch)
        world.served.append(self._served)

    # ---- What is written ----------------------------------------------------------------------

    def _watch(self, change: Change) -> None:
        key = (change.new or change.old)["pk"]["S"]
        if change.table != self._table or key.startswith(MARK) or self._elsewhere(key):
            return
        self._all_or_none()
        if not change.new:
            self._standing.forgotten(change.old)
            return
        container = self._world.calling
        assert container is not None, "only containers write buckets"
        if adjusts(container.invocation):
            return
        check = self._rules.check(container)
        by_key = {owner.key: owner for _, owner in check.rules}
        if key not in by_key:
            raise Violation("a check takes of those whom it names", f"{check.asked}: {key}")
        owner = by_key[key]
        for rule in check.of(owner):
            self._take(check, rule, owner)
        self._standing.wrote(container, owner)
        if not owner.apart:
            owners = self._writing[2] if self._writing else set()
            self._writing = self._world.scheduler.step, check, {*owners, owner}

    def _take(self, check: Check, rule: Rule, owner: Owner) -> None:
        meter, terms = self._standing.meter(owner, rule), rule.terms
        cost = check.cost(rule)
        if not meter.allows(terms, check.clock, cost):
            detail = f"{cost} by {rule} of {owner} at {check.clock}, where {meter}"
            raise Violation("nothing is taken beyond a limit", detail)
        if rule.holds and meter.counts(terms, 0) and not meter.counts(terms, check.clock):
            self._world.coverage.hit("slots", "ran out")
        self._hit(terms.algorithm, meter.branch(terms, check.clock), "taken")
        self._standing.change(owner, rule, meter.take(terms, check.clock, cost, check.id))

    def _all_or_none(self) -> None:
        """Once a turn is over, it has taken of everybody that it was to take from."""
        if self._writing is None or self._writing[0] == self._world.scheduler.step:
            return
        _, check, owners = self._writing
        self._writing = None
        if owners != check.together:
            raise Violation("all limits are taken or none", f"{check.asked}: {owners}")
        self._world.coverage.hit("checks", f"of {len(owners)} identities")
        if any(len(check.of(owner)) > 1 for owner in owners):
            self._world.coverage.hit("checks", "of several limits of one")

    def expire(self) -> None:
        """What DynamoDB does in time: deletes items that are due to go."""
        self._world.calling = None
        for item in list(self._world.dynamodb.tables[self._table].everything()):
            if int(item["gone_at"]["N"]) * 1000 < self._world.now:
                self._world.coverage.hit("buckets", "expired")
                key = {"TableName": self._table, "Key": {"pk": item["pk"]}}
                self._world.dynamodb.call("DeleteItem", key)

    # ---- What is answered ---------------------------------------------------------------------

    def _served(self, served: Served) -> None:
        if served.route.key != CHECKS or served.answer.status not in (200, 403, 429, 503):
            return
        invocation, container = served.invocation, served.container
        tenant = Asked.of(invocation.event).tenant
        if tenant == SPREAD:
            return
        book = self._rules.known_by(container, tenant)
        if book is None:
            if served.answer.status != 503:
                raise Violation("nobody is told of rules that nobody read", served.answer.text)
            self._world.coverage.hit("checks", "without rules")
            return
        self._rules.check_fresh(container, tenant)
        check = self._rules.check(container)
        if standing := book.standing(check.asked):
            self._listed(standing, served)
            return
        self._outages.note(container)
        looks = {200: self._allowed, 429: self._denied, 503: self._refused}
        if served.answer.status not in looks:
            raise Violation("nobody is denied whom no list names", f"{check.asked}")
        looks[served.answer.status](check, invocation, served)

    def _listed(self, standing: str, served: Served) -> None:
        """Who is on a list is let through, or not, and neither is counted."""
        expected = {"denied": 403, "allowed": 200}[standing]
        took = self._standing.took[served.invocation.id]
        counted = served.answer.json().get("limits") if expected == 200 else None
        if served.answer.status != expected or took or counted:
            raise Violation("lists come before rules", f"{standing}: {served.answer.text}")
        self._world.coverage.hit("lists", standing)

    def _allowed(self, check: Check, invocation: Invocation, served: Served) -> None:
        rows = served.answer.json()["limits"]
        self._slots(check, invocation, served.answer.json())
        told = [
            (row["rule"], row["limit"], row["window_seconds"] * SECOND, row["shadow"])
            for row in rows
        ]
        fit = [(r.name, r.terms.amount, r.terms.window, r.shadow) for r, _ in check.rules]
        if told != fit:
            raise Violation("every rule that fits is gone by", f"{check}: {served.answer.text}")
        for (rule, owner), row in zip(check.rules, rows, strict=True):
            if row["allowed"] is None:
                self._uncounted(rule, served)
            elif row["allowed"]:
                self._counted(check, rule, owner, invocation, row)
            elif not rule.shadow:
                raise Violation("what a limit refuses is not let through", served.answer.text)
            else:
                self._shadowed(check, rule, owner, invocation)

    def _slots(self, check: Check, invocation: Invocation, body: Mapping[str, Any]) -> None:
        """Who may have taken what is in flight is told one slot, that nobody else was told."""
        holding = {rule.name for rule, _ in check.rules if rule.holds}
        asked = bool({*WRITES, *READS}.intersection(invocation.calls))
        due = [
            row
            for row in body["limits"]
            if row["rule"] in holding and (asked if row["allowed"] is None else row["allowed"])
        ]
        slots = {row.get("slot") for row in due} | ({body["slot"]} if "slot" in body else set())
        if len(slots) != bool(due) or None in slots or slots & self._standing.holders.keys():
            raise Violation("who holds a slot is told it", f"{check.asked}: {body}")
        self._standing.holders.update(dict.fromkeys(slots, check.id))
        if any(row["allowed"] is None for row in due):
            self._world.coverage.hit("slots", "told, though not counted")

    def _uncounted(self, rule: Rule, served: Served) -> None:
        if not self._outages.excuse(served):
            raise Violation("where it can be counted it is", f"{rule}: {served.answer.text}")
        if rule.closed and not rule.shadow:
            raise Violation("closed lets nobody through uncounted", str(rule))
        self._world.coverage.hit("fail", "shadow" if rule.shadow else "open")

    def _counted(
        self,
        check: Check,
        rule: Rule,
        owner: Owner,
        invocation: Invocation,
        row: Mapping[str, Any],
    ) -> None:
        own = [took for took in self._standing.took[invocation.id] if took.owner == owner]
        if not own:
            raise Violation("nobody is let through uncounted", f"{check.asked} by {rule}")
        if len(own) > 1:
            raise Violation("a check is counted once", f"{check.asked} by {rule}")
        place, terms, told = (owner, rule.counts_as), rule.terms, row["remaining"]
        if not 0 <= told <= terms.at_once:
            raise Violation("what remains is neither negative nor above the limit", str(told))
        if owner.apart or len(check.together) == 1:
            # A transaction does not say what it led to.
            meter = self._standing.at(owner, rule, own[-1].at)
            left, delay = (
                remaining(meter, terms, check.clock),
                queued(meter, terms, check.cost(rule)),
            )
            if told != left:
                raise Violation("what remains is what could be taken", f"{rule}: {row}, {left}")
            if row.get("delay_ms", 0) != -(-delay // MILLI):
                raise Violation("who queues is told for how long", f"{rule}: {row}, {delay}")
        if rule.shadow:
            self._world.coverage.hit("checks", "shadow taken")
        else:
            admitted = Admitted(invocation.begun, own[-1].at, check.cost(rule), terms)
            self._admitted[place].append(admitted)

    def _shadowed(self, check: Check, rule: Rule, owner: Owner, invocation: Invocation) -> None:
        if rule not in check.impossible and not self._denials(check, rule, owner, invocation):
            self._excuse_crowd(check, {owner}, invocation)
        self._world.coverage.hit("checks", "shadow denied")

    def _denied(self, check: Check, invocation: Invocation, served: Served) -> None:
        by_name = {rule.name: (rule, owner) for rule, owner in check.rules}
        refusing = [by_name.get(each["field"]) for each in served.answer.json()["errors"]]
        if not all(refusing) or any(pair and pair[0].shadow for pair in refusing):
            raise Violation("what refuses are rules that fit", served.answer.text)
        if any(not took.owner.apart for took in self._standing.took[invocation.id]):
            raise Violation("who is denied changes nothing", served.answer.text)
        headers = served.answer.headers
        if int(headers.get("x-ratelimit-remaining", 0)) < 0:
            raise Violation("what remains is neither negative nor above the limit", str(headers))
        if impossible := [rule for rule in check.impossible if not rule.shadow]:
            if [pair[0] for pair in refusing if pair] != impossible or "retry-after" in headers:
                raise Violation("what is never there is refused for good", served.answer.text)
            if "x-ratelimit-remaining" in headers:
                raise Violation("nobody is told of what nobody looked at", str(headers))
            self._world.coverage.hit("checks", "impossible")
            return
        wait = int(headers.get("retry-after", 0))
        denials = [
            (rule, self._denials(check, rule, owner, invocation))
            for rule, owner in filter(None, refusing)
        ]
        if not all(found for _, found in denials) or not self._fits(check, denials, wait):
            if wait != CROWDED:
                raise Violation("who waits as long as told is allowed", served.answer.text)
            self._excuse_crowd(check, check.together, invocation)
            return
        self._how_it_was_known(check, denials, invocation)

    def _fits(self, check: Check, denials: Denials, wait: int) -> bool:
        """Whether who waits so long is allowed by every rule, and no sooner, in whole seconds."""

        def allowed(rule: Rule, meter: Meter, seconds: int) -> bool:
            return meter.allows(rule.terms, check.clock + seconds * SECOND, check.cost(rule))

        return all(
            any(allowed(rule, meter, wait) for meter in meters) for rule, meters in denials
        ) and any(
            not allowed(rule, meter, wait - 1) for rule, meters in denials for meter in meters
        )

    def _refused(self, check: Check, invocation: Invocation, served: Served) -> None:
        if not any(rule.closed and not rule.shadow for rule, _ in check.rules):
            raise Violation("open lets through what cannot be counted", served.answer.text)
        if not self._outages.excuse(served):
            raise Violation("where it can be counted it is", served.answer.text)
        took = [took for took in self._standing.took[invocation.id] if not took.owner.apart]
        if took and "lost_response" not in invocation.causes:
            raise Violation("who is denied changes nothing", f"{check.asked}: {took}")
        self._world.coverage.hit("fail", "closed, and taken" if took else "closed")

    # ---- Whether that is right ----------------------------------------------------------------

    def _denials(
        self, check: Check, rule: Rule, owner: Owner, invocation: Invocation
    ) -> list[Meter]:
        """Of all that the limit stood at since a container may have looked, what denies it."""
        seen = self._standing.seen(check.container, (owner, rule.counts_as))
        stood = self._standing.since(owner, rule, max(seen, invocation.begun - TRUSTED_MS))
        terms, cost = rule.terms, check.cost(rule)
        found = [meter for meter in stood if not meter.allows(terms, check.clock, cost)]
        if found:
            self._hit(terms.algorithm, found[-1].branch(terms, check.clock), "denied")
        return found

    def _excuse_crowd(self, check: Check, owners: set[Owner], invocation: Invocation) -> None:
        """Nothing was over: only who lost against others each time is turned away then."""
        tries = sum(invocation.calls.count(name) for name in WRITES)
        rivals = sum(
            took.owner in owners and took.at >= invocation.begun
            for id, every in self._standing.took.items()
            if id != invocation.id
            for took in every
        )
        # What a container knows of each of them may be old before anybody comes in between.
        losses = rivals + invocation.causes.count("conflict") + len(owners)
        if tries < TRIES or losses < TRIES:
            detail = f"{check} after {tries} tries and {rivals} of others, {invocation.causes}"
            raise Violation("who is denied is over the limit", detail)
        self._world.coverage.hit("checks", "crowded out")

    def _how_it_was_known(self, check: Check, denials: Denials, invocation: Invocation) -> None:
        calls = set(invocation.calls)
        way = "refused" if calls & {*WRITES} else "looked up" if calls & {*READS} else "known"
        self._world.coverage.hit("denials", way)
        if len(denials) < len([rule for rule, _ in check.rules if not rule.shadow]):
            self._world.coverage.hit("denials", "by some of several")

    def _hit(self, *cell: str) -> None:
        self._world.coverage.hit("algorithms", *cell)

    # ---- In the end ---------------------------------------------------------------------------

    def settled(self) -> None:
        """No stretch of time saw more admitted than its bound, whenever it began."""
        self._all_or_none()
        skew = self._world.weather.skew * MILLI
        for place, admitted in self._admitted.items():
            if place[1][1] == "concurrency":
                # What was given back counts no more, however short a time it was held.
                continue
            every = sorted(admitted)
            for first, oldest in enumerate(every):
                total, terms, late = 0, [], 0
                for each in every[first:]:
                    total += each.cost
                    terms.append(each.terms)
                    late = max(late, (each.wrote - each.begun) * MILLI)
                    passed = (each.begun - oldest.begun) * MILLI
                    back = self._standing.given_since(place, oldest.begun)
                    if total > bound(terms, passed, skew, late) + back:
                        detail = f"{place}: {total} in {passed / SECOND} s, {every[first:]}"
                        raise Violation("no stretch of time sees more than its bound", detail)
