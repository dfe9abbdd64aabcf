"""What comes in over HTTP about rules, and what goes out."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from functions.edge.limits.algorithms import Name
from functions.edge.limits.buckets import DEADLINE_MS
from functions.edge.limits.lists import Entry, Listed, network
from functions.edge.limits.rules import MAX_IDENTITY, Rule, Rulebook, encode
from functions.edge.limits.validity import (
    ENDPOINT,
    LEAST_DEADLINE_MS,
    MAX_AMOUNT,
    MAX_COST,
    MAX_DEADLINE_MS,
    MAX_LEASE,
    MAX_SHARDS,
    MAX_TIER,
    MAX_WINDOW,
    NAME,
    Method,
    impossible,
)
from functions.edge.validation import Query, Schema
from functions.kernel.codec import to_json
from functions.ratelimiter.decider import RuleSet

MAX_RULES = 100
MAX_LISTED = 200
MAX_APART = 50
"""Rules that are shadows or have shards. Each has a bucket of its own beside those of identities,
and an adjustment is one transaction, which takes 100 items (Amazon DynamoDB Developer Guide,
"Quotas")."""
MAX_TEXT = 20_000
"""Bytes of a version as it stands in a commit, which holds the newest, the one that holds, and the
change."""
M = TypeVar("M", bound=Schema)
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
IDENTIFIER = r"^(user|ip|api_key|tenant|header:[a-z0-9-]{1,50})$"
_WINDOW = re.compile(r"([1-9][0-9]{0,6})([smhd])")


def to_seconds(value: object) -> int:
    """Seconds of "60s", "1m", "1h" or "1d", or of a number. Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool):
        seconds = value
    elif isinstance(value, str) and (match := _WINDOW.fullmatch(value)):
        seconds = int(match[1]) * UNITS[match[2]]
    else:
        raise ValueError("not a number of seconds, nor one of s, m, h or d, such as 60s")
    if not 1 <= seconds <= MAX_WINDOW:
        raise ValueError("a window is from 1s to 30d")
    return seconds


Window = Annotated[
    int,
    BeforeValidator(to_seconds),
    Field(json_schema_extra={"anyOf": [{"type": "integer"}, {"type": "string"}]}),
]
Amount = Annotated[int, Field(ge=1, le=MAX_AMOUNT)]
Identifier = Annotated[str, Field(pattern=IDENTIFIER)]


class NewRule(Schema):
    """One limit: `limit` in any `window`; see functions/edge/limits/rules.py."""

    name: Annotated[str, Field(pattern=NAME)]
    endpoint: Annotated[str, Field(pattern=ENDPOINT)] = "/**"
    limit: Amount
    window: Window
    methods: Annotated[list[Method], Field(max_length=7, default_factory=list)]
    identifiers: Annotated[
        list[Identifier],
        Field(min_length=1, max_length=5, default_factory=lambda: ["user", "ip"]),
    ]
    tier: Annotated[str, Field(min_length=1, max_length=MAX_TIER)] | None = None
    algorithm: Name = "token_bucket"
    burst: Amount | None = None
    cost: Annotated[int, Field(ge=1, le=MAX_COST)] = 1
    fail: Literal["open", "closed"] = "open"
    deadline_ms: Annotated[int, Field(ge=LEAST_DEADLINE_MS, le=MAX_DEADLINE_MS)] = DEADLINE_MS
    shadow: bool = False
    lease: Annotated[int, Field(ge=0, le=MAX_LEASE)] = 0
    shards: Annotated[int, Field(ge=1, le=MAX_SHARDS)] = 1

    @model_validator(mode="after")
    def _possible(self) -> Self:
        return _without(self, impossible(self.rule()))

    def rule(self) -> Rule:
        """The rule as it is kept."""
        return Rule(
            name=self.name,
            endpoint=self.endpoint,
            limit=self.limit,
            window=self.window,
            methods=tuple(self.methods),
            identifiers=tuple(self.identifiers),
            tier=self.tier,
            algorithm=self.algorithm,
            burst=self.burst or 0,
            cost=self.cost,
            closed=self.fail == "closed",
            deadline=self.deadline_ms,
            shadow=self.shadow,
            lease=self.lease,
            shards=self.shards if self.shards > 1 else 0,
        )


