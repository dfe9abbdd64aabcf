"""Rules on trial: what they would do to recorded traffic, in memory and without AWS.

The decisions are those of functions/edge/limits, on a clock that is the recording's.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from functions.edge.limits.algorithms import Verdict
from functions.edge.limits.limiter import IMPOSSIBLE, Decision, Limiter
from functions.edge.limits.memory import Memory
from functions.edge.limits.rules import Asked, Rule, Rulebook

SCOPE = "trial"
MOST = 5
"""Identities that are named of each rule."""


class Recorded(NamedTuple):
    """A request of a recording; `at` in epoch ms."""

    at: int
    asked: Asked


class Decided(NamedTuple):
    """Whether a request may go on, and what each rule says, none where a list decides."""

    allowed: bool
    decisions: list[Decision]


class Trial:
    """A rulebook, and all that was taken under it. Rules of what is in flight are left out: no
    recording says how long a request took."""

    def __init__(self, book: Rulebook) -> None:
        self._book = book._replace(rules=tried(book))
        # The same shards in every run: an outcome can be repeated.
        self._limiter = Limiter(Memory(sys.maxsize), Random(0).randbytes)

    def decide(self, recorded: Recorded) -> Decided:
        """What becomes of the next request."""
        standing = self._book.standing(recorded.asked)
        if standing is not None:
            return Decided(standing == "allowed", [])
        decisions = self._limiter.check(SCOPE, self._book.rules, recorded.asked, recorded.at)
        return Decided(all(each.allows for each in decisions), decisions)


@dataclass
class OfRule:
    """What one rule did: `fit` requests came under it, `denied` of them it refused, or would have
    as a shadow, `newly_denied` of which the baseline allows. `least_remaining` is how near anybody
    came to the limit; None where nobody was counted."""

    rule: Rule
    fit: int = 0
    denied: int = 0
    newly_denied: int = 0
    least_remaining: int | None = None
    most: Counter[str] = field(default_factory=Counter)

    def add(self, verdict: Verdict, identity: str, newly: bool) -> None:
        """Counts one request."""
        self.fit += 1
        if verdict != IMPOSSIBLE:
            known = self.least_remaining
            left = verdict.remaining
            self.least_remaining = left if known is None else min(left, known)
        if not verdict.allowed:
            self.denied += 1
            self.newly_denied += newly
            self.most[identity] += 1

    def document(self) -> dict[str, Any]:
        """As one JSON object; a share is from 0 to 1."""
        return {
            "rule": self.rule.name,
            "shadow": self.rule.shadow,
            "fit": self.fit,
            "allowed": self.fit - self.denied,
            "denied": self.denied,
            "share": share(self.denied, self.fit),
            "newly_denied": self.newly_denied,
            "least_remaining": self.least_remaining,
            "most_denied": [
                {"identity": identity, "denied": denied}
                for identity, denied in sorted(self.most.items(), key=_most)[:MOST]
            ],
        }


@dataclass
class Outcome:
    """What the rules did to a recording, by name in `rules`, and the deny list to as many as are
    `listed`; `newly_denied` and `newly_allowed` are
    requests that the baseline decides otherwise. `late` are those with an earlier time than one
    before them, which is decided as it would be by a clock that steps back."""

    rules: dict[str, OfRule]
    requests: int = 0
    denied: int = 0
    listed: int = 0
    newly_denied: int = 0
    newly_allowed: int = 0
    late: int = 0

    @property
    def share(self) -> float:
        """How many of all requests were denied, from 0 to 1."""
        return share(self.denied, self.requests)

    def document(self) -> dict[str, Any]:
        """As one JSON object."""
        return {
            "requests": self.requests,
            "allowed": self.requests - self.denied,
            "denied": self.denied,
            "denied_by_list": self.listed,
            "share": self.share,
            "newly_denied": self.newly_denied,
            "newly_allowed": self.newly_allowed,
            "out_of_order": self.late,
            "rules": [each.document() for each in self.rules.values()],
        }


def run(book: Rulebook, baseline: Rulebook, traffic: Iterable[Recorded]) -> Outcome:
    """What a rulebook does to traffic, beside what a baseline does."""
    outcome = Outcome({rule.name: OfRule(rule) for rule in tried(book)})
    trial, before, newest = Trial(book), Trial(baseline), 0
    for recorded in traffic:
        allowed, decisions = trial.decide(recorded)
        was_allowed = before.decide(recorded).allowed
        outcome.requests += 1
        outcome.denied += not allowed
        outcome.listed += not allowed and not decisions
        outcome.newly_denied += was_allowed and not allowed
        outcome.newly_allowed += allowed and not was_allowed
        outcome.late += recorded.at < newest
        newest = max(newest, recorded.at)
        for each in decisions:
            assert each.verdict is not None, "memory always answers"
            identity = _named(each.rule, recorded.asked)
            outcome.rules[each.rule.name].add(each.verdict, identity, was_allowed)
    return outcome


def tried(book: Rulebook) -> tuple[Rule, ...]:
    """The rules of which a recording tells enough."""
    return tuple(rule for rule in book.rules if rule.algorithm != "concurrency")


def share(part: int, whole: int) -> float:
    """From 0 to 1, to four digits; 0 of nothing."""
    return round(part / whole, 4) if whole else 0.0


def _named(rule: Rule, asked: Asked) -> str:
    kind = rule.identifier(asked)
    assert kind is not None, "a rule that fits counts somebody"
    return f"{kind} {asked.identities[kind]}"


def _most(pair: tuple[str, int]) -> tuple[int, str]:
    return -pair[1], pair[0]
