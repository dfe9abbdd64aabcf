"""What each algorithm must allow, worked out simply from everything that was taken."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from functions.edge.limits.algorithms import Limit

Taken = Sequence[tuple[int, int]]
"""When something was taken, and how much, oldest first."""


def allows(limit: Limit, taken: Taken, now: int, cost: int) -> bool:
    """Whether so much more may be taken now."""
    match limit.algorithm:
        case "token_bucket" | "leaky_bucket":
            return _tokens(limit, taken, now) >= cost
        case "fixed_window":
            window = now // limit.window
            return _sum(taken, lambda at: at // limit.window == window) + cost <= limit.amount
        case "sliding_window":
            window = now // limit.window
            here = _sum(taken, lambda at: at // limit.window == window)
            before = _sum(taken, lambda at: at // limit.window == window - 1)
            share = 1 - Fraction(now % limit.window, limit.window)
            return here + before * share + cost <= limit.amount
        case "sliding_log":
            return _sum(taken, lambda at: at > now - limit.window) + cost <= limit.amount


def _tokens(limit: Limit, taken: Taken, now: int) -> Fraction:
    tokens, since = Fraction(limit.burst), 0
    for at, cost in taken:
        tokens = _filled(limit, tokens, at - since) - cost
        since = at
    return _filled(limit, tokens, now - since)


def _filled(limit: Limit, tokens: Fraction, passed: int) -> Fraction:
    return min(Fraction(limit.burst), tokens + Fraction(passed * limit.amount, limit.window))


def _sum(taken: Taken, counts: object) -> int:
    assert callable(counts)
    return sum(cost for at, cost in taken if counts(at))
