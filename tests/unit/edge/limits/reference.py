"""What each algorithm must allow, worked out simply from everything that was taken."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from functions.edge.limits.algorithms import Limit

Taken = Sequence[tuple[int, int]]
"""When something was taken or charged, and how much, oldest first; given back below 0."""


def allows(limit: Limit, taken: Taken, now: int, cost: int) -> bool:
    """Whether so much more may be taken now."""
    match limit.algorithm:
        case "token_bucket" | "leaky_bucket":
            return _tokens(limit, taken, now) >= cost
        case "fixed_window":
            return _in_window(limit, taken, now // limit.window) + cost <= limit.amount
        case "sliding_window":
            window = now // limit.window
            here = _in_window(limit, taken, window)
            before = _in_window(limit, taken, window - 1)
            share = 1 - Fraction(now % limit.window, limit.window)
            return here + before * share + cost <= limit.amount
        case "sliding_log" | "concurrency":
            return len(_units(limit, taken, now)) + cost <= limit.amount


def _tokens(limit: Limit, taken: Taken, now: int) -> Fraction:
    tokens, since = Fraction(limit.burst), 0
    for at, cost in taken:
        tokens = min(Fraction(limit.burst), _filled(limit, tokens, at - since) - cost)
        since = at
    return _filled(limit, tokens, now - since)


def _filled(limit: Limit, tokens: Fraction, passed: int) -> Fraction:
    return min(Fraction(limit.burst), tokens + Fraction(passed * limit.amount, limit.window))


def _in_window(limit: Limit, taken: Taken, window: int) -> int:
    total = 0
    for at, cost in taken:
        if at // limit.window == window:
            total = max(0, total + cost)
    return total


def _units(limit: Limit, taken: Taken, now: int) -> list[int]:
    """When each unit was taken that counts still. What is given back are the newest."""
    units: list[int] = []
    for at, cost in taken:
        units = [unit for unit in units if unit > at - limit.window]
        units = units + [at] * cost if cost > 0 else units[: max(0, len(units) + cost)]
    return [unit for unit in units if unit > now - limit.window]
