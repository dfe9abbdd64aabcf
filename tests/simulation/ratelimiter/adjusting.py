"""What must hold of adjustments: of each write and of each answer.

A charge or a refund is one transaction with its mark, and happens once; what it makes of each limit
is counted beside production, in counting.py. A release gives back the slots of one check, and of no
other. Of limits that are not counted exactly, the marks alone are looked at.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.simulation.ratelimiter.counting import SECOND, Meter, remaining
from tests.simulation.ratelimiter.rules import Check, Counted, Owner, Rule, Rules
from tests.simulation.ratelimiter.standing import Standing
from tests.simulation.world import Container, Invocation, Served, Violation, World, physical
from tests.support.cloud.dynamodb import Change

ADJUSTS = "POST /v1/adjust"
MARK = "once#"
ATTEMPTS = 5
"""Transactions of one adjustment, each over what somebody has meanwhile changed."""

Key = tuple[str, str, str]
"""A tenant, who calls for it, and an idempotency key."""


def adjusts(invocation: Invocation) -> bool:
    """Whether somebody adjusts, rather than checks."""
    return bool(invocation.event["routeKey"] == ADJUSTS)


@dataclass
class _Turn:
    """What one turn writes: `due` are the buckets that it has still to write, where that is known,
    and `marked` is whether it has left its mark."""

    step: int
    check: Check
    due: set[Owner]
    marked: bool = False


class Adjustments:
    """The oracle of one run; `inexact` is whose limits are not counted exactly."""

    def __init__(self, world: World, rules: Rules, standing: Standing, inexact: str) -> None:
        self._world = world
        self._rules = rules
        self._standing = standing
        self._inexact = inexact
        self._table = physical(world.deployed.names, "RatelimiterBuckets")
        self._turn: _Turn | None = None
        self._changed: defaultdict[str, list[tuple[Counted, int]]] = defaultdict(list)
        """By invocation, which limits it changed, and when."""
        self._done: dict[Key, tuple[str, Any]] = {}
        """By which invocation, and what it said."""
        world.watchers.append(self._watch)
        world.served.append(self._served)

    # ---- What is written ----------------------------------------------------------------------

    def _watch(self, change: Change) -> None:
        if change.table != self._table:
            return
        self.settled()
        key = (change.new or change.old)["pk"]["S"]
        if not change.new and key.startswith(MARK):
            raise Violation("a mark stays for two days", key)
        container = self._world.calling
        if container is None or not adjusts(container.invocation):
            return
        check = self._rules.check(container)
        if check.asked.slot is not None:
            self._free(container, check, key)
        else:
            self._adjust(container, check, change)

    def _adjust(self, container: Container, check: Check, change: Change) -> None:
        key = change.new["pk"]["S"]
        turn = self._turn = self._turn or self._begun(container, check)
        if key.startswith(MARK):
            self._mark(container.invocation)
            turn.marked = True
        elif check.asked.tenant != self._inexact:
            by_key = {owner.key: owner for _, owner in check.rules}
            if key not in by_key or self._always(container, check):
                raise Violation("what is adjusted are limits of who is named", f"{check}: {key}")
            turn.due.discard(by_key[key])
            self._change(container, check, by_key[key], change)

    def _begun(self, container: Container, check: Check) -> _Turn:
        step = self._world.scheduler.step
        if check.asked.tenant == self._inexact or self._always(container, check):
            return _Turn(step, check, set())
        begun = container.invocation.begun
        due = {owner for rule, owner in check.rules if not self._spared(check, rule, owner, begun)}
        return _Turn(step, check, due)

    def _always(self, container: Container, check: Check) -> bool:
        """Whether it is of somebody who is always allowed, and so has taken nothing."""
        book = self._rules.known_by(container, check.asked.tenant)
        return book is not None and book.standing(check.asked) == "allowed"

    def _spared(self, check: Check, rule: Rule, owner: Owner, begun: int) -> bool:
        """Whether a limit had nothing to adjust at some time since it was asked for. What others
        took after that is not meant."""
        stood = self._standing.since(owner, rule, begun)
        return any(self._adjusted(check, rule, meter) is meter for meter in stood)

    def _adjusted(self, check: Check, rule: Rule, meter: Meter) -> Meter:
        return meter.adjust(rule.terms, check.clock, check.cost(rule))

    def _change(self, container: Container, check: Check, owner: Owner, change: Change) -> None:
        for rule in check.of(owner):
            meter = self._standing.meter(owner, rule)
            after = self._adjusted(check, rule, meter)
            if not _touched(change, rule):
                if not self._spared(check, rule, owner, container.invocation.begun):
                    raise Violation("every limit is adjusted", f"{check.asked} by {rule}: {meter}")
                continue
            if after is meter:
                raise Violation("what stays as it is is not written", f"{check.asked} by {rule}")
            self._changes(check, owner, rule, after)
            if check.asked.cost < 0:
                self._standing.given(owner, rule, -check.cost(rule))
            self._hit(rule.terms.algorithm, "charged" if check.asked.cost > 0 else "given back")
        self._standing.wrote(container, owner)

    def _mark(self, invocation: Invocation) -> None:
        key, content = _key(invocation), json.loads(invocation.event["body"])
        if key in self._done:
            raise Violation("an adjustment happens once", f"{key}: {content}")
        self._done[key] = invocation.id, content

    def _free(self, container: Container, check: Check, key: str) -> None:
        by_key = {owner.key: owner for rule, owner in check.rules if rule.holds}
        holder = self._holder(check)
        freed = 0
        for rule in check.of(by_key[key]) if key in by_key else []:
            meter = self._standing.meter(by_key[key], rule)
            after = meter.free(check.clock, holder)
            if after is not meter:
                self._changes(check, by_key[key], rule, after)
                freed += 1
        if not freed:
            raise Violation("who holds no slot frees none", f"{check.asked} of {holder}")
        self._standing.wrote(container, by_key[key])
        self._world.coverage.hit("slots", "freed")

    def _changes(self, check: Check, owner: Owner, rule: Rule, after: Meter) -> None:
        self._standing.change(owner, rule, after)
        self._changed[check.id].append(((owner, rule.counts_as), self._world.now))

    def _holder(self, check: Check) -> str:
        """Which check was told the slot; nobody's where nobody was."""
        return self._standing.holders.get(check.asked.slot or "", "")

    def settled(self) -> None:
        """Once a turn is over, all of it is done."""
        turn = self._turn
        if turn is None or turn.step == self._world.scheduler.step:
            return
        self._turn = None
        if turn.due or not turn.marked:
            raise Violation("an adjustment is whole, and leaves its mark", str(turn))

    # ---- What is answered ---------------------------------------------------------------------

    def _served(self, served: Served) -> None:
        if served.route.key != ADJUSTS:
            return
        self.settled()
        match served.answer.status:
            case 200:
                self._acknowledged(served)
            case 409:
                self._given_up(served.invocation)
            case 422 if served.answer.json()["type"].endswith("idempotency_key_reused"):
                self._refused(served.invocation)

    def _acknowledged(self, served: Served) -> None:
        container, invocation = served.container, served.invocation
        check = self._rules.check(container)
        self._rules.check_fresh(container, check.asked.tenant)
        # What it adjusted itself, it sees at once.
        for place, at in self._changed[check.id]:
            self._standing.see(container.name, place, at)
        if check.asked.slot is not None:
            self._freed(check, invocation)
        else:
            content = json.loads(invocation.event["body"])
            by, done = self._done.get(_key(invocation), ("", None))
            if done != content:
                detail = f"{content}, but {done}"
                raise Violation("an adjustment that is acknowledged has happened", detail)
            self._how(check, container, by)
        if check.asked.tenant != self._inexact:
            self._told(check, served)

    def _freed(self, check: Check, invocation: Invocation) -> None:
        holder = self._holder(check)
        for rule, owner in check.rules:
            meter = self._standing.meter(owner, rule)
            if meter.free(check.clock, holder) is not meter:
                raise Violation("a slot that was given back is free", f"{check.asked} by {rule}")
        if not self._standing.took[invocation.id]:
            self._world.coverage.hit("slots", "nothing to free" if holder else "nobody's")

    def _how(self, check: Check, container: Container, by: str) -> None:
        took = self._standing.took[check.id]
        if by != check.id:
            self._hit("repeated")
        elif self._always(container, check):
            self._hit("of somebody who is always allowed")
        elif len(took) > 1:
            self._hit("of several identities")
        elif not took and check.asked.tenant != self._inexact:
            self._hit("nothing to give back")
        if container.invocation.calls.count("TransactWriteItems") > 1:
            self._hit("tried again")

    def _told(self, check: Check, served: Served) -> None:
        """What remains of each limit is what remained at some time since it was asked for."""
        holds = check.asked.slot is not None
        always = not holds and self._always(served.container, check)
        pairs = [] if always else [pair for pair in check.rules if pair[0].holds == holds]
        rows = served.answer.json()["limits"]
        told = [(row["rule"], row["limit"], row["window_seconds"] * SECOND) for row in rows]
        if told != [(rule.name, rule.terms.amount, rule.terms.window) for rule, _ in pairs]:
            raise Violation("every limit is told that is adjusted", served.answer.text)
        for (rule, owner), row in zip(pairs, rows, strict=True):
            self._stands(check, rule, owner, row, served.invocation)

    def _stands(
        self,
        check: Check,
        rule: Rule,
        owner: Owner,
        row: Mapping[str, Any],
        invocation: Invocation,
    ) -> None:
        stood = self._standing.since(owner, rule, invocation.begun)
        left = {remaining(meter, rule.terms, check.clock) for meter in stood}
        if row["remaining"] not in left or row["allowed"] != (row["remaining"] > 0):
            raise Violation("who adjusts is told how limits stand", f"{rule}: {row}, {left}")
        if not row["remaining"] and check.asked.cost > 0 and not rule.holds:
            self._hit("used up")

    def _given_up(self, invocation: Invocation) -> None:
        tries = sum(invocation.calls.count(name) for name in ("TransactWriteItems", "UpdateItem"))
        if tries < ATTEMPTS:
            raise Violation("who meets others tries again", str(invocation.calls))
        self._hit("given up")

    def _refused(self, invocation: Invocation) -> None:
        content = json.loads(invocation.event["body"])
        _, done = self._done.get(_key(invocation), ("", content))
        if done == content:
            raise Violation("a key is refused to another adjustment alone", str(content))
        self._hit("another by the same key")

    def _hit(self, *what: str) -> None:
        self._world.coverage.hit("adjustments", *what)


def _key(invocation: Invocation) -> Key:
    claims = invocation.event["requestContext"]["authorizer"]["jwt"]["claims"]
    key = invocation.event["headers"]["idempotency-key"]
    return claims["custom:tenant"], claims["sub"], key


def _touched(change: Change, rule: Rule) -> bool:
    """Whether a limit is another after it."""
    names = [name for name in {*change.old, *change.new} if name.endswith(f"_{rule.id}")]
    return any(change.old.get(name) != change.new.get(name) for name in names)
