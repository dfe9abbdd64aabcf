"""What happens to a tenant's rules. Rules are kept as text, as functions/edge/limits reads it."""

from __future__ import annotations

from dataclasses import dataclass

from functions.kernel.codec import EventCodec


@dataclass(frozen=True)
class RulesPublished:
    """There is a next version of the rules; it holds once it is activated."""

    number: int
    rules: str
    digest: str


@dataclass(frozen=True)
class RulesActivated:
    """This version holds from now on."""

    number: int
    rules: str


@dataclass(frozen=True)
class RulesRolledBack:
    """This version holds again, after a later one did."""

    number: int
    rules: str


Event = RulesPublished | RulesActivated | RulesRolledBack
CODEC = EventCodec(RulesPublished, RulesActivated, RulesRolledBack)
