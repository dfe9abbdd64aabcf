"""Who sends events: browsers with clocks of their own, a site's server, a shortener's queue."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from tests.simulation.analytics.owner import ORIGIN, OWNER, Owner
from tests.simulation.analytics.truth import CLICKERS, DAY_MS, HOUR_MS, Truth
from tests.simulation.world import World, physical
from tests.support.http_api import Response

ATTEMPTS = 4
CLOCKS = (0, 0, 0, -40_000, 400_000, -HOUR_MS, DAY_MS, -400 * DAY_MS)
"""How far browsers' clocks are ahead, in ms."""
AGES = (0, 0, 0, 3_000, 90_000, HOUR_MS, 20 * HOUR_MS, 30 * HOUR_MS)
"""How long ago what is sent happened, in ms."""
PACES = ((0, 0.1, 2, 30, 400), (0, 0.1, 2, 30, 400), (0, 0.01, 0.1, 0.5))
"""Seconds between what a sender sends."""
PAGES = ("/", "/docs", "/pricing")
NAMES = ("pageview", "pageview", "signup")
LINKS = ("spring", "summer")
USERS = ("ada", "bob")
ACCEPTED, GONE_ON = 202, (500, 502, 503, 504)

Body = dict[str, Any]


class Sender:
    """What senders have in common: batches of events, some of them again."""

    def __init__(self, world: World, truth: Truth, owner: Owner, name: str, batches: int) -> None:
        self.name = name
        self.world = world
        self.truth = truth
        self.owner = owner
        self.chance = world.plan.chance(name)
        self.batches = batches
        self.clock = self.chance.choice(CLOCKS)
        self.age = 0
        self.pace = world.plan.chance("pace").choice(PACES)
        self.private = False
        self._sent: list[Body] = []

    def run(self) -> None:
        """A sender's whole life."""
        for number in range(self.batches):
            self.world.sleep(self.chance.choice(self.pace))
            draw = self.chance.random()
            if self._sent and draw < 0.2:
                body = self.chance.choice(self._sent)
            elif self._sent and draw < 0.3:
                body = self._contradiction(self.chance.choice(self._sent))
            else:
                body = self._batch(number)
                self._sent.append(body)
            self._insist(body)

    def _batch(self, number: int) -> Body:
        now = self.world.now + self.clock
        body: Body = {
            "site": self.chance.choice(self.owner.sites),
            "events": [
                self._event(f"{self.name}.{number}.{place}", now)
                for place in range(self.chance.randint(1, 4))
            ],
        }
        # Whose clock is far off, and who does not say what it says, is refused, and rightly.
        if self.clock or self.chance.random() < 0.5:
            body["sent_at"] = now
        return body

    def _event(self, id: str, now: int) -> Body:
        event: Body = {"event_type": self.chance.choice(NAMES), "page": self.chance.choice(PAGES)}
        if self.chance.random() < 0.9:
            event["id"] = id
        if self.chance.random() < 0.8:
            at = now - self.chance.choice(AGES) - self.age
            event["timestamp"] = _rfc3339(at) if self.chance.random() < 0.3 else at
        if self.chance.random() < 0.1:
            event["page"] = 5
        if self.chance.random() < 0.2:
            event["metadata"] = {"plan": "pro"}
        if self.private:
            event["page"] = "/private"
        return event

    def _contradiction(self, body: Body) -> Body:
        """The same ids and times, and something else."""
        events = [{**event, "page": "/other"} for event in body["events"] if "id" in event]
        return {**body, "events": events or body["events"]}

    def _insist(self, body: Body) -> None:
        self._note(body)
        for attempt in range(ATTEMPTS):
            answer = self.ask(body)
            if answer is not None and answer.status not in GONE_ON:
                self._answered(body, answer)
                return
            self.world.sleep(self.chance.choice((0.2, 3, 700)) * (attempt + 1))

    def ask(self, body: Body) -> Response | None:
        raise NotImplementedError

    def _note(self, body: Body) -> None:
        asked = self.truth.asked
        for event in body["events"]:
            if "id" not in event:
                continue
            key = body["site"], event["id"]
            if self.private:
                asked.private.add(key)
            asked.bodies[key].add((event["event_type"], event["page"]))

    def _answered(self, body: Body, answer: Response) -> None:
        if answer.status != ACCEPTED:
            return
        said = answer.json()
        rejected = {each["index"] for each in said["rejected"]}
        for place, event in enumerate(body["events"]):
            if "id" in event and place not in rejected and not said["ignored"]:
                self.truth.asked.promised.add((body["site"], event["id"]))


