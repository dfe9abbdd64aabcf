"""The rules of one tenant: versions that were published, and the one that holds. Pure.

The state has the rules of the newest version and of the one that holds, which is all that a check
or an edit needs; where the others are, it tells.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from functions.kernel.decider import Decider
from functions.kernel.errors import NotFound
from functions.ratelimiter.events import (
    CODEC,
    Event,
    RulesActivated,
    RulesPublished,
    RulesRolledBack,
)

KIND = "rules"
KEPT = 50
"""Versions that can be activated: the newest."""

Published = tuple[int, str, int]
"""A version's number, its digest, and the version of the stream that it made."""


@dataclass(frozen=True)
class PublishRules:
    """Make these the next version."""

    rules: str
    digest: str


@dataclass(frozen=True)
class ActivateRules:
    """Have a version hold, whose rules these are."""

    number: int
    rules: str


Command = PublishRules | ActivateRules


@dataclass(frozen=True)
class RuleSet:
    """A tenant's rules: `newest` are those of the last of `published`, `holding` of `active`."""

    events: int = 0
    published: tuple[Published, ...] = ()
    newest: str = ""
    active: int | None = None
    holding: str = "[]"

    @property
    def latest(self) -> int:
        """The number of the newest version; 0 before the first."""
        return self.published[-1][0] if self.published else 0

    def place(self, number: int) -> Published:
        """Where a version is. Raises NotFound for one that never was, or is no longer kept."""
        for each in self.published:
            if each[0] == number:
                return each
        raise NotFound(f"rules of version {number}")


def stream_id(tenant: str) -> str:
    """The stream of a tenant's rules."""
    return f"{KIND}#{tenant}#default"


def decide(command: Command, rules: RuleSet) -> list[Event]:
    """The events that a command leads to; none where it is so already. Raises NotFound."""
    match command:
        case PublishRules(text, digest):
            if rules.published and rules.published[-1][1] == digest:
                return []
            return [RulesPublished(rules.latest + 1, text, digest)]
        case ActivateRules(number, text):
            if rules.active == number:
                return []
            rules.place(number)
            if rules.active is not None and number < rules.active:
                return [RulesRolledBack(number, text)]
            return [RulesActivated(number, text)]
        case _:
            assert_never(command)


def evolve(rules: RuleSet, event: Event) -> RuleSet:
    """The state after one event."""
    after = replace(rules, events=rules.events + 1)
    match event:
        case RulesPublished(number, text, digest):
            published = (*rules.published, (number, digest, after.events))
            return replace(after, published=published[-KEPT:], newest=text)
        case RulesActivated(number, text) | RulesRolledBack(number, text):
            return replace(after, active=number, holding=text)
        case _:
            assert_never(event)


DECIDER: Decider[Command, RuleSet, Event] = Decider(
    state=RuleSet,
    initial=RuleSet(),
    decide=decide,
    evolve=evolve,
    events=CODEC,
    snapshot_every=1,
)
