"""A replay builds what is there, while writes go on and whatever dies in between."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from functions.kernel.errors import Conflict
from functions.kernel.generations import GENERATIONS, Generations
from functions.kernel.replay import RETIRED_MS, NotVerified, Replay
from functions.kernel.store import Commit, Metadata, snapshot
from functions.shortener.decider import DECIDER
from functions.shortener.events import CODEC, Event, LinkCreated, LinkDeleted, LinkRetargeted
from functions.shortener.projecting import KINDS
from tests.integration.test_load import store
from tests.integration.test_projection import (
    OWNER,
    ask,
    folded,
    listed,
    projector_of,
    tumultuous_life,
)
from tests.support.cloud.replacing_moto import dynamodb_in_memory
from tests.support.faults import Crash
from tests.support.handlers import ROOT
from tests.support.meter import Bill
from tests.support.pump import Stack


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("functions.kernel.replay.SLICE", 20)


def replay_of(stack: Stack) -> Replay:
    wired = projector_of(stack)
    return Replay(wired.store, wired.table, KINDS, "links")


def finish(stack: Stack) -> None:
    """Carries out what slices are left."""
    while not replay_of(stack).slice().complete:
        pass


def standing(stack: Stack) -> Generations:
    return Generations.of(projector_of(stack).table.mark(GENERATIONS), "links")


def items(stack: Stack, variable: str) -> Iterator[dict[str, Any]]:
    """Every item of the table that a variable of the projector's names."""
    table = stack.functions["ShortenerSweep"].env[variable]
    for page in stack.client("dynamodb").get_paginator("scan").paginate(TableName=table):
        yield from page["Items"]


def rows(stack: Stack, generation: int) -> dict[str, Any]:
    """Every row of a generation, by stream, with its place in the lists."""
    prefix = f"links@{generation}#"
    return {
        item["pk"]["S"].removeprefix(prefix): {
            name: value[kind].removeprefix(prefix)
            for name, value in item.items()
            for kind in value
            if name != "pk"
        }
        for item in items(stack, "VIEWS_TABLE")
        if item["pk"]["S"].startswith(prefix)
    }


def heads(stack: Stack) -> dict[str, int]:
    """Every stream's version."""
    newest: Counter[str] = Counter()
    for item in items(stack, "EVENTS_TABLE"):
        newest[item["pk"]["S"]] = max(newest[item["pk"]["S"]], int(item["n"]["N"]))
    return dict(newest)


def lived(stack: Stack, chance: random.Random, links: int) -> None:
    """Lives of links, written by the batch: over HTTP, they alone would take minutes. They are
    delivered by the hundred: moto counts a queue's messages anew for each that comes."""
    table, now = stack.functions["ShortenerSweep"].env["EVENTS_TABLE"], stack.clock.now()
    for start in range(0, links, 100):
        commits = [
            commit
            for number in range(start, min(start + 100, links))
            for commit in life(f"old{number}", now + number, chance)
        ]
        store(stack.client("dynamodb"), table, commits)
        stack.drain()


def life(code: str, born: int, chance: random.Random) -> Iterator[Commit]:
    """A link's commits: created, pointed elsewhere a few times, now and then deleted."""
    created = LinkCreated(
        domain="default",
        code=code,
        owner=OWNER,
        long_url=f"https://example.com/{code}",
        redirect_status=302,
        created_at=born,
    )
    events: list[Event] = [created]
    events += [LinkRetargeted(f"https://example.com/{chance.random()}") for _ in range(3)]
    events += [LinkDeleted()] if chance.random() < 0.2 else []
    state = DECIDER.initial
    for place, event in enumerate(events):
        state = DECIDER.evolve(state, event)
        yield Commit(
            f"link#default#{code}",
            place,
            place + 1,
            f"{code}.{place}",
            CODEC.encode([event]),
            Metadata(born + place),
            snapshot=snapshot(DECIDER, state) if place else None,
        )


