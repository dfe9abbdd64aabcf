"""What time does to tallies in the simulation: the schedule, the oracle of what it must have done
and when, and two who stand still, with an old tombstone or an old state in their hands."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from functions.kernel.commands import Commands, Context
from functions.kernel.dynamo import DynamoStore
from functions.kernel.generations import GENERATIONS, fed
from functions.kernel.publisher import PUBLISHED, published
from functions.kernel.purge import Purge, tombstone_of
from functions.kernel.store import Commit, load
from functions.kernel.timers import MARK, RECENT_MS
from tests.simulation.actors import run_schedule
from tests.simulation.invariants import Log, Logged, State
from tests.simulation.operator import Bench
from tests.simulation.tally.decider import DECIDER, TALLIES, PassTime, stream_id
from tests.simulation.tally.simulation import NAMES, due, purged
from tests.simulation.world import Crash, Invocation, Violation, World, physical
from tests.support.cloud.dynamodb import Change
from tests.support.cloud.sdk import fast_client

BREAKS = (60, 60, 60, 300, 1800, 4500)
"""Seconds between runs of the timers: a schedule that is late, or out for an hour."""
ROUND = 3700
"""Seconds between the last runs: each looks all the way back."""
ROUNDS = 5
"""Until a tally that was just counted is closed and purged, and its name is free."""
STILL = 900
"""Seconds that somebody may stand still: as long as Lambda lets a function run."""
DELAYS = (0, 5, 45, 700)
"""Seconds from a tally that is begun anew, until which it may be due to close, or closed."""
AHEAD_MS = 1_000_000
"""By so much a clock may be wrong where that must not matter."""


class Lingering(DynamoStore):
    """A store whose first write waits for something."""

    wait: Callable[[], None] | None = None

    def append(self, commit: Commit) -> Commit | None:
        """See EventStore."""
        wait, self.wait = self.wait, None
        if wait is not None:
            wait()
        return super().append(commit)


class Clockwork:
    """What time must have done to tallies, and when."""

    def __init__(self, world: World, log: Log, tools: Bench) -> None:
        self._world = world
        self._log = log
        self._tools = tools
        self._queue = physical(world.deployed.names, "TallyDue")
        self._sent: set[tuple[str, int]] = set()
        self._removing: dict[str, Invocation] = {}
        self._store = DynamoStore(
            fast_client("dynamodb", self._read, world.sleep, float), tools.events
        )
        self._rouse = world.sqs.arrived
        world.sqs.arrived = self._arrived
        world.watchers.append(self._watch)

    def _read(self, service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        return self._world.dynamodb.call(operation, params)

    # ---- What it does -------------------------------------------------------------------------

    def run(self) -> None:
        """The schedule, as long as anything may go wrong."""
        chance = self._world.plan.chance("timers")
        while not self._world.chaos.calm:
            self._world.sleep(chance.choice(BREAKS))
            self._tick()

    def pass_time(self) -> None:
        """A while later the timers run once more."""
        self._world.sleep(ROUND)
        self._tick()

    def settled(self) -> None:
        """A while later, when all is quiet: nothing is left undone that was due by then."""
        for stream, commits in self._log.streams.items():
            if due(commits[-1].state) <= self._world.now - ROUND * 1000:
                raise Violation("what is due is done", f"{stream}: {commits[-1]}")

    def _tick(self) -> None:
        run_schedule(self._world, self._world.deployed.functions["TallyTimers"])

    def stand_still(self) -> None:
        """Takes streams up when their tombstones' time is over, and goes on when the name is in use
        again; never returns."""
        chance = self._world.plan.chance("laggard")
        while True:
            stream = stream_id(chance.choice(NAMES))
            if not (commits := self._log.of(stream)) or not purged(commits[-1].state):
                self._world.scheduler.park(("purged", stream))
                continue
            self._world.sleep(max(0, due(commits[-1].state) - self._world.now) / 1000)
            try:
                self._bury_late(stream, chance.choice(DELAYS), chance.random() < 0.3)
            except (Crash, Exception) as failure:
                self._world.note("laggard", stream, f"stops: {failure!r}")
            self._world.sleep(1)

    def _bury_late(self, stream: str, late: int, at_once: bool) -> None:
        runtime = self._world.operator(STILL)
        if at_once:
            self._wait(stream, late)
        found = tombstone_of(self._tools.store(runtime), DECIDER, stream)
        if found is None or found[1].due > runtime.now():
            return
        table = self._tools.table(runtime)
        if not published(table, stream, found[0].after):
            return
        views = [*fed(table.mark(GENERATIONS), [TALLIES]), PUBLISHED]
        if not at_once:
            self._wait(stream, late)
        purge = Purge(runtime.client("dynamodb"), self._tools.events, self._tools.views)
        # Of what came after the stream's end not even a wrong clock may take anything.
        ahead = AHEAD_MS if self._is_begun_anew(stream, found[0]) else 0
        purge.trim(found[0], runtime.now() + ahead, lambda: True)
        if not purge.end(found[0], views):
            self._world.coverage.hit("purge", "tally", "end refused")

    def _is_begun_anew(self, stream: str, tombstone: Commit) -> bool:
        commits = self._log.of(stream)
        return bool(commits) and commits[0].at > tombstone.metadata.at

    def _wait(self, stream: str, late: int) -> None:
        self._world.scheduler.park(("begun", stream), STILL / 10)
        self._world.sleep(late)

    def close_late(self) -> None:
        """Closes tallies when their time has come, but stands still before the write until they
        were closed and purged by others; never returns."""
        chance = self._world.plan.chance("lingerer")
        while True:
            streams = [stream_id(name) for name in NAMES]
            stream = chance.choice([each for each in streams if self._is_open(each)] or streams)
            if not self._is_open(stream):
                self._world.scheduler.park(("begun", stream))
                continue
            commits = self._log.of(stream)
            self._world.sleep(max(0, due(commits[-1].state) - self._world.now) / 1000)
            try:
                self._close(stream, chance.choice((0, 1, 5)))
            except (Crash, Exception) as failure:
                self._world.note("lingerer", stream, f"stops: {failure!r}")
            self._world.sleep(1)

    def _is_open(self, stream: str) -> bool:
        commits = self._log.of(stream)
        return bool(commits) and commits[-1].state["closed_at"] is None

    def _close(self, stream: str, late: int) -> None:
        runtime = self._world.operator(STILL)
        store = Lingering(runtime.client("dynamodb"), self._tools.events, runtime.backoff())

        def wait() -> None:
            self._world.scheduler.park(("purged", stream), STILL)
            self._world.sleep(late)

        store.wait = wait
        context = Context("timer", runtime.now(), runtime.entropy(12).hex(), f"late {stream}")
        Commands(store, DECIDER, runtime.backoff()).execute(stream, PassTime(context.now), context)

    # ---- What it holds ------------------------------------------------------------------------

    def _arrived(self, url: str) -> None:
        self._rouse(url)
        if url != self._queue or self._world.actor() != "timers":
            return
        [*_, message] = self._world.sqs.queues[url].messages
        commits = self._log.of(json.loads(message.body)["stream"])
        if not commits:
            return
        sent = (message.body, due(commits[-1].state))
        self._cover("sent again" if sent in self._sent else "sent")
        if due(commits[-1].state) < self._world.now - RECENT_MS - self._world.weather.skew:
            self._cover("looked all the way back")
        self._sent.add(sent)

    def _watch(self, change: Change) -> None:
        item = change.new or change.old
        if change.table == self._tools.views and item["pk"]["S"] == f"mark#{MARK}":
            self._looked_back(int(item["d"]["S"]))
        if change.table != self._tools.events:
            return
        stream, place = item["pk"]["S"], int(item["sk"]["N"])
        commits = self._log.of(stream)
        if change.new:
            self._appended(stream, commits[-2].state if len(commits) > 1 else {}, commits[-1])
        elif not commits:
            self._freed(stream)
        elif 0 < place < commits[-1].before:
            self._trimmed(stream, commits[-1])

    def _looked_back(self, noted: int) -> None:
        """Whoever notes that he looked all the way back has sent all that he must have seen."""
        assert self._world.calling is not None
        run = self._world.calling.invocation
        sent = {body["stream"] for _, body in run.sent}
        known = run.begun - self._world.weather.staleness
        for partition in self._world.dynamodb.tables[self._tools.views].items.values():
            for [*_, row] in partition.values():
                late = "due" in row.item and int(row.item["due"]["N"]) <= noted
                name = row.item["pk"]["S"].partition("#")[2] if late else ""
                if late and row.since < known and name not in sent:
                    raise Violation("a look back is noted once all is sent", f"{row}: {sent}")

    def _appended(self, stream: str, before: State, own: Logged) -> None:
        if not own.before:
            self._world.scheduler.rouse(("begun", stream))
        for (kind, _, data), state in zip(own.events, own.states, strict=True):
            if kind in ("TallyClosed", "TallyPurged"):
                self._fired(stream, kind, data, before, own)
            before = state
        if purged(own.state):
            self._world.scheduler.rouse(("purged", stream))

    def _fired(
        self, stream: str, kind: str, data: dict[str, Any], before: State, own: Logged
    ) -> None:
        self._cover("fired")
        self._world.scheduler.rouse(("time", stream))
        closes = kind == "TallyClosed"
        if closes != (before["closed_at"] is None) or (closes and data["closed_at"] != due(before)):
            raise Violation("time does each thing once", f"{stream}: {own}")
        self._check_time(stream, due(before), own.at)
        if own.now - due(before) > RECENT_MS:
            self._cover("late")

    def _check_time(self, stream: str, moment: int, recorded: int) -> None:
        if recorded < moment or self._world.now + self._world.weather.skew < moment:
            raise Violation("time does nothing too early", f"{stream}: {recorded} before {moment}")

    def _trimmed(self, stream: str, newest: Logged) -> None:
        assert self._world.calling is not None
        run = self._world.calling.invocation
        if self._removing.setdefault(stream, run) is not run:
            self._world.coverage.hit("purge", "tally", "trim interrupted")
        self._removing[stream] = run
        found = load(self._store, DECIDER, stream)
        if (found.version, vars(found.state)) != (newest.after, newest.state):
            raise Violation("a purge shows no older state", f"{stream}: {found}, {newest}")

    def _freed(self, stream: str) -> None:
        tombstone = self._log.past[stream][-1][-1]
        self._check_time(stream, due(tombstone.state), due(tombstone.state))
        self._removing.pop(stream, None)
        self._world.scheduler.rouse(("time", stream))

    def _cover(self, what: str) -> None:
        self._world.coverage.hit("timers", "tally", what)
