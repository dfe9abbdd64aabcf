"""What must hold of every redirect that a container answers, whether or not anybody gets it.

Held against the log, the counters and the click queue: an answer may be as old as the container's
memory of a link, and no older; it may not lead past what the clock or a counter says.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from tests.simulation.invariants import Log, State
from tests.simulation.shortener.links import (
    THROTTLED,
    UNKNOWN,
    Outcome,
    Visit,
    outcomes,
    stages,
    stream_id,
)
from tests.simulation.world import Served, Violation, World, physical
from tests.support.cloud.dynamodb import Change

FRESH_MS = 5_000
"""How old a container's memory of a link may be."""
STALE_MS = 600_000
"""How old, while the store fails."""
PAUSE_MS = 8_000
"""For so long after a failure in a row the store counts as failing."""
GUESSES = 5
"""Passwords that one address may try in a minute."""
MACHINES = ("bot", "Slackbot", "curl")
OUTCOMES = (
    "target",
    "unlocked",
    "unknown",
    "banned",
    "gone",
    "warning",
    "warning that hides",
    "early",
    "over",
    "fallback",
    "preview",
    "people only",
    "form",
    "wrong password",
    "too many attempts",
    "from memory",
    "stale",
    "used up",
    "click lost",
)
"""What visits must have led to in a long run."""


@dataclass(frozen=True)
class Seen:
    """One version of a link that may have been the answer's, and what the answer then is."""

    version: int
    state: State
    outcome: Outcome


