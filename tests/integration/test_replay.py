"""A replay builds what is there, while writes go on and whatever dies in between."""

from __future__ import annotations

import random

import pytest

from functions.kernel.errors import Conflict
from functions.kernel.generations import GENERATIONS, Generations
from functions.kernel.replay import RETIRED_MS, NotVerified, Replay
from functions.shortener.decider import DECIDER
from functions.shortener.views import LINKS
from tests.integration.test_projection import (
    ask,
    folded,
    listed,
    projector_of,
    tumultuous_life,
)
from tests.support.faults import Crash
from tests.support.pump import Stack


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("functions.kernel.replay.SLICE", 20)


def replay_of(stack: Stack) -> Replay[object]:
    wired = projector_of(stack)
    return Replay(wired.store, wired.table, DECIDER, LINKS)


def finish(stack: Stack) -> None:
    """Carries out what slices are left."""
    while not replay_of(stack).slice().complete:
        pass


def standing(stack: Stack) -> Generations:
    return Generations.of(projector_of(stack).table.mark(GENERATIONS), "links")


def rows(stack: Stack, generation: int) -> dict[str, str]:
    """Every row of a generation, by stream."""
    table = stack.functions["ShortenerSweep"].env["VIEWS_TABLE"]
    prefix = f"links@{generation}#"
    return {
        item["pk"]["S"].removeprefix(prefix): item["d"]["S"]
        for page in stack.client("dynamodb").get_paginator("scan").paginate(TableName=table)
        for item in page["Items"]
        if item["pk"]["S"].startswith(prefix)
    }


@pytest.mark.parametrize(
    "links", [40, pytest.param(5_000, marks=pytest.mark.slow)], ids=["40", "5000"]
)
def test_a_replay_among_writes_that_dies_midway_gives_what_live_has(
    stack: Stack, links: int
) -> None:
    chance = random.Random(links)
    tumultuous_life(stack, chance, links)
    stack.drain()
    replay_of(stack).begin(stack.clock.now())
    assert replay_of(stack).slice().complete is False
    stack.faults.crash_before("dynamodb", "PutItem", skip=7, function="ShortenerSweep")
    with pytest.raises(Crash):
        finish(stack)
    complete = False
    while not complete:
        ask(stack, "POST", "", json={"long_url": f"https://example.com/new/{chance.random()}"})
        stack.drain()
        complete = replay_of(stack).slice().complete
    before = listed(stack)
    replay_of(stack).flip(stack.clock.now())
    stack.cold_start()
    assert listed(stack) == before == folded(stack)
    assert rows(stack, 1) == rows(stack, 2)
    stack.advance(RETIRED_MS / 1000)
    stack.tick("ShortenerSweep")
    assert rows(stack, 1) == {}
    assert listed(stack) == before
    assert standing(stack) == Generations(live=2, since=standing(stack).since)


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
