"""Who asks so often for one identity that its limit leases, or has shards."""

from __future__ import annotations

import json
from typing import Any

from tests.simulation.ratelimiter.adjusters import ADJUST
from tests.simulation.ratelimiter.callers import ask, claims
from tests.simulation.ratelimiter.operators import Draft
from tests.simulation.ratelimiter.spreading import SPREAD
from tests.simulation.world import World

HOT, ADJUSTED = "ada", "ben"
"""Whose requests cost what they were asked for, and whose cost less afterwards: what is given back
may be allowed, leases or none."""


class Rusher:
    """A gateway in a rush: many requests of one user at once, then none for a while."""

    def __init__(self, world: World, place: int, rushes: int) -> None:
        self.name = f"rusher.{place}"
        self._world = world
        self._rushes = rushes
        self._chance = world.plan.chance(self.name)
        self._adjusted = 0

    def run(self) -> None:
        """Rush after rush; most at the same endpoint."""
        favourite = self._chance.choice((*LEASING, *ENDPOINTS))
        for _ in range(self._rushes):
            endpoint = self._chance.choice((favourite, favourite, *ENDPOINTS))
            user = self._chance.choice((HOT, HOT, HOT, ADJUSTED))
            pause = self._chance.choice((0, 0, 0.02, 0.2))
            for _ in range(self._chance.choice((6, 12, 25))):
                self._ask(endpoint, user)
                self._world.sleep(pause)
            self._world.sleep(self._chance.choice((0.1, 0.5, 1.1, 4)))

    def _ask(self, endpoint: str, user: str) -> None:
        # Each write is of one endpoint's limits, so that it can be told what it was for.
        asked = {"endpoint": endpoint, "user": f"{user}{endpoint}", "tenant": "org"}
        cost = self._chance.choices((1, 2, 3, 5), (12, 2, 2, 1))[0]
        answer = ask(self._world, SPREAD, cost=cost, **asked)
        if user == ADJUSTED and answer is not None and self._chance.random() < 0.2:
            more = self._chance.choice((-cost, -cost, 2))
            self._adjust({**asked, "cost": more})

    def _adjust(self, content: dict[str, Any]) -> None:
        self._adjusted += 1
        self._world.request(
            "POST",
            ADJUST,
            claims=claims(SPREAD),
            body=json.dumps(content),
            headers={"idempotency-key": f"{self.name}.{self._adjusted}"},
        )


def _rule(name: str, endpoint: str, limit: int, window: int, **more: Any) -> dict[str, Any]:
    return {"name": name, "endpoint": endpoint, "limit": limit, "window": window, **more}


def spread() -> Draft:
    """A first version: leases of what fills fast and slowly, two of one bucket, one beside what
    does not lease; shards that share evenly and not, and beside another limit."""
    rules = [
        _rule("fast", "/fast", 20, 1, burst=10, lease=5),
        _rule("slow", "/slow", 20, 60, lease=8),
        _rule("second", "/twice", 30, 1, lease=4),
        _rule("minute", "/twice", 90, 60, burst=40, lease=6),
        _rule("leasing", "/mixed", 30, 5, lease=4),
        _rule("ours", "/mixed", 40, 5, identifiers=["tenant"]),
        _rule("uneven", "/uneven", 11, 5, shards=3),
        _rule("deep", "/deep", 8, 2, burst=18, shards=4),
        _rule("few", "/few", 7, 60, burst=12, shards=4),
        _rule("sharded", "/beside", 12, 5, shards=2),
        _rule("beside", "/beside", 20, 2),
    ]
    return {"rules": rules, "allow": [], "deny": []}


ENDPOINTS = tuple(dict.fromkeys(rule["endpoint"] for rule in spread()["rules"]))
LEASING = ("/fast", "/slow", "/twice")
LONE = ("/fast", "/slow", "/twice", "/uneven", "/few", "/few")
"""Where who waits as long as told is let through, if nobody else asks for him."""


def widen(draft: Draft, chance: Any) -> None:
    """Changes how fast one of the limits fills."""
    rule = chance.choice(draft["rules"])
    rule.setdefault("burst", rule["limit"])
    rule["limit"] = chance.choice((rule["limit"], 2 * rule["limit"], max(9, rule["limit"] // 2)))


def rushers(world: World) -> list[Rusher]:
    """Those of one run."""
    chance = world.plan.chance("rushers")
    number = chance.choice((1, 2, 4, 6))
    return [Rusher(world, n, chance.choice((4, 8))) for n in range(number)]
