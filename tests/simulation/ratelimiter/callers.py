"""Who asks whether a request may go on: many at once for few identities, and some alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tests.simulation.ratelimiter.operators import ALGORITHMS, Draft
from tests.simulation.world import Violation, World
from tests.support.http_api import Response

CHECK = "/v1/check"
HOT, ALONE = "acme", "quiet"
"""The tenant whose rules change and whose identities many share, and the one where each caller has
an identity of its own."""
NAMES: tuple[dict[str, str], ...] = (
    {"user": "ada"},
    {"user": "\uff41\uff44\uff41"},
    {"user": "bob", "ip": "203.0.113.7"},
    {"ip": "203.0.113.7"},
    {"ip": "2001:db8:1:2::9"},
    {"ip": "2001:db8:1:2:3::4"},
    {"user": "vip", "ip": "192.0.2.7"},
    {"user": "mallory"},
)
ENDPOINTS = ("/search", "/search", "/login", "/pair", "/elsewhere")
MALFORMED: tuple[tuple[str, int], ...] = (
    ('{"endpoint": "/search", "user": "ada", "cost": 0}', 422),
    ('{"endpoint": "search"}', 422),
    ("{", 400),
)
LATE = 30
"""Seconds after which no request that somebody gave up on is under way any more."""


class Caller:
    """A gateway that serves requests of the hot tenant."""

    def __init__(self, world: World, place: str, checks: int, crowd: bool) -> None:
        self.name = f"caller.{place}"
        self._world = world
        self._checks = checks
        self._chance = world.plan.chance(self.name)
        self._obeys = self._chance.random() < 0.5
        self._crowd = crowd
        self._favourite = self._chance.choice(ENDPOINTS)

    def run(self) -> None:
        """Asks and asks, in bursts."""
        for _ in range(self._checks):
            if self._chance.random() < 0.03:
                self._ask_wrongly()
            answer = ask(self._world, HOT, **self._asked())
            if answer is not None and answer.status == 429 and self._obeys:
                self._world.sleep(int(answer.headers.get("retry-after", 0)))
            pauses = (0,) if self._crowd else (0, 0, 0, 0.03, 0.4, 2, 25)
            self._world.sleep(self._chance.choice(pauses))

    def _asked(self) -> dict[str, Any]:
        if self._crowd:
            return {"endpoint": "/crowd", "user": "ada"}
        endpoint = self._chance.choice((self._favourite, *ENDPOINTS))
        asked: dict[str, Any] = {"endpoint": endpoint, **self._chance.choice(NAMES)}
        if endpoint == "/pair" or self._chance.random() < 0.2:
            asked["tenant"] = "org"
        if self._chance.random() < 0.2:
            asked["cost"] = self._chance.choice((2, 3, 8))
        return asked

    def _ask_wrongly(self) -> None:
        body, expected = self._chance.choice(MALFORMED)
        answer = self._world.request("POST", CHECK, claims=claims(HOT), body=body)
        if answer is not None and answer.status not in (expected, 500):
            raise Violation("what cannot be asked is refused", f"{body}: {answer.text}")


class Loner:
    """A caller whose identity is nobody else's, under rules that stay: it takes until it is denied,
    waits as long as it is told, and then is let through."""

    def __init__(
        self, world: World, place: str, rounds: int, tenant: str, endpoints: Sequence[str]
    ) -> None:
        self.name = f"loner.{place}"
        self._world = world
        self._tenant = tenant
        self._endpoints = endpoints
        self._rounds = rounds
        self._chance = world.plan.chance(self.name)

    def run(self) -> None:
        """Each round under one rule, or several."""
        for _ in range(self._rounds):
            endpoint = self._chance.choice(self._endpoints)
            cost = self._chance.choice((1, 1, 2))
            waited = False
            for _ in range(12):
                answer = self._ask(endpoint, cost)
                self._check(answer, waited)
                denied = answer is not None and answer.status == 429
                waited = denied and not self._world.met[self.name]
                self._wait(answer)
            self._world.sleep(self._chance.choice((0, 1, 30)))

    def _ask(self, endpoint: str, cost: int) -> Response | None:
        self._world.met[self.name] = []
        return ask(self._world, self._tenant, endpoint=endpoint, user=self.name, ip=IP, cost=cost)

    def _check(self, answer: Response | None, waited: bool) -> None:
        if not waited or answer is None or self._world.met[self.name]:
            return
        if answer.status != 200:
            raise Violation("who waits as long as told is let through", answer.text)
        self._world.coverage.hit("checks", "waited, and let through")

    def _wait(self, answer: Response | None) -> None:
        if answer is None:
            self._world.sleep(LATE)
        elif answer.status == 429:
            # The clock of the next container may be behind by twice the skew.
            skew = 2 * self._world.weather.skew / 1000
            self._world.sleep(int(answer.headers["retry-after"]) + skew)
        elif self._chance.random() < 0.2:
            self._world.sleep(self._chance.choice((0.3, 1.7)))


IP = "198.51.100.1"
_RULES: list[dict[str, Any]] = [
    *(
        {
            "name": algorithm,
            "endpoint": f"/{algorithm}",
            "limit": 3,
            "window": window,
            "algorithm": algorithm,
        }
        for algorithm, window in zip(ALGORITHMS, (2, 5, 20, 7, 13), strict=True)
    ),
    {"name": "second", "endpoint": "/both", "limit": 2, "window": 1, "algorithm": "fixed_window"},
    {"name": "minute", "endpoint": "/both", "limit": 7, "window": 60},
]
STEADY: Draft = {"rules": _RULES, "allow": [], "deny": []}
"""What holds for who is alone."""
LONE = tuple(rule["endpoint"] for rule in _RULES)
"""Where who is alone asks."""


def ask(world: World, scope: str, **asked: Any) -> Response | None:
    """One check; None where no answer comes."""
    return world.request("POST", CHECK, claims=claims(scope), body=json.dumps(asked))


def claims(tenant: str) -> dict[str, str]:
    """What the token of a tenant's gateway says."""
    return {"sub": "gateway", "custom:tenant": tenant, "custom:scopes": "ratelimiter:write"}


def callers(world: World, wave: str) -> list[Caller]:
    """Those of one wave; in some seeds they all crowd about one bucket."""
    chance = world.plan.chance(f"callers{wave}")
    crowd = chance.random() < 0.1
    number = 9 if crowd else chance.choice((1, 2, 4, 6))
    return [Caller(world, f"{wave}{n}", chance.choice((8, 15, 25)), crowd) for n in range(number)]
