"""What must hold of every capability: of its log at each write and removal, of its views at each
delivery and when all is quiet.

The oracle folds events with a function of its own, so that a mistake in production's shows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from functions.kernel.generations import READ_MS
from tests.simulation.world import Violation, World, physical
from tests.support.cloud.dynamodb import Change, Item, Key

GENERATIONS = "mark#generations"
ASIDE = "quarantine#"

State = dict[str, Any]
Fold = Callable[[State, str, dict[str, Any]], State]
"""(state before, event type, its data) to the state after; the initial state is empty."""


@dataclass(frozen=True)
class Logged:
    """One commit as it reached the log: at which turn and true time, and where it led; `tail`
    counts the commits since the last one that tells the state; `keyed`: its command had a key."""

    id: str
    step: int
    now: int
    before: int
    after: int
    at: int
    correlation: str
    tenant: str
    events: Sequence[Any]
    states: Sequence[State]
    tail: int
    ring: bytes
    keyed: bool

    @property
    def state(self) -> State:
        return self.states[-1]


Tells = Callable[[str, Logged], tuple[str, State] | None]
"""(stream, commit) to the type and data that are published of it; None where that is nothing."""


@dataclass(frozen=True)
class Kind:
    """What the oracle knows of one kind of stream: how its events fold, in which state it takes no
    more of them, in which view its row is and what that holds; None where it has no row.

    `single`: a command leaves one commit in one stream at most, and its correlation tells it.
    """

    fold: Fold
    ended: Callable[[State], bool]
    view: str | None
    row: Callable[[int, State], Mapping[str, Any]] | None
    single: bool


@dataclass(frozen=True)
class Capability:
    """What the oracle knows of a capability: logical names of its tables and queues, how its
    events fold, in which state a stream takes no more of them, what its row holds, how many
    commands with a key a stream remembers, and what a commit tells others. `others` are further
    kinds of streams, by their name; `several` says of a correlation that many commits may bear it;
    `buried` in which state a stream may be purged."""

    name: str
    events: str
    views: str
    view: str
    projector: str
    sweep: str
    queues: Sequence[str]
    snapshot_every: int
    ring: int
    fold: Fold
    ended: Callable[[State], bool]
    row: Callable[[int, State], Mapping[str, Any]]
    publisher: str
    tells: Tells
    others: Mapping[str, Kind] = field(default_factory=dict)
    several: Callable[[str], bool] = lambda correlation: False
    buried: Callable[[State], bool] = lambda state: False

    def kind(self, stream: str) -> Kind:
        """What is known of a stream's kind."""
        own = Kind(self.fold, self.ended, self.view, self.row, single=True)
        return self.others.get(stream.partition("#")[0], own)


