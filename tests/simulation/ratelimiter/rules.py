"""The oracle's own idea of rules: what their events mean, which held when, what each container was
told, and which of them a request comes under."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b, sha256
from typing import Any, NamedTuple

from tests.simulation.invariants import Capability, Log, State
from tests.simulation.ratelimiter.counting import SECOND, Terms
from tests.simulation.world import Container, Invocation, Violation, World, physical
from tests.support.cloud.dynamodb import Change

RING = 8
"""Commands with a key that a tenant's rules remember."""
CHECK = "RatelimiterCheck"
MILLI = 1_000_000
"""Nanoseconds of a millisecond."""
FRESH_MS = 30_000
"""For so long a container may go by rules after others were activated."""
SAME = {
    "\uff41\uff44\uff41": "ada",
    "2001:db8:1:2::9": "2001:db8:1:2::/64",
    "2001:db8:1:2:3::4": "2001:db8:1:2::/64",
}
"""Names by which somebody goes who is counted under another."""
_DEFAULTS: Mapping[str, Any] = {
    "methods": [],
    "identifiers": ["user", "ip"],
    "tier": None,
    "algorithm": "token_bucket",
    "burst": 0,
    "cost": 1,
    "closed": False,
    "shadow": False,
    "lease": 0,
    "shards": 0,
}


def stream_id(tenant: str) -> str:
    """Where a tenant's rules are."""
    return f"rules#{tenant}#default"


class Asked(NamedTuple):
    """What a request to /v1/check or /v1/adjust says; a release names a `slot` and no cost."""

    tenant: str
    endpoint: str
    identities: Mapping[str, str]
    cost: int
    slot: str | None = None

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> Asked:
        """From what its function got."""
        body = json.loads(event["body"])
        claims = event["requestContext"]["authorizer"]["jwt"]["claims"]
        named = {kind: body[kind] for kind in ("user", "ip", "tenant") if kind in body}
        identities = {kind: SAME.get(name, name) for kind, name in named.items()}
        tenant, cost = claims["custom:tenant"], body.get("cost", 1)
        return cls(tenant, body["endpoint"], identities, cost, body.get("slot"))


class Owner(NamedTuple):
    """Whose bucket it is; a shadow's is its `apart`, by the rule's name, and so are the buckets of
    a rule with shards, each by its number."""

    tenant: str
    kind: str
    identity: str
    apart: str = ""
    shard: int | None = None

    @property
    def key(self) -> str:
        """Where the bucket stands; containers of two versions of the code must agree on it."""
        parts = [self.tenant, self.kind, self.identity, *([self.apart] if self.apart else [])]
        if self.shard is not None:
            parts.append(str(self.shard))
        return sha256(json.dumps(parts).encode()).hexdigest()[:40]


CountsAs = tuple[str, str, int, tuple[int, ...]]
"""A rule's name, algorithm and window, and of a bucket its limit and burst."""


class Rule(NamedTuple):
    """One rule of a version."""

    name: str
    endpoint: str
    identifiers: tuple[str, ...]
    cost: int
    closed: bool
    shadow: bool
    lease: int
    shards: int
    terms: Terms

    @property
    def holds(self) -> bool:
        """Whether it is of what is in flight."""
        return self.terms.algorithm == "concurrency"

    @property
    def id(self) -> str:
        """What its attributes of a bucket end with; see Owner.key."""
        name = f"{self.name}|{self.terms.algorithm}|{self.terms.window // SECOND}"
        if self.terms.bucket:
            name += f"|{self.terms.amount}|{self.terms.burst}"
        return blake2b(name.encode(), digest_size=6).hexdigest()

    @property
    def counts_as(self) -> CountsAs:
        """What an edit must keep for the rule to go on with what was taken."""
        terms = self.terms
        measure = (terms.amount, terms.burst) if terms.bucket else ()
        return self.name, terms.algorithm, terms.window, measure

    def owner(self, asked: Asked) -> Owner | None:
        """Whose bucket a request comes under by this rule, if it does."""
        kind = next((kind for kind in self.identifiers if kind in asked.identities), None)
        if kind is None or self.endpoint not in ("/**", asked.endpoint):
            return None
        apart = self.name if self.shadow or self.shards else ""
        return Owner(asked.tenant, kind, asked.identities[kind], apart)


Counted = tuple[Owner, CountsAs]
"""Whose limit, and what it counts as."""


class Check(NamedTuple):
    """A check or an adjustment as the oracle sees it. `clock` is its container's, in ns; `rules`
    are those that it comes under, each with whose bucket that is."""

    id: str
    container: str
    asked: Asked
    clock: int
    rules: Sequence[tuple[Rule, Owner]]

    def cost(self, rule: Rule) -> int:
        """What it costs by a rule."""
        return self.asked.cost * rule.cost

    @property
    def impossible(self) -> list[Rule]:
        """Rules that it is above for good."""
        return [rule for rule, _ in self.rules if self.cost(rule) > rule.terms.at_once]

    @property
    def together(self) -> set[Owner]:
        """Whose buckets it takes from, all or none."""
        return {owner for rule, owner in self.rules if not rule.shadow}

    def of(self, owner: Owner) -> list[Rule]:
        """The rules that are counted in one bucket."""
        return [rule for rule, own in self.rules if own == owner]


class Book(NamedTuple):
    """The rules of a version, and whom they do not concern, by kind and name."""

    rules: list[Rule]
    allow: list[list[str]]
    deny: list[list[str]]

    def standing(self, asked: Asked) -> str | None:
        """What a request is, whatever the rules say."""
        names = {
            (kind, name)
            for kind, identity in asked.identities.items()
            for name in (identity, NETWORKS.get(identity))
        }
        for standing, listed in (("denied", self.deny), ("allowed", self.allow)):
            if any((kind, name) in names for kind, name in listed):
                return standing
        return None


