"""Who tells later what a request came to cost, and when it is over."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.simulation.ratelimiter.callers import NAMES, ask, claims
from tests.simulation.ratelimiter.operators import ATTEMPTS, Draft, draft
from tests.simulation.world import Violation, World
from tests.support.http_api import Response

ADJUST = "/v1/adjust"
ADJUSTED = "till"
"""The tenant whose requests cost what is known later."""
ENDPOINTS = ("/search", "/search", "/login", "/pair", "/upload", "/upload")
FEW = (NAMES[0], NAMES[0], NAMES[1], NAMES[2], NAMES[6])
"""Who comes: so few that they meet in the same buckets."""
MALFORMED: tuple[tuple[str, dict[str, str], int], ...] = (
    ('{"endpoint": "/search", "user": "ada", "cost": -1}', {}, 428),
    ('{"endpoint": "/search", "user": "ada", "cost": 0}', {"idempotency-key": "0"}, 422),
    ('{"endpoint": "/search", "user": "ada"}', {"idempotency-key": "0"}, 422),
    ("{", {"idempotency-key": "0"}, 400),
)
NOBODYS = "0123456789abcdef"
"""A slot that nobody was told."""


@dataclass
class Adjustment:
    """What somebody wants adjusted; the same through all its attempts."""

    key: str
    content: dict[str, Any]
    acknowledged: bool = False


class Adjuster:
    """A gateway that asks first, and adjusts once it knows more."""

    def __init__(self, world: World, place: str, rounds: int) -> None:
        self.name = f"adjuster.{place}"
        self._world = world
        self._rounds = rounds
        self._chance = world.plan.chance(self.name)
        self._sent: list[Adjustment] = []
        self._held: list[dict[str, Any]] = []

    def run(self) -> None:
        """Asks, and does what comes of it."""
        for _ in range(self._rounds):
            asked = self._asked()
            answer = ask(self._world, ADJUSTED, **asked)
            if answer is not None and answer.status == 200:
                self._allowed(asked, answer)
            if answer is not None and answer.status == 429 and self._chance.random() < 0.3:
                self._come_back(asked)
            makers = {
                self._charge: 3,
                self._give_back: 5,
                self._release: 5,
                self._repeat: 3,
                self._reuse: 1,
                self._release_nothing: 1,
                self._ask_wrongly: 1,
                self._nothing: 4,
            }
            [maker] = self._chance.choices(list(makers), list(makers.values()))
            maker(asked)
            self._world.sleep(self._chance.choice((0, 0, 0, 0.03, 0.4, 2, 25)))

    def _asked(self) -> dict[str, Any]:
        endpoint = self._chance.choice(ENDPOINTS)
        asked: dict[str, Any] = {"endpoint": endpoint, **self._chance.choice(FEW)}
        if endpoint in ("/pair", "/upload") or self._chance.random() < 0.2:
            asked["tenant"] = "org"
        if self._chance.random() < 0.2:
            asked["cost"] = self._chance.choice((2, 3))
        return asked

    def _allowed(self, asked: dict[str, Any], answer: Response) -> None:
        if slot := answer.json().get("slot"):
            whose = {name: value for name, value in asked.items() if name != "cost"}
            self._held.append({**whose, "slot": slot})

    def _come_back(self, asked: dict[str, Any]) -> None:
        """Gives back what was too much, and asks again when no denial is believed any more: until
        then it takes from other limits of the same identity."""
        self._give_back(asked)
        others = [each for each in ENDPOINTS if each != asked["endpoint"]]
        for _ in range(4):
            ask(self._world, ADJUSTED, **{**asked, "endpoint": self._chance.choice(others)})
            self._world.sleep(0.4)
        ask(self._world, ADJUSTED, **asked)

    # ---- What may come of it ------------------------------------------------------------------

    def _charge(self, asked: dict[str, Any]) -> None:
        self._adjust(asked, self._chance.choice((1, 1, 2, 5, 30, 30)))

    def _give_back(self, asked: dict[str, Any]) -> None:
        cost = asked.get("cost", 1)
        self._adjust(asked, -self._chance.choice((cost, cost, 1, 3, 40)))

    def _release(self, asked: dict[str, Any]) -> None:
        """What is held, perhaps for a long time; perhaps not for the last time."""
        if self._held:
            held = self._chance.choice((self._held[0], self._held[-1]))
            if self._chance.random() < 0.8:
                self._held.remove(held)
            self._insist(held, {})

    def _repeat(self, asked: dict[str, Any]) -> None:
        if self._sent:
            self._send(self._chance.choice(self._sent[-4:]))

    def _reuse(self, asked: dict[str, Any]) -> None:
        """The key of another adjustment."""
        known = [each for each in self._sent if each.acknowledged]
        if known:
            content = {**known[-1].content, "cost": known[-1].content["cost"] - 1 or -1}
            answer = self._insist(content, {"idempotency-key": known[-1].key})
            if answer is not None and answer.status not in (409, 422):
                raise Violation("a key is of one adjustment", answer.text)

    def _release_nothing(self, asked: dict[str, Any]) -> None:
        """A slot that is not held there: nobody's, or another identity's."""
        slot = self._held[-1]["slot"] if self._held else NOBODYS
        whose = {**self._asked(), "endpoint": "/upload"}
        whose.pop("cost", None)
        self._insist({**whose, "slot": self._chance.choice((slot, NOBODYS))}, {})

    def _ask_wrongly(self, asked: dict[str, Any]) -> None:
        body, key, expected = self._chance.choice(MALFORMED)
        answer = self._post(body, key)
        if answer is not None and answer.status not in (expected, 500):
            raise Violation("what cannot be adjusted is refused", f"{body}: {answer.text}")

    def _nothing(self, asked: dict[str, Any]) -> None:
        """It cost what it was asked for."""

    # ---- How it is asked for ------------------------------------------------------------------

    def _adjust(self, asked: dict[str, Any], cost: int) -> None:
        key = f"{self.name}.{len(self._sent)}"
        self._sent.append(Adjustment(key, {**asked, "cost": cost}))
        if self._chance.random() < 0.1:
            # Who has gone away since adjusts it much later.
            return
        self._send(self._sent[-1])

    def _send(self, adjustment: Adjustment) -> None:
        answer = self._insist(adjustment.content, {"idempotency-key": adjustment.key})
        if answer is None or answer.status == 409:
            return
        if answer.status != 200:
            raise Violation("what can be adjusted is", answer.text)
        adjustment.acknowledged = True

    def _insist(self, content: dict[str, Any], headers: dict[str, str]) -> Response | None:
        for attempt in range(ATTEMPTS):
            answer = self._post(json.dumps(content), headers)
            if answer is not None and answer.status < 500:
                return answer
            self._world.sleep(self._chance.random() * 2**attempt)
        return None

    def _post(self, body: str, headers: dict[str, str]) -> Response | None:
        who = claims(ADJUSTED)
        return self._world.request("POST", ADJUST, claims=who, body=body, headers=headers)


def till(chance: Any) -> Draft:
    """A first version: what others have, and what is in flight by one identity, by two, and beside
    what is counted in the same bucket."""
    first = draft(chance)
    for name, endpoint, identifier, limit in (
        ("mine-at-once", "/upload", "user", 2),
        ("ours-at-once", "/upload", "tenant", 4),
        ("beside", "/pair", "user", 3),
    ):
        first["rules"].append(
            {
                "name": name,
                "endpoint": endpoint,
                "limit": limit,
                "window": chance.choice((5, 20, 60)),
                "algorithm": "concurrency",
                "identifiers": [identifier],
                # Or an edit may make it the same as another rule.
                "methods": ["GET"],
                "fail": chance.choice(("open", "closed")),
            }
        )
    return first


def adjusters(world: World, wave: str) -> list[Adjuster]:
    """Those of one wave."""
    chance = world.plan.chance(f"adjusters{wave}")
    number = chance.choice((1, 3, 5))
    return [Adjuster(world, f"{wave}{n}", chance.choice((5, 8, 15))) for n in range(number)]