class Log:
    """The true log of one event table, checked at every write. `streams` are those that are there
    now; `past` has, by stream, the commits of those that were purged to the end."""

    def __init__(self, world: World, capability: Capability) -> None:
        self.streams: dict[str, list[Logged]] = {}
        self.commands: dict[str, tuple[str, Logged]] = {}
        self.first_of: dict[str, str] = {}
        self.past: dict[str, list[list[Logged]]] = {}
        self._moves: dict[str, list[tuple[int, int, State]]] = {}
        self._left: dict[str, list[int]] = {}
        self._ending: tuple[str, int] | None = None
        self._world = world
        self._capability = capability
        self._table = physical(world.deployed.names, capability.events)
        world.watchers.append(self._watch)

    def of(self, stream: str) -> list[Logged]:
        """The stream's commits so far, none if it was never begun."""
        return self.streams.get(stream, [])

    def head(self, stream: str) -> int:
        """The stream's version now."""
        return self.version(stream, self._world.now)

    def version(self, stream: str, moment: float) -> int:
        """The stream's version at a true time; 0 if it was not there."""
        return max((each.after for each in self.of(stream) if each.now <= moment), default=0)

    def state(self, stream: str, version: int) -> State:
        """The state at a version."""
        for each in self.of(stream):
            if each.before < version <= each.after:
                return dict(each.states[version - each.before - 1])
        return {}

    def between(self, stream: str, low: int, high: int) -> Iterator[tuple[int, State]]:
        """Versions `low` to `high` that a commit led to, with their states; 0 is the empty one."""
        if low == 0:
            yield 0, {}
        for each in self.of(stream):
            if max(1, low) <= each.after <= high:
                yield each.after, each.state

    def seen(self, stream: str, since: int) -> list[tuple[int, State]]:
        """Every version that the stream has had since a true time, with its state."""
        moves = [(0, 0, {}), *self._moves.get(stream, [])]
        first = max(place for place, (moment, _, _) in enumerate(moves) if moment <= since)
        return [(version, state) for _, version, state in moves[first:]]

    def forgotten(self, stream: str, own: Logged) -> bool:
        """Whether so many commands with a key came after one that the ring dropped it, or its
        stream is another by now."""
        if not any(each is own for each in self.of(stream)):
            return True
        later = [each for each in self.of(stream) if each.before >= own.after and each.keyed]
        return len(later) >= self._capability.ring

    def _watch(self, change: Change) -> None:
        if change.table != self._table:
            return
        if self._ending and self._ending[1] != self._world.scheduler.step:
            raise Violation("a stream's last commits go at once", self._ending[0])
        if change.old and change.new:
            raise Violation("commits are immutable", f"{change.old} became {change.new}")
        if change.old:
            self._removed(change.old["pk"]["S"], int(change.old["sk"]["N"]))
            return
        item = change.new
        stream, former = item["pk"]["S"], self.of(item["pk"]["S"])
        logged = self._logged(item, former[-1] if former else None)
        for kind, _, _ in logged.events:
            self._world.coverage.hit("events", self._capability.name, kind)
        if self._capability.kind(stream).single:
            self._check_single(stream, logged)
        self.streams.setdefault(stream, []).append(logged)
        self._moves.setdefault(stream, []).append((logged.now, logged.after, logged.state))
        if not logged.before and stream in self.past:
            self._world.coverage.hit("purge", self._capability.name, "begun anew")

    def _removed(self, stream: str, place: int) -> None:
        """A commit goes: those in the middle in their order, then the newest with the first."""
        commits = self.of(stream)
        if not commits or not self._capability.buried(commits[-1].state):
            raise Violation("nothing is deleted of what has not ended", f"{stream} at {place}")
        left = self._left.setdefault(stream, [each.before for each in commits])
        if len(left) > 2 and place != left[1]:
            raise Violation("a purge goes upward from the second", f"{stream} at {place}: {left}")
        left.remove(place)
        self._ending = (stream, self._world.scheduler.step) if len(left) == 1 else None
        if not left:
            self._end(stream)

    def _end(self, stream: str) -> None:
        self._world.coverage.hit("purge", self._capability.name, "ended")
        self.past.setdefault(stream, []).append(self.streams.pop(stream))
        self._moves[stream].append((self._world.now, 0, {}))
        del self._left[stream]

    def ending(self, stream: str) -> bool:
        """Whether the stream has come to its end in this very turn."""
        moves = self._moves.get(stream, [])
        return bool(moves) and moves[-1][:2] == (self._world.now, 0)

    def settled(self) -> None:
        """When all is quiet: nothing is half gone."""
        if self._ending:
            raise Violation("a stream's last commits go at once", self._ending[0])

    def _check_single(self, stream: str, logged: Logged) -> None:
        if not logged.before and self.first_of.setdefault(logged.id, stream) != stream:
            raise Violation("one stream per command", f"{self.first_of[logged.id]} and {stream}")
        if self._capability.several(logged.correlation):
            return
        known = self.commands.get(logged.correlation)
        if known is not None and known[0] == stream and self.forgotten(stream, known[1]):
            self._world.coverage.hit("kernel", self._capability.name, "late repeat forgotten")
        elif known is not None:
            detail = f"{logged.correlation} on {stream} at {logged.before}, and before on {known}"
            raise Violation("one effect per command", detail)
        self.commands[logged.correlation] = (stream, logged)

    def _logged(self, item: Item, former: Logged | None) -> Logged:
        before, after = int(item["sk"]["N"]), int(item["n"]["N"])
        metadata, events = json.loads(item["m"]["S"]), json.loads(item["e"]["S"])
        place = f"{item['pk']['S']} at {before}"
        if before != (former.after if former else 0) or after - before != len(events) or not events:
            raise Violation("versions have no gap", f"{place}: {former} then {item}")
        if former and metadata["at"] < former.at:
            raise Violation("recorded times never decrease", place)
        state: State = dict(former.state) if former else {}
        known = self._capability.kind(item["pk"]["S"])
        if former and known.ended(state):
            raise Violation("nothing happens to what has ended", place)
        states = []
        for kind, _, data in events:
            state = known.fold(state, kind, data)
            states.append(state)
        tenant = metadata.get("tenant", "default")
        if former and tenant != former.tenant:
            raise Violation("a stream has one tenant", place)
        if "s" in item and json.loads(item["s"]["S"])[1] != _stored(state):
            raise Violation("a snapshot is the state after its commit", f"{place}: {item['s']}")
        tail = 0 if former is None or "s" in item else former.tail + 1
        if tail >= self._capability.snapshot_every:
            raise Violation("a load costs one page", f"{place}: {tail} commits without a snapshot")
        self._world.coverage.hit(
            "kernel", self._capability.name, "snapshot" if "s" in item else "no snapshot"
        )
        now, step = self._world.now, self._world.scheduler.step
        ring = item["r"]["B"] if "r" in item else b""
        correlation = metadata["correlation"]
        return Logged(
            item["id"]["S"],
            step,
            now,
            before,
            after,
            metadata["at"],
            correlation,
            tenant,
            events,
            states,
            tail,
            ring,
            keyed=ring != (former.ring if former else b""),
        )


