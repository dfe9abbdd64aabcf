"""Shards: one identity's limit as several buckets, since one key of a table takes 1,000 writes a
second (Amazon DynamoDB Developer Guide, "Best practices for designing partition keys").

Each is a token bucket with a share of the limit and of the burst, so that what all allow is never
more than the rule. The price is that one may refuse while another has tokens. So a check asks one
at random of those that it does not know to be empty, and, refused, one other: of two, the emptier
is far emptier (M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001).
"""

from __future__ import annotations

from collections.abc import Callable

from functions.edge.limits.buckets import Buckets, Group
from functions.edge.limits.memory import Memory


class Shards:
    """Chooses among the shards of a rule; `entropy` gives so many random bytes."""

    def __init__(self, buckets: Buckets | Memory, entropy: Callable[[int], bytes]) -> None:
        self._buckets = buckets
        self._entropy = entropy

    def choose(
        self, count: int, group: Callable[[int], Group], now: int, tried: int | None = None
    ) -> int | None:
        """A shard that may not be empty, by what is known of its group; other than the one that
        was tried, None where there is none, and where none was tried any."""
        order = sorted(range(count), key=self._entropy(count).__getitem__)
        for shard in order:
            if shard != tried and not self._buckets.refuses(group(shard), now):
                return shard
        return order[0] if tried is None else None