class Redirects:
    """Holds every redirect to what it promises."""

    def __init__(self, world: World, log: Log) -> None:
        self._world = world
        self._log = log
        self._counters = physical(world.deployed.names, "ShortenerCounters")
        self._used: defaultdict[str, int] = defaultdict(int)
        self._led: defaultdict[str, int] = defaultdict(int)
        self._shown: defaultdict[tuple[str, str], int] = defaultdict(int)
        world.watchers.append(self._counted)
        world.served.append(self._served)

    # ---- Caps ---------------------------------------------------------------------------------

    def _counted(self, change: Change) -> None:
        """A unit of a quota was taken."""
        if change.table != self._counters:
            return
        if not change.new:
            self._used.pop(change.old["pk"]["S"])
            return
        key, used = change.new["pk"]["S"], int(change.new["used"]["N"])
        if used != self._used[key] + 1:
            raise Violation("a counter goes up by one", f"{key}: {self._used[key]} to {used}")
        self._used[key] = used
        if key.startswith("clicks#") and used > self._most(key):
            raise Violation("a cap is never passed", f"{key}: {used} of {self._most(key)}")

    def _most(self, key: str) -> int:
        """The highest cap that the link of a counter ever had."""
        stream = key.removeprefix("clicks#").rpartition("#")[0]
        caps = [s["max_clicks"] or 0 for _, s in self._log.between(stream, 1, self._now(stream))]
        return max(caps, default=0)

    def _now(self, stream: str) -> int:
        return self._log.head(stream)

    def _taken(self, served: Served) -> list[str]:
        """The counters of clicks that this run took a unit of."""
        keys = (each.new["pk"]["S"] for each in served.invocation.wrote if each.new)
        return [key for key in keys if key.startswith("clicks#")]

    # ---- Answers ------------------------------------------------------------------------------

    def _served(self, served: Served) -> None:
        if served.route.path != "/{code}" or served.answer.status >= 500:
            return
        code = served.event["pathParameters"]["code"]
        stream, visit = stream_id(code.removesuffix("+")), _visit(served, code)
        clicks = self._clicks(served)
        if len(clicks) > 1:
            self._fail("a redirect is one click", json.dumps(clicks))
        possible = list(self._possible(served, stream, visit))
        if clicks:
            [version] = {click["version"] for click in clicks.values()}
            possible = [each for each in possible if each.version == version]
        else:
            possible = [each for each in possible if not _tells(each)]
        fitting = [each for each in possible if _fits(each.outcome, served)]
        if not fitting:
            answer = served.answer
            got = f"{served.route.key} {code}: {answer.status} {dict(answer.headers)}"
            known = sorted({(each.version, each.outcome) for each in possible}, key=str)
            self._fail("a visit is answered by a version that it may see", f"{got}, not {known}")
        self._world.coverage.hit("redirects", "shortener", fitting[-1].outcome.name)
        self._check_shown(served, stream, max(each.version for each in fitting))
        self._check_cap(served, stream, visit, fitting)
        self._check_clicks(served, visit, clicks)

    def _possible(self, served: Served, stream: str, visit: Visit) -> Iterator[Seen]:
        """Every version that may be the answer's, with every outcome that it may have."""
        stale = any(line.get("stale_redirects") for line in served.invocation.lines)
        failed_at = served.container.failed_at.get("Query", float("-inf"))
        failing = failed_at >= served.invocation.begun - PAUSE_MS
        if stale and not failing:
            self._fail("stale links are for a store that fails", str(served.event["rawPath"]))
        if stale:
            self._world.coverage.hit("redirects", "shortener", "stale")
        elif "Query" not in served.invocation.calls and served.answer.status != 404:
            self._world.coverage.hit("redirects", "shortener", "from memory")
        begun, skew = served.invocation.begun, served.container.skew
        earliest = begun - (STALE_MS if stale else FRESH_MS) - self._world.weather.staleness
        if self._log.version(stream, begun - self._world.weather.staleness) == 0:
            # What is not there is never remembered.
            yield Seen(0, {}, UNKNOWN)
        low, head = self._log.version(stream, earliest), self._log.head(stream)
        for version, state in self._log.between(stream, low, head):
            if not version:
                continue
            for stage in stages(state, begun + skew, self._world.now + skew):
                key = f"clicks#{stream}#{state['created_at']}"
                used_up = self._used[key] >= (state["max_clicks"] or float("inf"))
                for outcome in outcomes(state, stage, visit, used_up):
                    yield Seen(version, state, outcome)
            if self._guesses(stream) >= GUESSES and visit.form:
                yield Seen(version, state, THROTTLED)

    def _guesses(self, stream: str) -> int:
        tried = (n for key, n in self._used.items() if key.startswith(f"attempts#{stream}#"))
        return max(tried, default=0)

    def _check_shown(self, served: Served, stream: str, newest: int) -> None:
        """One container never goes back: not even by a read that does. A read that shows nothing
        cannot be told from a link that ended, and is forgotten with all before it."""
        place = (served.container.name, stream)
        if not newest:
            self._shown.pop(place, None)
            return
        if newest < self._shown[place]:
            detail = f"{place} showed {self._shown[place]}, then at most {newest}"
            self._fail("a container never goes back", detail)
        for click in self._clicks(served).values():
            self._shown[place] = click["version"]

    def _check_cap(self, served: Served, stream: str, visit: Visit, fitting: list[Seen]) -> None:
        taken, faultless = self._taken(served), not served.invocation.causes
        led = [each for each in fitting if each.outcome.led]
        if taken and not visit.person:
            self._fail("machines use up no cap", f"{taken}")
        if led and all(each.state["max_clicks"] for each in led):
            if not taken:
                self._fail("who is led past a cap was counted", f"{stream}")
            self._led[taken[0]] += 1
            if self._led[taken[0]] > self._most(taken[0]):
                self._fail("a cap is never passed", f"{taken[0]}: {self._led[taken[0]]} led")
        elif taken and faultless and not led:
            self._fail("a cap is used up by who is led to the target", f"{taken}")
        if faultless and len(taken) > 1:
            self._fail("one click is one unit", f"{taken}")
        if served.answer.status in (302, 410) and any(_ended(each) for each in fitting):
            key = f"clicks#{stream}#{fitting[-1].state.get('created_at')}"
            if self._used[key]:
                self._world.coverage.hit("redirects", "shortener", "used up")

    # ---- Clicks -------------------------------------------------------------------------------

    def _clicks(self, served: Served) -> dict[str, dict[str, Any]]:
        """The clicks that this run told of, in the queue or in its log line, by id."""
        sent = [body for queue, body in served.invocation.sent if queue == "ShortenerClicks"]
        lines = served.invocation.lines
        lost = [line["lost_click"] for line in lines if "lost_click" in line]
        if lost:
            self._world.coverage.hit("redirects", "shortener", "click lost")
        return {click["id"]: click for click in (*sent, *lost)}

    def _check_clicks(self, served: Served, visit: Visit, clicks: dict[str, Any]) -> None:
        for click in clicks.values():
            true = (
                click["correlation"] == served.event["headers"].get("x-correlation-id")
                and click["data"]["url"] == served.answer.headers.get("location")
                and (click["data"]["kind"] == "human") == visit.person
            )
            if not true:
                self._fail("a click tells what was answered", json.dumps(click))

    def settled(self) -> None:
        """When all is quiet: who was led past a cap is what its counter says, or fewer where an
        answer was lost."""
        for key, led in self._led.items():
            if led > self._used[key]:
                raise Violation("a cap is never passed", f"{key}: {led} of {self._used[key]}")

    def _fail(self, invariant: str, detail: str) -> None:
        raise Violation(invariant, detail)


def _visit(served: Served, code: str) -> Visit:
    headers, http = served.event["headers"], served.event["requestContext"]["http"]
    agent, form = headers.get("user-agent", ""), http["method"] == "POST"
    machine = any(name in agent for name in MACHINES) or "sec-purpose" in headers
    body = b64decode(served.event["body"]).decode() if form else ""
    given = parse_qs(body).get("password", [None])[0]
    return Visit(
        person=not machine and http["method"] != "HEAD",
        iphone="iPhone" in agent,
        password=given,
        preview=code.endswith("+"),
        form=form,
    )


def _tells(seen: Seen) -> bool:
    """Whether the answer is a click that must be told of."""
    return seen.outcome.led and bool(seen.state["counted"])


def _ended(seen: Seen) -> bool:
    return seen.outcome.name in ("over", "fallback") and bool(seen.state["max_clicks"])


def _fits(outcome: Outcome, served: Served) -> bool:
    answer = served.answer
    told = served.route.method == "HEAD" or outcome.told in answer.text
    hidden = outcome.hidden is None or outcome.hidden not in answer.text
    return (answer.status, answer.headers.get("location")) == (
        outcome.status,
        outcome.location,
    ) and (told and hidden)
