"""Whether a request may go on: all limits that it comes under, taken at once or not at all."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from functions.edge.limits.algorithms import SECOND, Verdict
from functions.edge.limits.breaker import Breaker
from functions.edge.limits.buckets import SPARE_S, Buckets, Busy, Group, Taking
from functions.edge.limits.leases import Leases
from functions.edge.limits.memory import Memory
from functions.edge.limits.rules import Asked, Rule, bucket, fitting
from functions.edge.limits.shards import Shards

Fit = Sequence[tuple[Rule, str]]
"""Rules that fit a request, each with the kind of identity that it counts."""
Verdicts = dict[Rule, Verdict | None]

MILLI = 1_000_000
CROWDED = SECOND
"""Nanoseconds to wait for who does not come through to a bucket, since others do."""

IMPOSSIBLE = Verdict(False, 0, 0, 0)
"""Of what costs more than is ever there: nobody looked how much is there now."""


class Decision(NamedTuple):
    """What one rule says; None where nobody could be asked. What may have been taken of a rule that
    counts what is in flight is known by a `slot`."""

    rule: Rule
    verdict: Verdict | None
    slot: bytes | None = None

    @property
    def stands(self) -> Verdict | None:
        """The verdict, where somebody looked how the limit stands."""
        return None if self.verdict == IMPOSSIBLE else self.verdict

    @property
    def allows(self) -> bool:
        """Whether the request may go on, as far as this rule is concerned."""
        if self.rule.shadow:
            return True
        return not self.rule.closed if self.verdict is None else self.verdict.allowed


class Limiter:
    """The limits of one set of rules after the other, on the same buckets; `entropy` gives so many
    random bytes."""

    def __init__(
        self, buckets: Buckets | Memory, entropy: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._buckets = Leases(buckets)
        self._shards = Shards(buckets, entropy)
        self._breaker = Breaker()

    def check(self, scope: str, rules: Sequence[Rule], asked: Asked, now: int) -> list[Decision]:
        """What each rule that fits says, in the order of the rules; `now` is epoch ms.

        A cost above what a limit ever allows at once is refused by it for good: without a wait.
        """
        fit = fitting(rules, asked)
        # Of a table that is left alone nothing is taken.
        slot = None if self._breaker.open(now) else asked.slot
        impossible = {rule: IMPOSSIBLE for rule, _ in fit if asked.cost * rule.cost > rule.at_once}
        verdicts: dict[Rule, Verdict | None] = dict(impossible)
        # What refuses anyway takes nothing, and a shadow must not keep others from taking.
        live = [] if any(not rule.shadow for rule in impossible) else fit
        together = [(rule, kind) for rule, kind in live if not rule.shadow]
        request = _Request(scope, asked, now, forgotten(rules, now))
        verdicts.update(self._take(request, together))
        # A shadow tells what a rule would do: what others refuse, that would take nothing of it.
        if all(Decision(rule, verdicts[rule]).allows for rule, _ in together):
            for rule, kind in live:
                if rule.shadow and rule not in impossible:
                    verdicts.update(self._take(request, [(rule, kind)]))
        return [_decision(rule, verdicts[rule], slot) for rule, _ in fit if rule in verdicts]

    def _take(self, request: _Request, fit: Fit) -> Verdicts:
        if not fit:
            return {}
        sharded = [(rule, kind) for rule, kind in fit if rule.shards]
        chosen = self._choose(request, sharded, {})
        found = self._taken(request, fit, chosen)
        refusing = [(rule, kind) for rule, kind in fit if _refuses(found[rule])]
        if refusing and all(rule.shards for rule, _ in refusing):
            others = self._choose(request, refusing, chosen)
            if len(others) == len(refusing):
                found = self._taken(request, fit, {**chosen, **others})
        return {rule: request.until_all(rule, verdict) for rule, verdict in found.items()}

    def _choose(self, request: _Request, fit: Fit, tried: Mapping[Rule, int]) -> dict[Rule, int]:
        """A shard for each rule; of those that were tried another, where one may not be empty."""
        found = {}
        for rule, kind in fit:
            groups = partial(request.shard, rule, kind)
            now, last = request.now * MILLI, tried.get(rule)
            if (shard := self._shards.choose(rule.shards, groups, now, last)) is not None:
                found[rule] = shard
        return found

    def _taken(self, request: _Request, fit: Fit, shards: Mapping[Rule, int]) -> Verdicts:
        rules, groups = request.grouped(fit, shards)
        found: Sequence[Verdict | None] = self._asked(groups, request.now) or [None] * len(rules)
        return dict(zip(rules, found, strict=True))

    def _asked(self, groups: Sequence[Group], now: int) -> Sequence[Verdict] | None:
        """What the table says; None where it does not, or is not asked since it did not before."""
        if self._breaker.open(now):
            return None
        try:
            found: Sequence[Verdict] = self._buckets.take(groups, now * MILLI)
        except Busy:
            # Whoever made it busy was counted, so this is no reason to let anybody through.
            crowded = Verdict(False, 0, CROWDED, CROWDED)
            found = [crowded for group in groups for _ in group.takings]
        except (BotoCoreError, ClientError) as error:
            self._breaker.failed(error, now)
            return None
        self._breaker.answered()
        return found


class Grouped(NamedTuple):
    """Rules by whose bucket they are of: one group for each, and the rules in the order of their
    takings."""

    rules: list[Rule]
    groups: list[Group]

    @classmethod
    def of(
        cls,
        scope: str,
        fit: Fit,
        asked: Asked,
        gone_at: int,
        shards: Mapping[Rule, int] | None = None,
    ) -> Grouped:
        """The groups of rules that fit. Which shard is counted has to be said of each rule that has
        any."""
        shards, deadline = shards or {}, _deadline([rule for rule, _ in fit])
        by_key: defaultdict[str, list[Rule]] = defaultdict(list)
        for rule, kind in fit:
            apart = [rule.name] if rule.shadow or rule.shards else []
            if rule.shards:
                apart.append(str(shards[rule]))
            by_key[bucket(scope, kind, asked.identities[kind], *apart)].append(rule)
        groups = [
            Group(
                key,
                [_taking(rule, asked, shards.get(rule)) for rule in rules],
                gone_at,
                deadline,
            )
            for key, rules in by_key.items()
        ]
        return cls([rule for rules in by_key.values() for rule in rules], groups)


class _Request(NamedTuple):
    """Who asks, and when; what is taken may go at `gone_at`."""

    scope: str
    asked: Asked
    now: int
    gone_at: int

    def grouped(self, fit: Fit, shards: Mapping[Rule, int]) -> Grouped:
        """What is to be taken."""
        return Grouped.of(self.scope, fit, self.asked, self.gone_at, shards)

    def shard(self, rule: Rule, kind: str, shard: int) -> Group:
        """What is to be taken of one shard of a rule."""
        [group] = self.grouped([(rule, kind)], {rule: shard}).groups
        return group

    def until_all(self, rule: Rule, verdict: Verdict | None) -> Verdict | None:
        """A verdict whose wait is until every shard is sure to have room, since any may be asked
        then."""
        if verdict is None or verdict.allowed or not rule.shards:
            return verdict
        slowest = rule.share(rule.shards - 1).interval
        wait = max(verdict.wait, self.asked.cost * rule.cost * slowest)
        return verdict._replace(wait=wait)


def forgotten(rules: Sequence[Rule], now: int) -> int:
    """When no rule remembers what was taken until now, in epoch seconds: by all rules, since others
    than those that fit may have taken from the same item."""
    return now // 1000 + SPARE_S + max((rule.remembers for rule in rules), default=0)


def _deadline(rules: Sequence[Rule]) -> int:
    """How many milliseconds rules that are asked together wait: what refuses without an answer as
    long as it is to wait for one, else nothing longer than any is to."""
    closed = [rule.deadline for rule in rules if rule.closed]
    return max(closed) if closed else min((rule.deadline for rule in rules), default=0)


def _taking(rule: Rule, asked: Asked, shard: int | None) -> Taking:
    limit = rule.counted if shard is None else rule.share(shard)
    return Taking(limit, asked.cost * rule.cost, asked.slot, rule.lease)


def _refuses(verdict: Verdict | None) -> bool:
    return verdict is not None and not verdict.allowed


def _decision(rule: Rule, verdict: Verdict | None, slot: bytes | None) -> Decision:
    # Who could not be counted may have been: the answer was lost.
    taken = rule.holds and (verdict is None or verdict.allowed)
    return Decision(rule, verdict, slot if taken else None)
