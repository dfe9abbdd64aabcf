"""Who takes links down: standings of single links, bans over owners and hosts; and what must hold
of the links once the enforcement is through.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from tests.simulation.invariants import Log, Logged, State
from tests.simulation.shortener.clients import BAD_HOST, LINKS, LastBan, Shared
from tests.simulation.shortener.links import VERDICTS, hosts, shown, stream_id
from tests.simulation.world import Violation, World

HOSTS = (BAD_HOST, f"worse.{BAD_HOST}")
OWNERS = ("bob",)
BANS = (*(("host", host) for host in HOSTS), *(("owner", name) for name in OWNERS))
PROJECTED_MS = 2_000
"""Within which a ban is in the directory, when all is quiet."""
BINDS_MS = 5_000
"""From when on it binds new links (functions/shortener/README.md)."""
CLAIMS = {"sub": "moderator", "custom:scopes": "ops shortener:read shortener:write"}
REASONS = ("reported", "harm")
TRIES = 6
STEPS = 4


def ban_id(kind: str, value: str) -> str:
    """The stream of a ban."""
    return f"ban#{kind}#{value}"


class Moderator:
    """An operator at the API: warns of links, bans and lifts bans."""

    name = "moderator"

    def __init__(self, world: World, log: Log, shared: Shared) -> None:
        self._world = world
        self._log = log
        self._shared = shared
        self._count = 0

    def run(self) -> None:
        """The moderator's whole life."""
        chance = self._world.plan.chance(self.name)
        own = self._world.focus[0] in ("ShortenerEnforce", "ShortenerOps")
        strict = own or chance.random() < 0.5
        for _ in range(STEPS * (2 if own else 1)):
            self._world.sleep(chance.choice((0.5, 3, 12)))
            codes = list(self._shared.codes)
            if (strict and chance.random() < 0.7) or not codes:
                self._ban(chance)
            elif (his := [code for code in codes if self._is_banned_at_times(code)]) and strict:
                self._judge(chance, chance.choice(his), "quarantined")
            else:
                self._judge(chance, *self._judgement(chance, codes))

    def _judgement(self, chance: random.Random, codes: Sequence[str]) -> tuple[str, str]:
        """A link, and the standing that it gets."""
        if (guarded := list(self._shared.guarded)) and chance.random() < 0.4:
            # A warning must not tell what a password keeps back.
            return chance.choice(guarded), "quarantined"
        code = codes[0] if self._shared.hot else chance.choice(codes)
        return code, chance.choice(("quarantined", "banned", "clear", "clear"))

    def _is_banned_at_times(self, code: str) -> bool:
        """Whether a link's owner is, so that what it was judged before lies beneath."""
        return any(c.state["owner"] in OWNERS for c in self._log.of(stream_id(code))[-1:])

    def _judge(self, chance: random.Random, code: str, standing: str) -> None:
        reason = chance.choice(REASONS)
        body = {"standing": standing, "reason": "" if standing == "clear" else reason}
        answer = self._insist("PUT", f"{LINKS}/{code}/standing", body)
        if answer is None:
            return
        status, link = answer
        if status == 200:
            version = link["version"]
            state = self._log.state(stream_id(code), version)
            why = None if standing == "clear" else body["reason"]
            given = (state["standing"], state["reason"], state["ban"]) == (standing, why, None)
            if link != shown(state, version) or not given:
                raise Violation("a standing is what was judged", f"{body}: {link}")
        elif status not in (409, 410):
            raise Violation("an answer is one of the documented", f"{code} {body}: {answer}")

    def _ban(self, chance: random.Random) -> None:
        # Where an operator's own writes are in focus, one ban comes and goes.
        kind, value = chance.choice(BANS[:1] if self._world.focus[0] == "ShortenerOps" else BANS)
        if chance.random() < (0.2 if self._in_force(ban_id(kind, value)) else 0.8):
            self._impose(kind, value, chance.choice(REASONS))
        else:
            self._lift(kind, value)

    def ban_again(self) -> None:
        """Bans whom no ban is over, while those who shorten are at it."""
        kind, value = self._world.plan.chance(f"{self.name} again").choice(BANS)
        if self._in_force(ban_id(kind, value)):
            self._lift(kind, value)
        self._world.sleep(self._known_after() / 1000)
        self._impose(kind, value, REASONS[0])
        self._shared.last_ban = LastBan(kind, value, self._world.now + self._known_after())

    def _known_after(self) -> int:
        """Milliseconds until every container has read what it is told is in the directory."""
        return PROJECTED_MS + BINDS_MS + self._world.weather.staleness

    def _impose(self, kind: str, value: str, reason: str) -> None:
        body = {"kind": kind, "value": value, "reason": reason}
        answer = self._insist("POST", "/v1/bans", body)
        if answer is not None and answer[0] not in (200, 409):
            raise Violation("an answer is one of the documented", f"{body}: {answer}")
        if answer is not None and answer[0] == 200 and not self._log.of(ban_id(kind, value)):
            raise Violation("what is acknowledged is in the log", f"{body}")

    def _lift(self, kind: str, value: str) -> None:
        known = bool(self._log.of(ban_id(kind, value)))
        answer = self._insist(
            "DELETE", f"/v1/bans?{urlencode({'kind': kind, 'value': value})}", None
        )
        if answer is not None and answer[0] not in ((204, 409) if known else (204, 404)):
            raise Violation("an answer is one of the documented", f"{kind} {value}: {answer}")

    def _insist(self, method: str, path: str, body: Any) -> tuple[int, Any] | None:
        """Until there is an answer: whoever bans sends again what failed."""
        for _ in range(TRIES):
            self._count += 1
            answer = self._world.request(
                method,
                path,
                claims=CLAIMS,
                body=None if body is None else json.dumps(body),
                headers={"x-correlation-id": f"moderator.{self._count}"},
            )
            if answer is not None and answer.status < 500:
                self._world.coverage.hit("clients", f"moderator {method}", str(answer.status))
                return answer.status, answer.json() if answer.body else None
            self._world.sleep(1)
        return None

    def settled(self) -> None:
        """When all is quiet: every link is held to the bans in force, and to no other."""
        for stream, commits in self._log.streams.items():
            state = commits[-1].state
            if not stream.startswith("link#") or state["deleted"]:
                continue
            over = self._over(state)
            by_hand = state["standing"] == "banned" and state["ban"] is None
            if not by_hand and (state["ban"] is None) != (not over):
                detail = f"{stream} has {state['standing']} by {state['ban']}, under {over}"
                raise Violation("links are held to the bans", detail)
            if not over and (state["standing"], state["reason"]) != (verdict := _verdict(commits)):
                detail = f"{stream} has {state['standing']}, judged {verdict}"
                raise Violation("what moderation gave comes back when no ban is left", detail)
            if state["ban"] is not None and state["reason"] != (why := self._reason(state["ban"])):
                detail = f"{stream} has {state['reason']} by {state['ban']}, for {why}"
                raise Violation("a link tells what its ban is for", detail)
            if state["ban"] is not None:
                self._world.coverage.hit("bans", "shortener", "enforced")
            elif any(kind == "LinkCleared" for c in commits for kind, _, _ in c.events):
                self._world.coverage.hit("bans", "shortener", "lifted")

    def _over(self, state: State) -> list[str]:
        """The bans in force that a link is under."""
        names = [ban_id("owner", state["owner"])]
        for host in hosts(state):
            while host:
                names.append(ban_id("host", host))
                host = host.partition(".")[2]
        return [each for each in names if self._in_force(each)]

    def _reason(self, ban: str) -> str:
        return str(self._log.of(ban)[-1].state["reason"])

    def _in_force(self, ban: str) -> bool:
        commits = self._log.of(ban)
        return bool(commits) and not commits[-1].state["lifted"]


def _verdict(commits: Sequence[Logged]) -> tuple[str, str | None]:
    """The standing that a moderator gave a link last, and the reason."""
    found: tuple[str, str | None] = ("clear", None)
    for commit in commits:
        if commit.correlation.startswith("moderator."):
            for kind, _, data in commit.events:
                found = VERDICTS[kind], data.get("reason")
    return found