NETWORKS = {"192.0.2.7": "192.0.2.0/24"}
"""Which network an address is of, where that may be on a list."""


def parsed(text: str) -> Book:
    """A version from how it is kept; of a tenant without any, nothing but no rules."""
    told = json.loads(text) or {"rules": []}
    rules = [_rule({**_DEFAULTS, **each}) for each in told["rules"]]
    return Book(rules, told.get("allow", []), told.get("deny", []))


def _rule(told: Mapping[str, Any]) -> Rule:
    window, burst = told["window"] * SECOND, told["burst"] or told["limit"]
    terms = Terms(told["algorithm"], told["limit"], window, burst)
    names = ("name", "endpoint", "cost", "closed", "shadow", "lease", "shards")
    own = {name: told[name] for name in names}
    return Rule(identifiers=tuple(told["identifiers"]), terms=terms, **own)


# ---- The log ----------------------------------------------------------------------------------


def _fold(before: State, kind: str, data: dict[str, Any]) -> State:
    new: State = {"events": 0, "published": [], "newest": "", "active": None, "holding": "[]"}
    state = {**new, **before}
    state["events"] += 1
    published = {number: version for number, _, version in state["published"]}
    if kind == "RulesPublished":
        if data["number"] != max(published, default=0) + 1:
            raise Violation("versions are numbered one after the other", str(data))
        entry = [data["number"], data["digest"], state["events"]]
        return {**state, "published": [*state["published"], entry], "newest": data["rules"]}
    back = state["active"] is not None and data["number"] < state["active"]
    if data["number"] not in published or back != (kind == "RulesRolledBack"):
        raise Violation("what is activated was published", f"{kind} {data} after {state}")
    if data["number"] == state["active"]:
        raise Violation("what changes nothing is no event", f"{kind} {data}")
    return {**state, "active": data["number"], "holding": data["rules"]}


CAPABILITY = Capability(
    name="ratelimiter",
    events="RatelimiterEvents",
    # It has none yet, nor anything that follows from them.
    views="",
    view="",
    projector="",
    sweep="",
    queues=(),
    snapshot_every=1,
    ring=RING,
    fold=_fold,
    ended=lambda state: False,
    row=lambda version, state: {},
    publisher="",
    tells=lambda stream, commit: None,
)


class Rules:
    """Every tenant's rules through the run."""

    def __init__(self, world: World) -> None:
        self.log = Log(world, CAPABILITY)
        self._world = world
        self._table = physical(world.deployed.names, CAPABILITY.events)
        self._told: dict[tuple[str, str], tuple[int, int]] = {}
        world.heard.append(self._heard)
        # After the log, which by then knows the commit.
        world.watchers.append(self._activated)

    def _heard(
        self,
        container: Container,
        operation: str,
        params: Mapping[str, Any],
        answer: Mapping[str, Any],
    ) -> None:
        if (container.function, operation) != (CHECK, "Query"):
            return
        tenant = params["ExpressionAttributeValues"][":stream"]["S"].split("#")[1]
        version = int(answer["Items"][0]["n"]["N"]) if answer["Items"] else 0
        self._told[container.name, tenant] = version, self._world.now

    def _activated(self, change: Change) -> None:
        if change.table != self._table:
            return
        tenant = change.new["pk"]["S"].split("#")[1]
        for kind, _, data in json.loads(change.new["e"]["S"]):
            if data["rules"] != self.text(tenant, data["number"]):
                raise Violation("a version's rules are those that were published", f"{kind} {data}")

    def known_by(self, container: Container, tenant: str) -> Book | None:
        """The version that a container was told last; None if it never was."""
        if (container.name, tenant) not in self._told:
            return None
        version, _ = self._told[container.name, tenant]
        return parsed(self.log.state(stream_id(tenant), version).get("holding", "[]"))

    def check(self, container: Container) -> Check:
        """What a container is asked, as it has to see that."""
        invocation = container.invocation
        asked = Asked.of(invocation.event)
        book = self.known_by(container, asked.tenant)
        rules = book.rules if book else []
        fit = [(rule, owner) for rule in rules if (owner := rule.owner(asked)) is not None]
        clock = (_decided_at(invocation) + container.skew) * MILLI
        return Check(invocation.id, container.name, asked, clock, fit)

    def check_fresh(self, container: Container, tenant: str) -> None:
        """What a container goes by held at some time of the last half minute, unless it asked and
        got no answer."""
        version, told = self._told[container.name, tenant]
        if container.failed_at.get("Query", -1) > told:
            self._world.coverage.hit("rules", "kept for want of others")
            return
        since = container.invocation.begun - FRESH_MS - self._world.weather.staleness
        if version not in {each for each, _ in self.log.seen(stream_id(tenant), since)}:
            detail = f"{container.name} goes by version {version} of {tenant}, told at {told}"
            raise Violation("rules hold on for half a minute at most", detail)

    def text(self, tenant: str, number: int) -> str | None:
        """The rules of a published version; None if there is none of that number."""
        for commit in self.log.of(stream_id(tenant)):
            for kind, _, data in commit.events:
                if kind == "RulesPublished" and data["number"] == number:
                    return str(data["rules"])
        return None

    def actives(self, tenant: str, since: int) -> Sequence[int | None]:
        """The numbers of the versions that held since a true time."""
        seen = self.log.seen(stream_id(tenant), since)
        return [state.get("active") for _, state in seen]


def _decided_at(invocation: Invocation) -> int:
    """When a check looked at its clock: once its rules were read, or could not be."""
    calls = invocation.calls
    reads = next((place for place, name in enumerate(calls) if name != "Query"), len(calls))
    return invocation.looked[reads]
