"""What checks and adjustments are answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from functions.edge.http import Answer
from functions.edge.limits.algorithms import SECOND
from functions.edge.limits.headers import at, quota, refusal
from functions.edge.limits.limiter import Decision
from functions.edge.problem import Problem


def answer(decisions: Sequence[Decision], now: int) -> Answer:
    """200 with the limits that count. Raises the Problem of what refuses."""
    if problem := refusal(decisions, now):
        raise problem
    body = {"allowed": True, **_limits(decisions, now)}
    slots = [decision.slot for decision in decisions if decision.slot is not None]
    if slots:
        body["slot"] = slots[0].hex()
    return Answer(200, body, quota(decisions, now))


def adjusted(decisions: Sequence[Decision], now: int) -> Answer:
    """200: how the limits stand that were adjusted."""
    return Answer(200, _limits(decisions, now), quota(decisions, now))


def denied() -> Problem:
    """What somebody on the deny list is answered."""
    return Problem(403, "denied", "The request is of somebody on the deny list.")


def _limits(decisions: Sequence[Decision], now: int) -> dict[str, Any]:
    return {"limits": [_limit(decision, now) for decision in decisions]}


def _limit(decision: Decision, now: int) -> dict[str, Any]:
    rule, verdict = decision.rule, decision.stands
    shown: dict[str, Any] = {
        "rule": rule.name,
        "shadow": rule.shadow,
        "allowed": decision.verdict.allowed if decision.verdict else None,
        "limit": rule.limit,
        "window_seconds": rule.window,
    }
    if decision.slot is not None:
        shown["slot"] = decision.slot.hex()
    if verdict is None:
        return shown
    shown |= {"remaining": verdict.remaining, "reset": at(now, verdict.reset)}
    if verdict.delay:
        shown["delay_ms"] = -(-verdict.delay * 1000 // SECOND)
    return shown
