"""Whether a request may go on: all limits that it comes under, taken at once or not at all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from functions.edge.limits.algorithms import SECOND, Verdict
from functions.edge.limits.breaker import Breaker
from functions.edge.limits.buckets import Buckets, Busy, Group, Taking
from functions.edge.limits.memory import Memory
from functions.edge.limits.rules import Asked, Rule, bucket, fitting

MILLI = 1_000_000
SPARE_S = 60
"""Seconds that a bucket stays after all its limits have forgotten: clocks differ."""
CROWDED = SECOND
"""Nanoseconds to wait for who does not come through to a bucket, since others do."""


class Decision(NamedTuple):
    """What one rule says; None where nobody could be asked."""

    rule: Rule
    verdict: Verdict | None

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
        # By all rules: others than these may have taken from the same item.
        gone_at = now // 1000 + SPARE_S + max((rule.remembers for rule in rules), default=0)
        verdicts.update(self._take(scope, together, asked, now, gone_at))
        for rule, kind in live:
            if rule.shadow and rule not in impossible:
                verdicts.update(self._take(scope, [(rule, kind)], asked, now, gone_at))
        return [Decision(rule, verdicts[rule]) for rule, _ in fit if rule in verdicts]

    def _take(
        self, scope: str, fit: Sequence[tuple[Rule, str]], asked: Asked, now: int, gone_at: int
    ) -> dict[Rule, Verdict | None]:
        if not fit:
            return {}
        by_key: defaultdict[str, list[Rule]] = defaultdict(list)
        for rule, kind in fit:
            apart = (rule.name,) if rule.shadow else ()
            by_key[bucket(scope, kind, asked.identities[kind], *apart)].append(rule)
        groups = [
            Group(
                key,
                [Taking(rule.counted, asked.cost * rule.cost) for rule in rules],
                gone_at,
                min(rule.deadline for rule in rules),
            )
            for key, rules in by_key.items()
        ]
        rules = [rule for each in by_key.values() for rule in each]
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