class Browser(Sender):
    """A visitor's browser; one in six asks not to be followed."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.private = self.chance.random() < 1 / 6

    def ask(self, body: Body) -> Response | None:
        headers = {
            "origin": ORIGIN if self.chance.random() < 0.95 else "https://elsewhere.example",
            "user-agent": f"Mozilla/5.0 (X11; Linux x86_64) {self.name}",
            "cloudfront-viewer-country": self.chance.choice(("DE", "FR")),
            "content-type": "text/plain",
        }
        if self.private:
            headers["sec-gpc"] = "1"
        return self.world.request("POST", "/v1/track", body=json.dumps(body), headers=headers)


class Server(Sender):
    """A site's own server, which knows some of its users."""

    def _event(self, id: str, now: int) -> Body:
        event = super()._event(id, now)
        if self.chance.random() < 0.4:
            event["user_id"] = self.chance.choice(USERS)
        return event

    def ask(self, body: Body) -> Response | None:
        content = {name: value for name, value in body.items() if name != "site"}
        return self.world.request(
            "POST",
            f"/v1/sites/{body['site']}/events",
            claims={"sub": OWNER, "custom:scopes": "analytics:write"},
            body=json.dumps(content),
            headers={"content-type": "application/json"},
        )


class Shortener:
    """A shortener's click queue, each message at least once."""

    def __init__(self, world: World, truth: Truth, clicks: int) -> None:
        self.name = "shortener"
        self._world = world
        self._truth = truth
        self._clicks = clicks
        self._chance = world.plan.chance(self.name)
        self._queue = physical(world.deployed.names, "ShortenerClicks")

    def run(self) -> None:
        """All of its clicks."""
        for number in range(self._clicks):
            self._world.sleep(self._chance.choice((0, 0.1, 5, 300)))
            click = self._click(number)
            for _ in range(self._chance.choice((1, 1, 2))):
                body = {"QueueUrl": self._queue, "MessageBody": json.dumps(click)}
                self._world.calling = None
                self._world.sqs.call("SendMessage", body)

    def _click(self, number: int) -> Body:
        id, code = f"{number:024x}", self._chance.choice(LINKS)
        self._truth.asked.bodies[f"link:default/{code}", id].add(("click", None))
        self._truth.asked.promised.add((f"link:default/{code}", id))
        return {
            "id": id,
            "type": "LinkClicked",
            "schema": 1,
            "stream": f"link#default#{code}",
            "version": 1,
            "time": self._world.now - self._chance.choice((0, 0, 5_000, 26 * HOUR_MS)),
            "tenant": "default",
            "correlation": id,
            "data": {
                "domain": "default",
                "code": code,
                "kind": self._chance.choice(("human", "human", "bot")),
                "url": "https://shop.example/sale",
                "visitor": self._chance.choice(CLICKERS),
                "agent": "Mozilla/5.0 (X11; Linux x86_64)",
            },
        }


def senders(world: World, truth: Truth, owner: Owner, wave: str = "") -> list[Browser | Server]:
    """The browsers and servers of one run."""
    chance = world.plan.chance(f"senders{wave}")
    batches = chance.choice((2, 4, 8))
    browsers = [
        Browser(world, truth, owner, f"browser{wave}.{place}", batches)
        for place in range(chance.choice((1, 2, 4)))
    ]
    servers = [
        Server(world, truth, owner, f"server{wave}.{place}", batches)
        for place in range(chance.choice((0, 1)))
    ]
    return [*browsers, *servers]


def _rfc3339(at: int) -> str:
    moment = datetime.fromtimestamp(at / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
