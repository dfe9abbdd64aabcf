"""The guard of our own routes: how often each caller may use each, by rules.

A user's requests are counted in a table that all functions share. Requests of nobody we know, and
those of a service that asks on behalf of many, are counted in the container alone: approximate, and
without a call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from functions.edge.limits.buckets import Buckets
from functions.edge.limits.headers import quota, refusal
from functions.edge.limits.limiter import Limiter
from functions.edge.limits.memory import Memory
from functions.edge.limits.rules import Asked, Rule
from functions.edge.runtime import Runtime
from functions.edge.settings import InvalidSettings, settings

if TYPE_CHECKING:
    from functions.edge.http import Request, Route

DEFAULT = (
    Rule("user", "/**", limit=5, window=1, burst=300, identifiers=("user",)),
    # Many people share an address (RFC 6269, "Issues with IP Address Sharing").
    Rule("address", "/**", limit=50, window=1, burst=600, identifiers=("ip",)),
    Rule("service", "/**", limit=1000, window=1, burst=3000, identifiers=("service",)),
)
"""Unless a deployment has rules of its own: for each route so many at once, then so many a second,
of a user, of an address where no token is asked for, of a service."""


class Settings(NamedTuple):
    """What a function is told: the table of all users' buckets, none to count in containers alone,
    and rules as `guarding` reads them, else the default ones."""

    limits_table: str = ""
    guard_rules: str = ""


class Guard:
    """What one container's routes are guarded by."""

    def __init__(self, runtime: Runtime) -> None:
        config = settings(Settings, runtime.env)
        self._rules = _rules(config.guard_rules)
        self._now = runtime.now
        self._here = Limiter(Memory())
        self._shared = self._here
        if config.limits_table:
            self._shared = Limiter(
                Buckets(partial(runtime.client, "dynamodb"), config.limits_table), runtime.entropy
            )

    def admit(self, key: str, route: Route, request: Request) -> Mapping[str, str]:
        """The quota headers of a request on the route of a key ("GET /v1/links"), where others than
        this container count too. Raises a 429 Problem, or a 503 one by a rule that says so."""
        if not self._rules:
            return {}
        method, _, path = key.partition(" ")
        identities, limiter = self._caller(route, request)
        tier = request.identity.tier if request.identity else "free"
        asked, now = Asked(path, method, identities, tier), self._now()
        decisions = limiter.check(key, self._rules, asked, now)
        request.log.count("guarded", sum(not decision.allows for decision in decisions))
        request.log.count("unguarded", sum(decision.verdict is None for decision in decisions))
        if problem := refusal(decisions, now):
            raise problem
        return quota(decisions, now) if limiter is not self._here else {}

    def _caller(self, route: Route, request: Request) -> tuple[Mapping[str, str], Limiter]:
        if route.service:
            caller = request.identity.user if request.identity else request.network
            return {"service": caller}, self._here
        if route.scope is None:
            return {"ip": request.network}, self._here
        return {"user": request.caller.user, "tenant": request.caller.tenant}, self._shared


def _rules(text: str) -> Sequence[Rule]:
    if not text:
        return DEFAULT
    # The default ones are known to be valid.
    from functions.edge.limits.validity import guarding

    try:
        return guarding(text)
    except ValueError as error:
        raise InvalidSettings(f"GUARD_RULES is not valid: {error}") from error
