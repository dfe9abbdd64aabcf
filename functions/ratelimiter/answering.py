"""What a check is answered: the limits that count, and the headers that a client goes by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from functions.edge.http import Answer
from functions.edge.limits.algorithms import SECOND
from functions.edge.limits.limiter import Decision
from functions.edge.problem import Problem

UNCOUNTED = "The limits cannot be counted right now, and one of them is to refuse then."
USED_UP = "Too many requests: a limit is used up."


def answer(decisions: Sequence[Decision], now: int) -> Answer:
    """200, or what refuses: a 429, or a 503 where a rule refuses what cannot be counted."""
    refusing = [decision for decision in decisions if not decision.allows]
    if not refusing:
        limits = [_limit(decision, now) for decision in decisions]
        return Answer(200, {"allowed": True, "limits": limits}, headers(decisions, now))
    if any(decision.verdict is None for decision in refusing):
        raise Problem(503, "unavailable", UNCOUNTED, headers={"Retry-After": "1"})
    raise Problem(429, "rate_limited", USED_UP, _faults(refusing), headers(decisions, now))


def headers(decisions: Sequence[Decision], now: int) -> dict[str, str]:
    """Of the limit that is nearest to its end: the customary headers, whose reset is a time in
    epoch seconds, and those of draft-ietf-httpapi-ratelimit-headers-10, whose is a duration."""
    counted = [
        (each.allows, each.verdict, each.rule)
        for each in decisions
        if each.verdict is not None and not each.rule.shadow
    ]
    if not counted:
        return {}
    _, verdict, rule = min(counted, key=lambda each: (each[0], each[1].remaining))
    reset = _seconds(verdict.reset)
    found = {
        # What remains is never more than that.
        "X-RateLimit-Limit": str(rule.counted.at_once),
        "X-RateLimit-Remaining": str(verdict.remaining),
        "X-RateLimit-Reset": str(now // 1000 + reset),
        "RateLimit-Policy": f'"{rule.name}";q={rule.limit};w={rule.window}',
        "RateLimit": f'"{rule.name}";r={verdict.remaining};t={reset}',
    }
    waits = [each.wait for allows, each, _ in counted if not allows]
    if waits and all(waits):
        found["Retry-After"] = str(_seconds(max(waits)))
    return found


def _faults(refusing: Sequence[Decision]) -> list[dict[str, str]]:
    return [{"field": each.rule.name, "reason": _reason(each)} for each in refusing]


def _reason(decision: Decision) -> str:
    assert decision.verdict is not None
    if not decision.verdict.wait:
        return f"costs more than the {decision.rule.counted.at_once} that are ever there"
    return f"is used up for {_seconds(decision.verdict.wait)} seconds"


def _limit(decision: Decision, now: int) -> dict[str, Any]:
    rule, verdict = decision.rule, decision.verdict
    shown: dict[str, Any] = {
        "rule": rule.name,
        "shadow": rule.shadow,
        "allowed": decision.verdict.allowed if decision.verdict else None,
        "limit": rule.limit,
        "window_seconds": rule.window,
    }
    if verdict is None:
        return shown
    shown |= {"remaining": verdict.remaining, "reset": now // 1000 + _seconds(verdict.reset)}
    if verdict.delay:
        shown["delay_ms"] = -(-verdict.delay * 1000 // SECOND)
    return shown


def _seconds(nanoseconds: int) -> int:
    # Rounded up: who waits as long as told must be allowed.
    return -(-nanoseconds // SECOND)