def replay_among_writes_that_dies_midway(stack: Stack, chance: random.Random) -> Bill:
    """Replays up to the flip, taking up what died; the bill is the replay's own."""
    streams = sorted(heads(stack))
    with stack.meter.operation("replay") as bill:
        replay_of(stack).begin(stack.clock.now())
        assert replay_of(stack).slice().complete is False
        stack.faults.crash_before("dynamodb", "PutItem", skip=7, function="ShortenerSweep")
        with pytest.raises(Crash):
            finish(stack)
        complete = False
        while not complete:
            write(stack, chance, streams)
            stack.drain()
            complete = replay_of(stack).slice().complete
    return Bill("replay", [call for call in bill.calls if call.function == "ShortenerSweep"])


def write(stack: Stack, chance: random.Random, streams: Sequence[str]) -> None:
    """Makes a link, and edits one of those that were there."""
    target = {"long_url": f"https://example.com/new/{chance.random()}"}
    ask(stack, "POST", "", json=target)
    code = chance.choice(streams).rpartition("#")[2]
    ask(stack, "PATCH", f"/{code}", headers={"if-match": "*"}, json=target)


def old_generation_goes(stack: Stack) -> None:
    """Asserts that what is read is what was, that nothing is lost, and that the old one goes."""
    old, new = rows(stack, 1), rows(stack, 2)
    assert new == old
    assert {stream: int(row["v"]) for stream, row in new.items()} == heads(stack)
    stack.advance(RETIRED_MS / 1000)
    stack.tick("ShortenerSweep")
    assert (rows(stack, 1), rows(stack, 2)) == ({}, new)
    assert standing(stack) == Generations(live=2, since=standing(stack).since)


def test_a_replay_among_writes_that_dies_midway_gives_what_live_has(
    stack: Stack, small_slices: None
) -> None:
    chance = random.Random(40)
    tumultuous_life(stack, chance, 40)
    stack.drain()
    replay_among_writes_that_dies_midway(stack, chance)
    before = listed(stack)
    replay_of(stack).flip(stack.clock.now())
    stack.cold_start()
    assert listed(stack) == before == folded(stack)
    old_generation_goes(stack)
    assert listed(stack) == before


@pytest.mark.slow
def test_a_replay_of_5000_streams_reads_and_writes_each_once() -> None:
    with dynamodb_in_memory(), Stack([ROOT / "template.yaml"]) as stack:
        chance = random.Random(5000)
        lived(stack, chance, 5_000)
        bill = replay_among_writes_that_dies_midway(stack, chance)
        replay_of(stack).flip(stack.clock.now())
        old_generation_goes(stack)
    # What the crash kept from being written is read once more; the marks move at every slice.
    slices = bill.by_operation["dynamodb:Scan"]
    assert bill.by_operation["dynamodb:Query"] <= 5_001
    assert bill.by_operation["dynamodb:PutItem"] <= 5_001 + slices


def test_a_reader_with_the_old_pointer_still_finds_its_rows(stack: Stack) -> None:
    tumultuous_life(stack, random.Random(1), links=5)
    stack.drain()
    before = listed(stack)
    replay_of(stack).begin(stack.clock.now())
    finish(stack)
    replay_of(stack).flip(stack.clock.now())
    stack.tick("ShortenerSweep")
    assert listed(stack) == before
    stack.advance(61)
    assert listed(stack) == before


def test_a_generation_that_is_not_verified_is_never_read(stack: Stack) -> None:
    tumultuous_life(stack, random.Random(1), links=5)
    stack.drain()
    replay = replay_of(stack)
    replay.begin(stack.clock.now())
    with pytest.raises(Conflict):
        replay.flip(stack.clock.now())
    stack.faults.throttle("dynamodb", "PutItem", times=-1, resource="ShortenerViews")
    with pytest.raises(NotVerified) as refusal:
        replay.slice()
    assert len(refusal.value.streams) == 5
    assert standing(stack).live == 1


def test_two_replays_at_once_are_one(stack: Stack) -> None:
    begun = replay_of(stack).begin(stack.clock.now())
    assert replay_of(stack).begin(stack.clock.now() + 1) == begun
    replay_of(stack).slice()
    replay_of(stack).flip(stack.clock.now())
    with pytest.raises(Conflict):
        replay_of(stack).begin(stack.clock.now())


def test_a_pointer_whose_swap_lost_its_answer_is_swapped(stack: Stack) -> None:
    stack.faults.lose_response("dynamodb", "PutItem", function="ShortenerSweep")
    begun = replay_of(stack).begin(stack.clock.now())
    assert standing(stack) == begun
