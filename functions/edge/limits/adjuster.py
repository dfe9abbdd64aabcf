"""What a request came to cost, charged or given back when it is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from zlib import crc32

from functions.edge.limits.algorithms import Verdict
from functions.edge.limits.buckets import Buckets, Group, Once
from functions.edge.limits.limiter import MILLI, Decision, Grouped, forgotten
from functions.edge.limits.rules import Asked, Rule, fitting
from functions.kernel.backoff import Backoff


class Adjuster:
    """Adjusts what a Limiter has taken of the same buckets. Decisions say how each limit stands
    then: it allows as long as any remains. `now` is epoch ms. A `hurried` one gives up as soon as
    a check does: for whoever waits for another answer than that."""

    def __init__(self, buckets: Buckets, backoff: Backoff, hurried: bool = False) -> None:
        self._buckets = buckets
        self._backoff = backoff
        self._hurried = hurried

    def adjust(
        self, scope: str, rules: Sequence[Rule], asked: Asked, once: Once, now: int
    ) -> list[Decision]:
        """Charges the cost that is asked to every rule that fits and counts costs, or gives it back
        where it is negative. Of one with shards any will do, since what counts is their sum.

        Raises CommandReused, Conflict, and what the client raises.
        """

        def adjusted(groups: Sequence[Group]) -> list[Verdict]:
            return self._buckets.adjust(groups, once, now * MILLI, self._backoff)

        counting = [rule for rule in rules if not rule.holds]
        return self._each(scope, counting, asked, forgotten(rules, now), adjusted, once.key)

    def release(self, scope: str, rules: Sequence[Rule], asked: Asked, now: int) -> list[Decision]:
        """Gives back the slot that is asked, of every rule that fits and counts what is in flight.

        Raises Conflict, and what the client raises.
        """

        def released(groups: Sequence[Group]) -> list[Verdict]:
            return self._buckets.release(groups, now * MILLI, self._backoff)

        holding = [rule for rule in rules if rule.holds]
        return self._each(scope, holding, asked, forgotten(rules, now), released)

    def _each(
        self,
        scope: str,
        rules: Sequence[Rule],
        asked: Asked,
        gone_at: int,
        change: Callable[[Sequence[Group]], list[Verdict]],
        spread: str = "",
    ) -> list[Decision]:
        fit = fitting(rules, asked)
        shards = {rule: crc32(spread.encode()) % rule.shards for rule, _ in fit if rule.shards}
        grouped = Grouped.of(scope, fit, asked, gone_at, shards)
        groups = grouped.groups
        if not self._hurried:
            groups = [group._replace(deadline_ms=0) for group in groups]
        verdicts = dict(zip(grouped.rules, change(groups), strict=True))
        return [Decision(rule, verdicts[rule]) for rule, _ in fit]
