"""Tallies in the simulation: clients that count, several at a time, on very few tallies."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.simulation.invariants import Capability, Log, State
from tests.simulation.tally.decider import SNAPSHOT_EVERY, stream_id
from tests.simulation.world import Violation, World
from tests.support.http_api import Response

NAMES = ("votes", "visits")
ATTEMPTS = 6


def fold(state: State, kind: str, data: dict[str, Any]) -> State:
    """The oracle's own idea of what a tally's events mean."""
    if kind == "TallyOpened":
        return {"owner": data["owner"], "total": 0, "added": 0}
    return {**state, "total": state["total"] + data["amount"], "added": state["added"] + 1}


def row(version: int, state: State) -> dict[str, Any]:
    """What the view keeps of a tally."""
    return {"version": version, "total": state["total"]}


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
    ended=lambda state: False,
    row=row,
)


@dataclass(frozen=True)
class Command:
    """One command with a key; the same through all its attempts."""

    id: str
    name: str
    amounts: str | None
    if_match: str


class Counter:
    """A client of tallies."""

    def __init__(self, world: World, log: Log, number: int, commands: int) -> None:
        self.name = f"counter.{number}"
        self._world = world
        self._log = log
        self._commands = commands
        self._chance = world.plan.chance(self.name)
        self._done: list[Command] = []

    def run(self) -> None:
        """The client's whole life."""
        for number in range(self._commands):
            self._world.sleep(self._chance.choice((0, 0, 0.05, 2)))
            if self._done and self._chance.random() < 0.15:
                self._perform(self._chance.choice(self._done))
                continue
            if self._chance.random() < 0.2:
                self._look(self._chance.choice(NAMES))
                continue
            name = self._chance.choice(NAMES)
            amounts = json.dumps([self._chance.randint(1, 9)] * self._chance.choice((1, 1, 3)))
            head = self._log.head(stream_id(name)) or 1
            tag = self._chance.choice(("*", "*", f'"{head}"'))
            identity = f"{self.name}.{number}"
            command = Command(identity, name, None if number == 0 else amounts, tag)
            self._perform(command)
            self._done.append(command)

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
                self._check_taken(command)
                return
            self._world.sleep(self._chance.random() * 2 ** (attempt + 1))

    def _check(self, command: Command, answer: Response, asked: int) -> None:
        stream, own = stream_id(command.name), self._log.commands.get(command.id)
        match answer.status:
            case 200:
                version = int(answer.headers["etag"].strip('"'))
                right = own is not None and own[0] == stream and own[1].after == version
                if not right or answer.json() != self._log.state(stream, version):
                    told = f"{command}: {answer.text} at {version}, the log has {own}"
                    raise Violation("what is acknowledged is in the log", told)
            case 404:
                if self._log.version(stream, asked):
                    raise Violation("only what is not one's own is not found", str(command))
            case 412:
                if own is not None:
                    raise Violation("If-Match fails only if it does not hold", f"{command} {own}")
            case _:
                raise Violation("an answer is one of the documented", f"{command} {answer.text}")

    def _check_taken(self, command: Command) -> None:
        if command.id in self._log.commands:
            raise Violation("a command is not beaten by itself", str(command))

    def _look(self, name: str) -> None:
        stream, asked = stream_id(name), self._world.now
        answer = self._world.request("GET", f"/tallies/{name}", claims={"sub": "counter"})
        if answer is None or answer.status >= 500:
            return
        version = int(answer.headers["etag"].strip('"'))
        low, high = self._log.version(stream, asked), self._log.head(stream)
        initial = {"owner": "", "total": 0, "added": 0}
        if not low <= version <= high or answer.json() != (
            self._log.state(stream, version) or initial
        ):
            told = f"{name} {answer.text} at {version}, it went from {low} to {high}"
            raise Violation("a consistent read shows what is", told)
        self._world.coverage.hit(
            "kernel", "tally", f"loaded {version % SNAPSHOT_EVERY} past a snapshot"
        )


def counters(world: World, log: Log) -> list[Counter]:
    """The clients of one run."""
    chance = world.plan.chance("counters")
    commands = chance.choice((3, 8, 14))
    return [Counter(world, log, number, commands) for number in range(chance.choice((0, 2, 4)))]
