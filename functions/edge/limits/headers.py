"""What a client is told of its limits: the headers that it goes by, and why it is refused."""

from __future__ import annotations

from collections.abc import Sequence

from functions.edge.limits.algorithms import SECOND, Verdict
from functions.edge.limits.limiter import MILLI, Decision
from functions.edge.limits.rules import Rule
from functions.edge.problem import Problem

UNCOUNTED = "The limits cannot be counted right now, and one of them is to refuse then."
USED_UP = "Too many requests: a limit is used up."


def quota(decisions: Sequence[Decision], now: int) -> dict[str, str]:
    """Of the limit that is the next to refuse requests of the same cost: the customary headers,
    whose reset is a time in epoch seconds, and those of draft-ietf-httpapi-ratelimit-headers-10,
    whose is a duration. `now` is epoch ms."""
    counted = [
        (each.allows, verdict, each.rule)
        for each in decisions
        if (verdict := each.stands) is not None and not each.rule.shadow
    ]
    if not counted:
        return {}
    _, verdict, rule = min(counted, key=_nearness)
    # What is in flight is another unit than requests, which need not be named.
    unit = ';qu="concurrent-requests"' if rule.holds else ""
    return {
        # What remains is never more than that.
        "X-RateLimit-Limit": str(rule.counted.at_once),
        "X-RateLimit-Remaining": str(verdict.remaining),
        "X-RateLimit-Reset": str(at(now, verdict.reset)),
        "RateLimit-Policy": f'"{rule.name}";q={rule.limit};w={rule.window}{unit}',
        "RateLimit": f'"{rule.name}";r={verdict.remaining};t={seconds(verdict.reset)}',
    }


def refusal(decisions: Sequence[Decision], now: int) -> Problem | None:
    """What refuses: a 429 that names the rules, a 503 where a rule refuses what cannot be counted,
    or nothing."""
    refusing = [decision for decision in decisions if not decision.allows]
    if not refusing:
        return None
    if any(decision.verdict is None for decision in refusing):
        return Problem(503, "unavailable", UNCOUNTED, headers={"Retry-After": "1"})
    faults = [{"field": each.rule.name, "reason": _reason(each)} for each in refusing]
    told = {**quota(decisions, now), **_retry_after(refusing)}
    return Problem(429, "rate_limited", USED_UP, faults, told)


def seconds(nanoseconds: int) -> int:
    """Rounded up: who waits as long as told must be allowed."""
    return -(-nanoseconds // SECOND)


def at(now: int, nanoseconds: int) -> int:
    """The first epoch second by which so much has passed since `now`, epoch ms."""
    return seconds(now * MILLI + nanoseconds)


def _nearness(counted: tuple[bool, Verdict, Rule]) -> tuple[bool, int, int]:
    allows, verdict, rule = counted
    return allows, verdict.remaining // rule.cost, verdict.remaining


def _retry_after(refusing: Sequence[Decision]) -> dict[str, str]:
    # Where one refuses for good there is nothing to wait for.
    waits = [each.verdict.wait for each in refusing if each.verdict is not None]
    return {"Retry-After": str(seconds(max(waits)))} if all(waits) else {}


def _reason(decision: Decision) -> str:
    assert decision.verdict is not None
    if not decision.verdict.wait:
        return f"costs more than the {decision.rule.at_once} that are ever there"
    return f"is used up for {seconds(decision.verdict.wait)} seconds"