def to_entry(given: dict[str, str]) -> dict[str, str]:
    """Somebody on a list as it is kept. Raises ValueError."""
    return {kind: network(value) if kind == "ip" else value for kind, value in given.items()}


NewEntry = Annotated[
    dict[Identifier, Annotated[str, Field(min_length=1, max_length=MAX_IDENTITY)]],
    Field(min_length=1, max_length=1),
    AfterValidator(to_entry),
]
"""One identity by its kind."""
NewList = Annotated[list[NewEntry], Field(max_length=MAX_LISTED, default_factory=list)]


class NewRules(Schema):
    """Body of PUT /v1/rules: all that holds with the next version. Who is on `deny` is refused, on
    `allow` alone is not counted."""

    rules: Annotated[list[NewRule], Field(max_length=MAX_RULES)]
    allow: NewList
    deny: NewList

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        return _without(self, self._faults())

    def _faults(self) -> Iterator[tuple[bool, str]]:
        names = Counter(rule.name for rule in self.rules)
        twice = sorted(name for name, number in names.items() if number > 1)
        yield bool(twice), f"names are given twice: {', '.join(twice)}"
        apart = sum(rule.shadow or rule.shards > 1 for rule in self.rules)
        yield apart > MAX_APART, f"more than {MAX_APART} rules are shadows or have shards"
        alike: defaultdict[Rule, set[str]] = defaultdict(set)
        for rule in self.rules:
            what = rule.rule()._replace(name="", limit=0, burst=0, lease=0, shards=0)
            alike[what].add(rule.name)
        for same in alike.values():
            yield (
                len(same) > 1,
                f"rules differ in nothing but their name and limit: {', '.join(sorted(same))}",
            )
        size = len(to_json(self.text()).encode())
        yield size > MAX_TEXT, f"the rules and lists are above {MAX_TEXT} bytes"

    def text(self) -> str:
        """The rulebook as it is kept."""
        rules = tuple(rule.rule() for rule in self.rules)
        return encode(Rulebook(rules, _listed(self.allow), _listed(self.deny)))


def _without(model: M, faults: Iterable[tuple[bool, str]]) -> M:
    """The model, if none of the faults is so. Raises ValueError with all that are."""
    if found := [reason for wrong, reason in faults if wrong]:
        raise ValueError("; ".join(found))
    return model


def _listed(entries: list[dict[str, str]]) -> Listed:
    return Listed.of(Entry(*item) for entry in entries for item in entry.items())


class NoQuery(Query):
    """The query of a route that takes none."""


class RulesQuery(Query):
    """Query of GET /v1/rules: a version, else the one that holds."""

    version: Annotated[int, Field(ge=1)] | None = None


def digest(text: str) -> str:
    """What tells two versions of rules apart."""
    return sha256(text.encode()).hexdigest()[:16]


def rules_body(rules: RuleSet, number: int | None, shown: Rulebook) -> dict[str, Any]:
    """A version of a tenant's rules, None for none, and what other versions there are."""
    return {
        "version": number,
        "active": rules.active,
        "versions": [{"version": each, "digest": mark} for each, mark, _ in rules.published],
        "rules": [_shown(rule) for rule in shown.rules],
        "allow": [{each.kind: each.value} for each in shown.allow.entries],
        "deny": [{each.kind: each.value} for each in shown.deny.entries],
    }


def _shown(rule: Rule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "endpoint": rule.endpoint,
        "limit": rule.limit,
        "window": rule.window,
        "methods": list(rule.methods),
        "identifiers": list(rule.identifiers),
        "tier": rule.tier,
        "algorithm": rule.algorithm,
        "burst": rule.burst or None,
        "cost": rule.cost,
        "fail": "closed" if rule.closed else "open",
        "deadline_ms": rule.deadline,
        "shadow": rule.shadow,
        "lease": rule.lease,
        "shards": rule.shards or 1,
    }
