"""What must hold of domain events: of each as it is published, of the publisher's rows and the
consumer's, and of all when all is quiet."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from tests.simulation.invariants import Capability, Log, Logged, State
from tests.simulation.world import Violation, World, physical
from tests.support.cloud.dynamodb import Change, Key

ASIDE = "quarantine#"
PUBLISHED = "published@1#"
HEARD = "heard@1#"
Commit = tuple[str, int, int]
"""A commit by its stream, the version that it led to and its recorded time: a name that is free
may be used again, by another stream."""


class Telling:
    """The domain events of one capability, of whose `kinds` of streams some are public, held to its
    log."""

    def __init__(
        self, world: World, capability: Capability, log: Log, kinds: Collection[str]
    ) -> None:
        self._world = world
        self._kinds = kinds
        self._capability = capability
        self._log = log
        self._told: dict[Commit, str] = {}
        self._commits: dict[str, Commit] = {}
        names = world.deployed.names
        self._views = physical(names, capability.views)
        self._heard = physical(names, "TallyHeard")
        retry = capability.publisher + "Retry"
        self._queues = [physical(names, name) for name in (retry, retry + "Dlq")]
        world.sns.told.append(self._published)
        world.watchers.append(self._watch)

    # ---- As it happens ------------------------------------------------------------------------

    def _published(self, message: str) -> None:
        envelope = json.loads(message)
        stream = envelope["stream"]
        if stream.partition("#")[0] not in self._kinds:
            return
        own = self._commit(envelope)
        expected = self._capability.tells(stream, own) if own else None
        if own is None or expected is None:
            raise Violation("only what happened is told", message)
        truth = {
            "type": expected[0],
            "data": expected[1],
            "schema": 1,
            "tenant": own.tenant,
            "correlation": own.correlation,
        }
        if {name: envelope[name] for name in truth} != truth:
            raise Violation("an envelope tells the state at its version", f"{message}: {own}")
        commit = (stream, own.after, own.at)
        if self._told.setdefault(commit, envelope["id"]) != envelope["id"]:
            raise Violation("a repeat is known by its id", message)
        if self._commits.setdefault(envelope["id"], commit) != commit:
            raise Violation("an id is one commit's", message)
        self._world.coverage.hit("told", self._capability.name, envelope["type"])

    def _commit(self, envelope: Mapping[str, Any]) -> Logged | None:
        place = (envelope["version"], envelope["time"])
        every = (each for commits in self._lives(envelope["stream"]) for each in commits)
        return next((each for each in every if (each.after, each.at) == place), None)

    def _watch(self, change: Change) -> None:
        if not change.new:
            return
        name, version = change.new["pk"]["S"], int(change.new.get("v", {"N": "0"})["N"])
        if change.table == self._views and name.startswith(PUBLISHED):
            self._noted(name.removeprefix(PUBLISHED), version)
        elif change.table == self._heard and change.old and version < int(change.old["v"]["N"]):
            raise Violation("a consumer never goes back", name)

    def _noted(self, stream: str, reached: int) -> None:
        for commit in self._public(stream):
            if commit[1] <= reached and commit not in self._told:
                raise Violation("what is noted was published", f"{reached}: {commit}")

    def rung(self, function: str, records: Sequence[Mapping[str, Any]]) -> None:
        """Once the publisher has returned: what each record told of is published, in a queue or
        set aside."""
        if function != self._capability.publisher:
            return
        for record in records:
            if "body" in record:
                stream = json.loads(record["body"])["stream"]
                version = self._log.version(stream, record["received"])
            else:
                image = record["dynamodb"]["NewImage"]
                stream, version = image["pk"]["S"], int(image["n"]["N"])
            late = [c for c in self._public(stream) if c[1] <= version and c not in self._told]
            if late and not self._waits(stream):
                raise Violation("no doorbell of the publisher is lost", f"{late}")

    def _waits(self, stream: str) -> bool:
        aside = self._world.dynamodb.tables[self._views].current(Key(ASIDE + stream))
        return bool(aside) or any(
            json.loads(message.body).get("stream") == stream
            for url in self._queues
            for message in self._world.sqs.queues[url].messages
        )

    # ---- When all is quiet --------------------------------------------------------------------

    def settled(self, anew: bool = False) -> None:
        """Every public commit was published, also of streams that are gone; and a consumer that
        keeps the newest has the newest. One that began `anew` knows only of what is there."""
        for stream in self.streams():
            newest = None
            for commits in self._lives(stream):
                for each in commits:
                    told = self._capability.tells(stream, each)
                    if told is None:
                        continue
                    if (stream, each.after, each.at) not in self._told:
                        raise Violation("every public commit is published", f"{stream}: {each}")
                    newest = (each, told[1])
            if newest is not None and (self._log.of(stream) or not anew):
                self._check_heard(stream, *newest)

    def _check_heard(self, stream: str, newest: Logged, data: State) -> None:
        row = self._world.dynamodb.tables[self._heard].current(Key(HEARD + stream))
        truth = {"version": newest.after, "tenant": newest.tenant, "told": data}
        if not row or json.loads(row["d"]["S"]) != truth:
            raise Violation("a consumer has the newest of each stream", f"{row} is not {truth}")

    def streams(self) -> list[str]:
        """Every stream that ever was, of a kind that anything is told of."""
        every = self._log.streams.keys() | self._log.past.keys()
        return sorted(each for each in every if each.partition("#")[0] in self._kinds)

    def _lives(self, stream: str) -> Iterator[Sequence[Logged]]:
        """All that ever stood under a name, oldest first."""
        yield from self._log.past.get(stream, [])
        yield self._log.of(stream)

    def _public(self, stream: str) -> list[Commit]:
        """The public commits of what stands under a name now."""
        return [
            (stream, each.after, each.at)
            for each in self._log.of(stream)
            if self._capability.tells(stream, each) is not None
        ]
