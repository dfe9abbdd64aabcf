"""What a check is answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from functions.edge.http import Answer
from functions.edge.limits.algorithms import SECOND
from functions.edge.limits.headers import refusal, seconds, told
from functions.edge.limits.limiter import Decision
from functions.edge.problem import Problem


def answer(decisions: Sequence[Decision], now: int) -> Answer:
    """200 with the limits that count. Raises the Problem of what refuses."""
    if problem := refusal(decisions, now):
        raise problem
    limits = [_limit(decision, now) for decision in decisions]
    return Answer(200, {"allowed": True, "limits": limits}, told(decisions, now))


def denied() -> Problem:
    """What somebody on the deny list is answered."""
    return Problem(403, "denied", "The request is of somebody on the deny list.")


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
    shown |= {"remaining": verdict.remaining, "reset": now // 1000 + seconds(verdict.reset)}
    if verdict.delay:
        shown["delay_ms"] = -(-verdict.delay * 1000 // SECOND)
    return shown
