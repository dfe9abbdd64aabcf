"""Tallies in the simulation: clients that count, several at a time, on very few tallies, and come
back when time has done something to one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.simulation.invariants import Capability, Log, Logged, State
from tests.simulation.tally.decider import (
    GRACE_MS,
    IDLE_MS,
    LONGEST_RUN_MS,
    SNAPSHOT_EVERY,
    TOMBSTONE_MS,
    stream_id,
)
from tests.simulation.world import Violation, World
from tests.support.http_api import Response

NAMES = ("votes", "views", "visits")
"""Two of them are due in the same lane."""
ATTEMPTS = 6
EARLY_MS = 5_000
KEPT = LONGEST_RUN_MS // (IDLE_MS - EARLY_MS) + 5
"""Counts that keep a tally open for longer than anybody runs."""
PATIENCE = 7200
"""Seconds that a client waits for time to do what is due."""


def fold(state: State, kind: str, data: dict[str, Any]) -> State:
    """The oracle's own idea of what a tally's events mean."""
    match kind:
        case "TallyOpened":
            return {**_NEW, "owner": data["owner"], "counted_at": data["opened_at"]}
        case "Added":
            total, added = state["total"] + data["amount"], state["added"] + 1
            counted_at = max(state["counted_at"], data["counted_at"])
            return {**state, "total": total, "added": added, "counted_at": counted_at}
        case "TallyClosed":
            return {**state, "closed_at": data["closed_at"]}
        case _:
            return {**_NEW, "closed_at": state["closed_at"], "purged_at": data["purged_at"]}


_NEW: State = {
    "owner": "",
    "total": 0,
    "added": 0,
    "counted_at": 0,
    "closed_at": None,
    "purged_at": None,
}


def row(version: int, state: State) -> dict[str, Any]:
    """What the view keeps of a tally."""
    return {"version": version, "total": state["total"]}


def due(state: State) -> int:
    """When time does something to a tally next (epoch ms)."""
    if state["purged_at"] is not None:
        return int(state["purged_at"]) + TOMBSTONE_MS
    if state["closed_at"] is not None:
        return int(state["closed_at"]) + GRACE_MS
    return int(state["counted_at"]) + IDLE_MS


def purged(state: State) -> bool:
    """Whether only the tombstone is left."""
    return state["purged_at"] is not None


def tells(stream: str, commit: Logged) -> tuple[str, State] | None:
    """What others are told of a commit on a tally: nothing of a single count."""
    kinds = [kind for kind, _, _ in commit.events]
    if kinds == ["Added"]:
        return None
    state = commit.state
    closed = state["closed_at"] is not None
    return kinds[-1], {"owner": state["owner"], "total": state["total"], "closed": closed}


CAPABILITY = Capability(
    name="tally",
    events="TallyEvents",
    views="TallyViews",
    view="tallies",
    projector="TallyProject",
    sweep="TallySweep",
    queues=("TallyRetry", "TallyRetryDlq"),
    snapshot_every=SNAPSHOT_EVERY,
    ring=64,
    fold=fold,
    ended=purged,
    row=row,
    publisher="TallyPublish",
    tells=tells,
    buried=purged,
)


@dataclass(frozen=True)
class Command:
    """One command with a key; the same through all its attempts."""

    id: str
    name: str
    amounts: str | None
    if_match: str


class Counter:
    """A client of tallies. `waits`: how often he comes back only when something is due. `keeps`:
    whether he begins by counting on one of them for long."""

    def __init__(
        self, world: World, log: Log, number: int, commands: int, waits: int, *, keeps: bool
    ) -> None:
        self.name = f"counter.{number}"
        self._world = world
        self._log = log
        self._commands = commands
        self._keeps = keeps
        self._chance = world.plan.chance(self.name)
        self._waits = set(self._chance.sample(range(commands), min(waits, commands)))
        self._done: list[Command] = []

    def run(self) -> None:
        """The client's whole life."""
        if self._keeps:
            self._keep(self._chance.choice(NAMES))
        for number in range(self._commands):
            self._world.sleep(self._chance.choice((0, 0, 0.05, 2)))
            name = self._chance.choice(NAMES)
            if number in self._waits:
                self._wait(name, self._chance.choice((1, 3)))
            elif self._done and self._chance.random() < 0.15:
                self._perform(self._chance.choice(self._done))
                continue
            elif self._chance.random() < 0.2:
                self._look(name)
                continue
            self._count(number, name)

    def _keep(self, name: str) -> None:
        """Counts whenever time is about to close a tally, until it is older than anybody who stands
        still can be."""
        for number in range(self._commands, self._commands + KEPT):
            self._count(number, name)
            commits = self._log.of(stream_id(name))
            if not commits or commits[-1].state["closed_at"] is not None:
                return
            early = due(commits[-1].state) - EARLY_MS
            self._world.sleep(max(0, early - self._world.now) / 1000)

    def _count(self, number: int, name: str) -> None:
        amounts = json.dumps([self._chance.randint(1, 9)] * self._chance.choice((1, 1, 3)))
        head = self._log.head(stream_id(name))
        opens = not self._done or (not head and self._chance.random() < 0.8)
        tag = self._chance.choice(("*", "*", f'"{head or 1}"'))
        command = Command(f"{self.name}.{number}", name, None if opens else amounts, tag)
        self._perform(command)
        self._done.append(command)

    def _wait(self, name: str, steps: int) -> None:
        """Until time is about to do something to a tally, or has done several things to it: in the
        end its name is free."""
        stream, world = stream_id(name), self._world
        for _ in range(steps):
            if not (commits := self._log.of(stream)):
                return
            early = self._chance.choice((-1000, 0, 300, 70_000))
            world.sleep(max(0, due(commits[-1].state) - world.now + early) / 1000)
            if steps > 1 and self._log.of(stream)[-1:] == commits[-1:]:
                world.scheduler.park(("time", stream), PATIENCE)

    def _perform(self, command: Command) -> None:
        for attempt in range(ATTEMPTS):
            asked = self._world.now
            answer = self._world.request(
                "PUT" if command.amounts is None else "POST",
                f"/tallies/{command.name}",
                claims={"sub": "counter"},
                body=command.amounts,
                headers={
                    "idempotency-key": command.id,
                    "x-correlation-id": command.id,
                    "if-match": command.if_match,
                },
            )
            # A conflict tells that nothing was done, and asks to come again.
            if answer is not None and answer.status not in (409, 500, 503):
                self._check(command, answer, asked)
                return
            if answer is not None and answer.status == 409 and ":exists" in answer.text:
                self._check_refused(command)
                return
            self._world.sleep(self._chance.random() * 2 ** (attempt + 1))

    def _check(self, command: Command, answer: Response, asked: int) -> None:
        stream, own = stream_id(command.name), self._log.commands.get(command.id)
        seen = self._log.seen(stream, asked)
        match answer.status:
            case 200:
                version = int(answer.headers["etag"].strip('"'))
                right = own is not None and own[0] == stream and own[1].after == version
                if own is None or not right or answer.json() != own[1].state:
                    told = f"{command}: {answer.text} at {version}, the log has {own}"
                    raise Violation("what is acknowledged is in the log", told)
            case 404:
                # Of what is purged, a repeat is answered truly or not at all.
                if not any(not version or purged(state) for version, state in seen):
                    raise Violation("only what is not one's own is not found", str(command))
            case 410:
                self._check_refused(command)
                if not any(version and state["closed_at"] for version, state in seen):
                    raise Violation("only what is closed is gone", str(command))
            case 412:
                self._check_refused(command)
            case _:
                raise Violation("an answer is one of the documented", f"{command} {answer.text}")

    def _check_refused(self, command: Command) -> None:
        own = self._log.commands.get(command.id)
        if own is not None and not self._log.forgotten(*own):
            raise Violation("a command is not beaten by itself", f"{command} {own}")

    def _look(self, name: str) -> None:
        stream, asked = stream_id(name), self._world.now
        answer = self._world.request("GET", f"/tallies/{name}", claims={"sub": "counter"})
        if answer is None or answer.status >= 500:
            return
        version = int(answer.headers["etag"].strip('"'))
        seen = self._log.seen(stream, asked)
        if (version, answer.json()) not in [(each, state or _NEW) for each, state in seen]:
            raise Violation("a consistent read shows what is", f"{name} {answer.text}: {seen}")
        self._world.coverage.hit(
            "kernel", "tally", f"loaded {version % SNAPSHOT_EVERY} past a snapshot"
        )


def counters(world: World, log: Log) -> list[Counter]:
    """The clients of one run."""
    chance = world.plan.chance("counters")
    commands, waits = chance.choice((3, 8, 14)), chance.choice((0, 2, 4))
    number = chance.choice((0, 2, 4))
    keeps = chance.random() < 0.6
    return [
        Counter(world, log, place, commands, waits, keeps=keeps and not place)
        for place in range(number)
    ]