def _stored(state: State) -> State:
    return {name: value for name, value in state.items() if value is not None}


def _aside(item: Item) -> dict[str, Any]:
    """What a quarantine row tells; nothing if there is none."""
    if not item:
        return {}
    since = item["position"]["S"].partition("#")[0]
    told = {"failures": int(item["failures"]["N"]), "since": since}
    return {**json.loads(item["d"]["S"]), **told}


class Views:
    """The rows of one capability's view, held to its log."""

    def __init__(self, world: World, capability: Capability, log: Log) -> None:
        self._world = world
        self._capability = capability
        self._log = log
        self._table = physical(world.deployed.names, capability.views)
        self._queues = [physical(world.deployed.names, name) for name in capability.queues]
        self._begun = self._flipped = 0
        world.watchers.append(self._watch)

    def _watch(self, change: Change) -> None:
        if change.table != self._table:
            return
        name = (change.new or change.old)["pk"]["S"]
        if name == GENERATIONS:
            self._moved(*(self._mark(item) for item in (change.old, change.new)))
        elif name.startswith(ASIDE):
            self._set_aside(name.removeprefix(ASIDE), *(_aside(item) for item in change[1:]))
        elif "v" in change.old and not change.new:
            if not self._log.ending(name.partition("#")[2]):
                self._deleted(name)
        elif "v" in change.new:
            old, new = (int(each["v"]["N"]) if each else 0 for each in change[1:])
            if new < old:
                raise Violation("a row never goes back", f"{name}: {old} to {new}")

    def _moved(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        """A replay's next step: nothing may be missing from a generation once it is read."""
        if new.get("building") is not None and old.get("building") is None:
            self._world.coverage.hit("replay", self._capability.name, "begun")
            self._begun = self._world.now
        if old.get("position") != new.get("position"):
            self._world.coverage.hit("replay", self._capability.name, "page")
        if new.get("retired") is None and old.get("retired") is not None:
            self._world.coverage.hit("replay", self._capability.name, "dropped")
        if new.get("live", 1) == old.get("live", 1):
            return
        self._world.coverage.hit("replay", self._capability.name, "flipped")
        self._flipped = self._world.now
        for stream in self._log.streams:
            if self._capability.kind(stream).view != self._capability.view:
                continue
            wanted = self._log.version(stream, self._begun)
            row = self._row(stream, new["live"])
            if wanted and (not row or int(row["v"]["N"]) < wanted):
                detail = f"{stream} was at {wanted} when the replay began; there is {row}"
                raise Violation("what is read is complete", detail)

    def _set_aside(self, stream: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        """A step of a stream in quarantine: it stays there, told of truly, until it is mended."""
        if not new:
            if self._capability.kind(stream).view is None:
                return
            row, head = self.row(stream), self._log.head(stream)
            if head and (not row or int(row["v"]["N"]) < head):
                raise Violation("what is set aside stays so until mended", f"{stream}: {row}")
            return
        failures, since = old.get("failures", 0) + 1, old.get("since", new["since"])
        true = {**new, "stream": stream, "failures": failures, "since": since}
        views = (self._capability.kind(stream).view, "published", "*")
        if new != true or new["view"] not in views or not new["error"]:
            raise Violation("quarantine tells what, how often and since when", f"{old}, then {new}")

    def _deleted(self, name: str) -> None:
        generation = int(name.partition("@")[2].partition("#")[0])
        mark = self._mark(self._item(GENERATIONS))
        if generation in (mark.get("live", 1), mark.get("building")):
            raise Violation("rows in use are not deleted", name)
        if self._world.now - self._flipped < READ_MS:
            if mark["since"] < self._flipped - READ_MS:
                # KNOWN: whoever flipped stood still between looking at his clock and writing.
                self._world.coverage.hit("known", self._capability.name, "flip stamped long before")
                return
            raise Violation("rows that a reader may still read are not deleted", name)

    def row(self, stream: str) -> Item:
        """A stream's row in the generation that is read."""
        view = self._capability.kind(stream).view or ""
        return self._row(stream, self._mark(self._item(GENERATIONS), view).get("live", 1))

    @property
    def building(self) -> bool:
        """Whether a replay is under way, or was left."""
        return self._mark(self._item(GENERATIONS)).get("building") is not None

    def _row(self, stream: str, generation: int) -> Item:
        return self._item(f"{self._capability.kind(stream).view}@{generation}#{stream}")

    def _item(self, name: str) -> Item:
        return self._world.dynamodb.tables[self._table].current(Key(name))

    def _mark(self, item: Item, view: str = "") -> dict[str, Any]:
        marks = json.loads(item["d"]["S"]) if item else {}
        return dict(marks.get(view or self._capability.view, {}))

    def rung(self, function: str, records: Sequence[Mapping[str, Any]]) -> None:
        """Once a projector has returned: each stream is in its row, in a queue or set aside."""
        if function != self._capability.projector:
            return
        for record in records:
            stream, version = self._told(record)
            version = min(version, self._log.head(stream))
            view = self._capability.kind(stream).view
            if view is None:
                continue
            rows = [self._row(stream, each) for each in self._fed(record["received"], view)]
            shown = all(row and int(row["v"]["N"]) >= version for row in rows)
            if not version or shown or self._waits(stream):
                continue
            detail = f"{stream} at {version} is neither in its rows nor in a queue: {rows}"
            raise Violation("no doorbell is lost", detail)

    def _fed(self, since: int, view: str) -> list[int]:
        """The generations that a run which began then must have written."""
        mark = self._mark(self._item(GENERATIONS), view)
        building = mark.get("building")
        known = building is not None and self._begun < since
        return [mark.get("live", 1), *([building] if known else [])]

    def _told(self, record: Mapping[str, Any]) -> tuple[str, int]:
        if "body" in record:
            # A message was to bring the row to what the log held when it was received.
            stream = json.loads(record["body"])["stream"]
            return stream, self._log.version(stream, record["received"])
        image = record["dynamodb"]["NewImage"]
        return image["pk"]["S"], int(image["n"]["N"])

    def _waits(self, stream: str) -> bool:
        return bool(self._item(ASIDE + stream)) or any(
            json.loads(message.body).get("stream") == stream
            for url in self._queues
            for message in self._world.sqs.queues[url].messages
        )

    def settled(self) -> None:
        """When all is quiet: every row is what the log folds to."""
        self._log.settled()
        for stream in self._log.past.keys() - self._log.streams.keys():
            if row := self.row(stream):
                raise Violation("nothing is left of what has ended", f"{stream}: {row}")
        for stream, commits in self._log.streams.items():
            known, newest = self._capability.kind(stream), commits[-1]
            if known.row is None:
                continue
            row = self.row(stream)
            if not row or int(row["v"]["N"]) != newest.after:
                detail = f"{stream} is at {newest.after}, its row at {row.get('v')}"
                raise Violation("a view is the fold of its streams", detail)
            expected = known.row(newest.after, newest.state)
            if json.loads(row["d"]["S"]) != expected:
                raise Violation("a view is the fold of its streams", f"{row} is not {expected}")
