"""Who follows links: people and machines, by a browser or a form, many at one link.

They check nothing themselves: redirects.py holds every answer to its promise, also one that its
visitor never gets.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from tests.simulation.shortener.clients import Shared
from tests.simulation.shortener.links import PASSWORD
from tests.simulation.shortener.redirects import GUESSES, STALE_MS
from tests.simulation.world import World

PERSON = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X)"
AGENTS = (PERSON, PERSON, PERSON, IPHONE, IPHONE, "Googlebot/2.1", "Slackbot 1.0", "curl/8")
FORM = {"content-type": "application/x-www-form-urlencoded"}
CROWD = 3
LATE = 4
"""With so many visits of the regular one everything that is remembered becomes too old."""


@dataclass(frozen=True)
class Visitor:
    """Somebody who follows links of others; a `regular` the same one every few seconds."""

    name: str
    world: World
    shared: Shared
    visits: int
    regular: bool

    def run(self) -> None:
        """The visitor's whole life."""
        chance, world = self.world.plan.chance(f"visitor/{self.name}"), self.world
        for number in range(self.visits):
            # Who comes back just when a container asks again finds out whether that goes back.
            world.sleep(chance.choice((4.2, 5, 5.5) if self.regular else (0, 0, 0, 0.3, 2, 6)))
            if world.blind and self.regular and number % LATE == LATE - 1:
                world.sleep(1.1 * STALE_MS / 1000)
            if not (codes := list(self.shared.codes)):
                continue
            special = list(self.shared.guarded)
            # Many at one link is what caps, memories and guesses are about.
            code = codes[0] if self.shared.hot or self.regular else chance.choice(codes)
            if self.regular and self.shared.led:
                code = self.shared.led
            if special and not self.regular and chance.random() < 0.6:
                code = special[-1] if chance.random() < 0.7 else chance.choice(special)
            headers = {
                "user-agent": chance.choice(AGENTS),
                "x-correlation-id": f"{self.name}.{number}",
            }
            if chance.random() < 0.05:
                headers["sec-purpose"] = "prefetch"
            password = chance.choice((PASSWORD, PASSWORD, "wrong"))
            body = urlencode({"password": password})
            if chance.random() < 0.05:
                # Who guesses does not wait.
                for _ in range(GUESSES + 1):
                    world.request("POST", f"/{code}", body=body, headers={**headers, **FORM})
            match chance.choice(("GET",) * 12 + ("POST",) * 5 + ("HEAD", "+")):
                case "POST":
                    world.request("POST", f"/{code}", body=body, headers={**headers, **FORM})
                case "+":
                    world.request("GET", f"/{code}+", headers=headers)
                case method:
                    world.request(method, f"/{code}", headers=headers)


def visitors(world: World, shared: Shared) -> list[Visitor]:
    """The visitors of one run."""
    visits = world.plan.chance("visitors").choice((8, 16))
    regular = Visitor("visitor.0", world, shared, 2 * visits, regular=True)
    others = (Visitor(f"visitor.{n}", world, shared, visits, False) for n in range(1, CROWD))
    return [regular, *others]
