"""Whether a request may go on: all limits that it comes under, taken at once or not at all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from functions.edge.limits.algorithms import SECOND, Verdict
from functions.edge.limits.breaker import Breaker
from functions.edge.limits.buckets import SPARE_S, Buckets, Busy, Group, Taking
from functions.edge.limits.memory import Memory
from functions.edge.limits.rules import Asked, Rule, bucket, fitting

MILLI = 1_000_000
CROWDED = SECOND
"""Nanoseconds to wait for who does not come through to a bucket, since others do."""


class Decision(NamedTuple):
    """What one rule says; None where nobody could be asked. What may have been taken of a rule that
    counts what is in flight is known by a `slot`."""

    rule: Rule
    verdict: Verdict | None
    slot: bytes | None = None

    @property
    def allows(self) -> bool:
        """Whether the request may go on, as far as this rule is concerned."""
        if self.rule.shadow:
            return True
        return not self.rule.closed if self.verdict is None else self.verdict.allowed


class Limiter:
    """The limits of one set of rules after the other, on the same buckets."""

    def __init__(self, buckets: Buckets | Memory) -> None:
        self._buckets = buckets
        self._breaker = Breaker()

    def check(self, scope: str, rules: Sequence[Rule], asked: Asked, now: int) -> list[Decision]:
        """What each rule that fits says, in the order of the rules; `now` is epoch ms.

        A cost above what a limit ever allows at once is refused by it for good: without a wait.
        """
        fit = fitting(rules, asked)
        impossible = {
            rule: Verdict(False, rule.counted.at_once, 0, 0)
            for rule, _ in fit
            if asked.cost * rule.cost > rule.counted.at_once
        }
        verdicts: dict[Rule, Verdict | None] = dict(impossible)
        # What refuses anyway takes nothing, and a shadow must not keep others from taking.
        live = [] if any(not rule.shadow for rule in impossible) else fit
        together = [(rule, kind) for rule, kind in live if not rule.shadow]
        gone_at = forgotten(rules, now)
        verdicts.update(self._take(Grouped.of(scope, together, asked, gone_at), now))
        # A shadow tells what a rule would do: what others refuse, that would take nothing of it.
        if all(Decision(rule, verdicts[rule]).allows for rule, _ in together):
            for rule, kind in live:
                if rule.shadow and rule not in impossible:
                    alone = Grouped.of(scope, [(rule, kind)], asked, gone_at)
                    verdicts.update(self._take(alone, now))
        return [_decision(rule, verdicts[rule], asked) for rule, _ in fit if rule in verdicts]

    def _take(self, grouped: Grouped, now: int) -> dict[Rule, Verdict | None]:
        rules, groups = grouped
        if not rules:
            return {}
        found: Sequence[Verdict | None] = self._asked(groups, now) or [None] * len(rules)
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
    def of(cls, scope: str, fit: Sequence[tuple[Rule, str]], asked: Asked, gone_at: int) -> Grouped:
        """The groups of rules that fit, each with the kind of identity that it counts."""
        by_key: defaultdict[str, list[Rule]] = defaultdict(list)
        for rule, kind in fit:
            apart = (rule.name,) if rule.shadow else ()
            by_key[bucket(scope, kind, asked.identities[kind], *apart)].append(rule)
        groups = [
            Group(
                key,
                [Taking(rule.counted, asked.cost * rule.cost, asked.slot) for rule in rules],
                gone_at,
                min(rule.deadline for rule in rules),
            )
            for key, rules in by_key.items()
        ]
        return cls([rule for rules in by_key.values() for rule in rules], groups)


def forgotten(rules: Sequence[Rule], now: int) -> int:
    """When no rule remembers what was taken until now, in epoch seconds: by all rules, since others
    than those that fit may have taken from the same item."""
    return now // 1000 + SPARE_S + max((rule.remembers for rule in rules), default=0)


def _decision(rule: Rule, verdict: Verdict | None, asked: Asked) -> Decision:
    # Who could not be counted may have been: the answer was lost.
    taken = rule.holds and (verdict is None or verdict.allowed)
    return Decision(rule, verdict, asked.slot if taken else None)
