"""Who owns the sites, and who keeps the stack in order: both by tools that die like any other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from functions.analytics import salts
from functions.analytics.catching import Catcher
from functions.analytics.decider import (
    DECIDER,
    CreateSite,
    Definition,
    DeleteSite,
    EditSite,
    GrowLanes,
    SetGoal,
    stream_id,
)
from functions.analytics.definitions import Definitions
from functions.analytics.events import BULK, EXACT, Terms
from functions.analytics.folding import Folder, Work
from functions.analytics.hours import Hours, is_kept
from functions.analytics.ledger import ExactLedger
from functions.analytics.rows import Rows
from functions.edge.runtime import Runtime
from functions.kernel.commands import Commands, Context
from functions.kernel.dynamo import DynamoStore
from functions.kernel.errors import AlreadyExists, Conflict, Gone
from functions.kernel.store import load
from functions.kernel.views import ViewTable
from tests.simulation.actors import run_schedule
from tests.simulation.analytics.truth import HOUR_MS, Truth
from tests.simulation.world import OPERATOR, Crash, Violation, World, physical

OWNER = "owner"
ORIGIN = "https://shop.example"
SITES = ("aaaaaaaaaaaa", "bbbbbbbbbbbb")
SITTING = 600
"""Seconds after which a tool is ended by its own machine."""
TRIES = 30


class Owner:
    """Makes the sites, and changes what they are while events come in."""

    def __init__(self, world: World, truth: Truth) -> None:
        self.sites = list(SITES)
        self._world = world
        self._truth = truth
        self._chance = world.plan.chance("owner")
        self._events = physical(world.deployed.names, "AnalyticsEvents")

    def create(self) -> None:
        """Before anything else."""
        for place, id in enumerate(SITES):
            timezone, phase = (("UTC", 0), ("Asia/Kolkata", 30))[place]
            terms = Terms(
                timezone=timezone,
                phase=phase,
                properties=("plan",),
                pairs=(("page", "country"),),
                identity=self._chance.choice(("day", "week", "month")),
                ledger=BULK if place and self._chance.random() < 0.6 else EXACT,
            )
            create = CreateSite(id, OWNER, "Shop", (ORIGIN,), terms, self._world.now)
            runtime = self._world.operator(SITTING)
            commands = self._commands(runtime)
            commands.create(stream_id(id), create, self._context())
            goal = SetGoal("signup", "event", "signup")
            outcome = commands.execute(stream_id(id), goal, self._context())
            self._truth.sites[id] = outcome.state

    def run(self) -> None:
        """Edits, grows and perhaps deletes sites."""
        for _ in range(self._chance.choice((0, 1, 3))):
            self._world.sleep(self._chance.choice((1, 40, 500)))
            id = self._chance.choice(SITES)
            if self._chance.random() < 0.5:
                self._grow(id)
            else:
                identity = self._chance.choice(("day", "week", "month"))
                self._change(id, EditSite({"identity": identity}))
        if self._chance.random() < 0.15:
            self._world.sleep(self._chance.choice((1, 100)))
            self._truth.deleted[SITES[1]] = self._world.now
            self._change(SITES[1], DeleteSite(self._world.now))

    def _grow(self, id: str) -> None:
        minute = self._world.now // 60_000 + 17
        number = self._chance.choice((2, 3))
        self._change(id, GrowLanes(number, minute, self._world.now))
        self._world.coverage.hit("ledger", "lanes grown")

    def _change(self, id: str, command: Any) -> None:
        def work(runtime: Runtime) -> None:
            try:
                self._commands(runtime).execute(stream_id(id), command, self._context())
            except (AlreadyExists, Gone):
                return

        insist(self._world, work)
        self._know(id)

    def _know(self, id: str) -> None:
        def work(runtime: Runtime) -> None:
            store = DynamoStore(runtime.client("dynamodb"), self._events)
            state = load(store, DECIDER, stream_id(id)).state
            assert state is not None
            self._truth.sites[id] = state

        insist(self._world, work)

    def _commands(self, runtime: Runtime) -> Commands[Any]:
        return Commands(DynamoStore(runtime.client("dynamodb"), self._events), DECIDER)

    def _context(self) -> Context:
        name = self._world.identify("command")
        return Context(OWNER, self._world.now, name, name)


class Caretaker:
    """What runs on a schedule: sends hours again whose mark has lost its message, finds buckets
    whose doorbell got lost, deletes salts."""

    def __init__(self, world: World, truth: Truth) -> None:
        self._world = world
        self._truth = truth
        self._chance = world.plan.chance("caretaker's own")
        names = world.deployed.names
        self._events = physical(names, "AnalyticsEvents")
        self._facts = physical(names, "AnalyticsFacts")
        self._rollups = physical(names, "AnalyticsRollups")
        self._salts = physical(names, "AnalyticsSalts")
        self._views = physical(names, "AnalyticsViews")
        self._queue = physical(names, "AnalyticsHours")

    def tend(self) -> None:
        """One round, until it is done."""
        insist(self._world, self._tend)
        self.compact()
        self._truth.check_salts()

    def compact(self) -> None:
        """Fires the schedules of compaction and, now and then, of retention."""
        compact = self._world.deployed.functions["AnalyticsCompact"]
        for number, schedule in enumerate(compact.schedules):
            if "retention" not in (schedule.input or "") or self._chance.random() < 0.2:
                run_schedule(self._world, compact, number)

    def _tend(self, runtime: Runtime) -> None:
        client = runtime.client("dynamodb")
        hours = self._hours(runtime)
        if number := hours.resend(runtime.now()):
            self._world.coverage.hit("sweep", "sent again")
            if not self._failed():
                raise Violation("no hour waits for the sweep without a cause", str(number))
        if salts.delete_old(client, self._salts, runtime.now()):
            self._world.coverage.hit("sweep", "salts deleted")
        folder = self._folder(runtime)
        rows = Rows(client, self._rollups, runtime.backoff())
        define, now = self._define(runtime), runtime.now
        catcher = Catcher(client, self._facts, define, hours, rows, folder, now)

        def ring(work: Work) -> None:
            self._world.coverage.hit("sweep", "found behind")
            if self._world.chaos.calm and not self._failed():
                raise Violation("nothing counts by the sweep alone without a cause", str(work))
            folder.fold(work)

        marks = ViewTable(client, self._views, runtime.backoff())
        while not catcher.sweep(marks, ring, lambda: False).complete:
            pass

    def _failed(self) -> bool:
        """Whether anything went wrong on the way from facts to rows."""
        place = ("Fold", "Roll", "Gather", "Compact")
        hits = self._world.coverage.hits
        return any(cell[0] == "faults" and cell[1].endswith((*place, OPERATOR)) for cell in hits)

    def rebuild(self) -> None:
        """Folds every bucket of the hours that the sweep does not look at any more, or soon."""

        def work(runtime: Runtime) -> None:
            folder = self._folder(runtime)
            for each in folder.plan(sorted({pk for pk, _ in self._truth.facts.values()})):
                phase = self._truth.define(each.site).phase
                if not is_kept(each.hour, phase, runtime.now() + HOUR_MS):
                    folder.fold(each)

        insist(self._world, work)

    def _hours(self, runtime: Runtime) -> Hours:
        sqs = runtime.client("sqs")
        return Hours(runtime.client("dynamodb"), self._rollups, sqs, self._queue, runtime.backoff())

    def _define(self, runtime: Runtime) -> Callable[[str], Definition | None]:
        return Definitions(DynamoStore(runtime.client("dynamodb"), self._events), runtime.now).of

    def _folder(self, runtime: Runtime) -> Folder:
        ledger = ExactLedger(runtime.client("dynamodb"), self._facts)
        return Folder(ledger.read, self._define(runtime), self._hours(runtime), runtime.now)


def insist(world: World, work: Callable[[Runtime], None], sitting: int = SITTING) -> bool:
    """Runs a tool, anew whenever it dies, at the latest after `sitting` seconds; says whether it
    came to its end before whoever runs it gave up."""
    for _ in range(TRIES):
        try:
            work(world.operator(sitting))
            return True
        except (Crash, Conflict, Exception) as failure:
            world.note("operator", "", f"begins anew after {failure!r}")
            world.sleep(20)
    return False
