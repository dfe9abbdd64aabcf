"""The bulk ledger: whatever comes however often, in whatever batches, and whoever dies meanwhile,
once compacted it says what the facts say."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from gzip import decompress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.analytics.bulk import PART, batch_of, by_minute, lines, parts
from functions.analytics.decider import Definition
from functions.analytics.facts import Fact, decode, hour_of, minute_of
from functions.analytics.hours import Compacted, Dirty
from functions.analytics.segments import fold, merge
from functions.analytics.sketches import sketch
from tests.support.cloud.dynamodb import PAGE
from tests.support.interleave import Actor, seeded
from tests.unit.analytics.bulk_world import BUCKET, Cells, World, expected
from tests.unit.analytics.reference import SITE, reference, traffic

HOUR_MS = 3_600_000
START = 1_700_000_000_000 // HOUR_MS * HOUR_MS
CHANCE = st.integers(0, 2**32).map(random.Random)
ODD = Definition(**{**vars(SITE), "phase": 45})


def sent(chance: random.Random, number: int = 60) -> list[Fact]:
    """Facts of three hours as they are sent: some twice, some another time with other contents."""
    facts = traffic(chance, number, START, 3 * HOUR_MS)
    again = chance.sample(facts, number // 6)
    forged = [fact._replace(page="/forged") for fact in chance.sample(facts, number // 10)]
    everything = [*facts, *again, *forged]
    chance.shuffle(everything)
    return everything


def counting(facts: Iterable[Fact], site: Definition = SITE) -> list[Fact]:
    """Those that count: of each hour's facts of one id, the first as a line."""
    first: dict[tuple[str, int], tuple[bytes, Fact]] = {}
    for fact in facts:
        [line] = lines([fact])
        key = fact.id, hour_of(minute_of(fact.at), site.phase)
        first[key] = min(first.get(key, (line, fact)), (line, fact))
    return [fact for _, fact in first.values()]


def batched(chance: random.Random, facts: list[Fact]) -> list[list[Fact]]:
    """Facts in batches of up to twenty."""
    batches = []
    while facts:
        size = chance.randint(1, 20)
        batches.append(facts[:size])
        facts = facts[size:]
    return batches


def covers(cells: Cells, least: Cells) -> bool:
    """Whether no cell has fewer events than it must have."""
    return all(
        cells.get(value, {}).get(hour, (0, 0, 0))[0] >= numbers[0]
        for value, hours in least.items()
        for hour, numbers in hours.items()
    )


# ---- Lines and segments -------------------------------------------------------------------------


@given(CHANCE)
def test_lines_are_the_same_in_any_order(chance: random.Random) -> None:
    facts = sent(chance)
    ordered = lines(facts)
    chance.shuffle(facts)
    assert lines([*facts, *facts[:5]]) == ordered
    assert batch_of(lines(facts)) == batch_of(ordered)
    assert batch_of(ordered[1:]) != batch_of(ordered)


def test_lines_of_one_id_stand_together_the_earliest_first() -> None:
    [fact] = traffic(random.Random(1), 1, START, 1)
    ids = ["a", 'a"', "a,", "ab", "a b", "ä", "a\\"]
    facts = [fact._replace(id=id, at=START + late) for id in ids for late in (9, 10, 2)]
    found = [decode(line.decode()) for line in lines(facts)]
    assert [each.at - START for each in found] == [2, 9, 10] * len(ids)
    assert sorted({each.id for each in found}) == sorted(ids)


@given(CHANCE)
@settings(max_examples=20)
def test_segments_of_a_batch_and_of_a_compacted_hour_say_the_same(chance: random.Random) -> None:
    ordered = lines(traffic(chance, 200, START, HOUR_MS))
    batch = by_minute(ordered)
    made = list(parts(ordered, revision=3, first=0))
    assert len({(part.minute, part.lane) for part in made}) == len(made)
    for minute, segment in batch.items():
        assert merge(part.segment for part in made if part.minute == minute) == segment


def test_a_busy_minute_becomes_many_segments() -> None:
    facts = traffic(random.Random(2), 2 * PART + 1, START, 60_000)
    made = list(parts(lines(facts), revision=1, first=0))
    assert sorted(part.segment.seen for part in made) == [1, PART, PART]
    assert merge(part.segment for part in made) == fold(facts)


def test_a_batch_counts_unless_it_was_merged_and_parts_of_their_revision_alone() -> None:
    batch, [part] = batch_of([b"x"]), parts(lines(traffic(random.Random(3), 1, 0, 1)), 7, 0)
    assert Compacted().counts(batch)
    assert not Compacted(7, 1, frozenset([batch])).counts(batch)
    assert Compacted(7, 1).counts(part.lane)
    assert not Compacted().counts(part.lane)
    assert not Compacted(8, 1).counts(part.lane)
    assert Compacted(8, 1).counts(0), "a lane of the exact ledger"


# ---- Everything together ------------------------------------------------------------------------


@pytest.mark.parametrize("site", [SITE, ODD], ids=["whole hours", "three quarters"])
@given(CHANCE)
@settings(max_examples=8, deadline=None)
def test_whatever_happens_rows_say_after_compaction_what_the_facts_say(
    site: Definition, chance: random.Random
) -> None:
    world, facts = World(site), sent(chance)
    for batch in batched(chance, facts):
        if chance.random() < 0.3:
            # It died, and its messages come again in other company.
            world.dying(partial(world.keep, batch), chance.randrange(25))
            half = len(batch) // 2
            world.keep([*batch[:half], *chance.sample(facts, 3)])
            world.keep(batch[half:])
        else:
            world.keep(batch)
        if chance.random() < 0.2:
            world.roll()
        if chance.random() < 0.2:
            [hour, *_] = {hour_of(minute_of(fact.at), site.phase) for fact in batch} or {0}
            compact = partial(world.compaction.compact, site.id, hour)
            died = world.dying(compact, chance.randrange(60))
            if died:
                # The queue has its message still.
                world.marks.put(site.id, hour)
    world.roll()
    assert covers(world.cells(), expected(counting(facts, site), site))

    world.settle()

    assert world.cells() == expected(counting(facts, site), site)
    assert not [key for key in world.stored() if key.startswith("raw/")]
    assert not list(world.items("compact#"))


def test_without_forgery_the_days_visitors_are_exact_too() -> None:
    world, facts = World(), traffic(random.Random(5), 200, START, 3 * HOUR_MS)
    for start in range(0, 200, 40):
        world.keep(facts[start : start + 60])
    world.roll()
    world.settle()
    world.keep(facts[:30])
    world.settle()
    days = reference(facts, SITE).days
    assert world.visitors() == {
        (*value, day): sketch(visitors)
        for value, by_day in days.items()
        for day, visitors in by_day.items()
    }


def test_numbers_fall_where_batches_counted_something_twice() -> None:
    world, facts = World(), traffic(random.Random(6), 50, START, HOUR_MS)
    world.keep(facts[:30])
    world.keep(facts[10:])
    world.roll()
    hour = START // HOUR_MS
    twice = world.cells()["all", ""][hour][0]
    world.settle()
    once = world.cells()["all", ""][hour][0]
    people = sum(fact.machine is None for fact in facts)
    assert twice == people + sum(fact.machine is None for fact in facts[10:30])
    assert once == people


def test_a_value_that_only_a_forged_fact_had_is_counted_no_more() -> None:
    world, [fact] = World(), traffic(random.Random(7), 1, START, 1)
    first = fact._replace(page="/a", machine=None)
    world.keep([first._replace(page="/b")])
    world.roll()
    assert ("page", "/b") in world.cells()
    world.keep([first])
    world.settle()
    assert ("page", "/b") not in world.cells()
    assert world.cells() == expected([first])


# ---- Compaction ---------------------------------------------------------------------------------


def loaded(number: int = 40, page: int = PAGE) -> tuple[World, list[Fact], int]:
    """One hour of which some facts came twice; its facts and the hour."""
    world, facts = World(page=page), traffic(random.Random(8), number, START, HOUR_MS)
    world.keep(facts[: number * 2 // 3])
    world.keep(facts[number // 3 :])
    world.roll()
    return world, facts, START // HOUR_MS


def test_compaction_twice_is_compaction_once() -> None:
    world, _, hour = loaded()
    world.settle()
    objects = dict(world.s3.buckets[BUCKET])
    table = [item for *_, item in world.items("")]
    world.calls.clear()
    assert not world.compaction.compact(SITE.id, hour)
    assert not [
        name
        for _, name in world.calls
        if name not in ("DeleteItem", "GetItem", "Query")
        and not name.startswith(("GetObject", "List"))
    ]
    assert world.s3.buckets[BUCKET] == objects
    assert [item for *_, item in world.items("")] == table


def test_the_same_facts_are_the_same_bytes() -> None:
    contents = []
    for seed in range(3):
        world, facts = World(), traffic(random.Random(9), 80, START, HOUR_MS)
        random.Random(seed).shuffle(facts)
        for start in range(0, 80, 20):
            world.keep(facts[start : start + 25])
        world.settle()
        [key] = world.stored()
        contents.append(world.s3.buckets[BUCKET][key].content)
    assert len(set(contents)) == 1
    assert decompress(contents[0]).splitlines(keepends=True) == lines(facts)


def test_a_compaction_that_dies_after_any_call_is_finished_by_the_next() -> None:
    calls, died = 0, True
    while died:
        world, facts, hour = loaded()
        died = world.dying(partial(world.compaction.compact, SITE.id, hour), calls)
        assert covers(world.cells(), expected(facts))
        # What the queue has of it comes again.
        world.compaction.compact(SITE.id, hour)
        world.roll()
        assert world.cells() == expected(facts), calls
        assert [key.partition("/")[0] for key in world.stored()] == ["compact"]
        calls += 1
    assert calls > 20


def test_a_batch_whose_segments_come_after_it_was_merged_counts_for_nothing() -> None:
    world, facts, hour = loaded()
    late = traffic(random.Random(10), 5, START, 60_000)
    late = [fact._replace(id=f"late-{fact.id}") for fact in late]
    assert world.dying(lambda: world.keep(late), 1), "its object stands, its segments do not"
    world.compaction.compact(SITE.id, hour)
    world.keep(late)
    world.roll()
    assert world.cells() == expected([*facts, *late])
    world.settle()
    assert world.cells() == expected([*facts, *late])


def test_an_hour_that_is_compacted_between_two_pages_is_whole_or_of_no_version() -> None:
    torn, compacted, pages = 0, False, 0
    while pages == 0 or compacted:
        world, facts, hour = loaded(page=3000)
        both = world.hours.read(SITE.id, hour).seen
        compacted = False

        def compact(world: World = world, hour: int = hour) -> None:
            nonlocal compacted
            compacted = world.compaction.compact(SITE.id, hour)

        world.interrupted(pages, compact)
        read = world.hours.read(SITE.id, hour)
        torn += not read.version
        assert not read.version or read.seen in (both, len(facts)), pages
        pages += 1
    assert pages > 3
    assert torn


def test_late_facts_make_another_revision_and_leave_what_was_exact() -> None:
    world, facts, hour = loaded()
    world.settle()
    late = [
        fact._replace(id=f"late-{fact.id}")
        for fact in traffic(random.Random(11), 9, START, HOUR_MS)
    ]
    for fact in late:
        world.keep([fact])
        world.settle()
    assert world.cells() == expected([*facts, *late])
    assert world.hours.compacted(SITE.id, hour).revision == 10


def test_a_revision_of_the_same_lines_is_not_taken_for_the_one_before() -> None:
    world, facts, _ = loaded()
    world.settle()
    [key] = world.stored()
    before = world.objects.compact(key)
    with before.content as content:
        world.keep(facts[:3])
        world.settle()
        assert not world.objects.replace(key, before, content)


def test_only_hours_that_ended_a_while_ago_are_compacted() -> None:
    world, _, hour = loaded()
    ended = (hour + 1) * HOUR_MS
    assert list(world.marks.settled(ended + 599_999)) == []
    assert list(world.marks.settled(ended + 600_000)) == [(SITE.id, hour)]


# ---- Races --------------------------------------------------------------------------------------


def raced(actors: Callable[[World, list[Fact], int], Mapping[str, Actor]], seed: int) -> None:
    """One schedule of some actors on a loaded hour, then what the queues bring again."""
    world, facts, hour = loaded(24)
    late = [
        fact._replace(id=f"late-{fact.id}")
        for fact in traffic(random.Random(12), 6, START, 120_000)
    ]
    run = seeded(lambda: actors(world, late, hour), seed)
    overtaken = [name for name, outcome in run.outcomes.items() if isinstance(outcome, Exception)]
    if overtaken:
        world.compaction.compact(SITE.id, hour)
    world.roll()
    assert covers(world.cells(), expected([*facts, *late]))
    world.settle()
    assert world.cells() == expected([*facts, *late]), run.schedule


@pytest.mark.parametrize("seed", range(25))
def test_compaction_and_late_facts_and_rolls_at_once(seed: int) -> None:
    def actors(world: World, late: list[Fact], hour: int) -> Mapping[str, Actor]:
        return {
            "compacts": lambda: world.compaction.compact(SITE.id, hour),
            "keeps": lambda: world.keep(late[:3]),
            "keeps more": lambda: world.keep(late[3:]),
            "rolls": lambda: world.roll_hour(Dirty(SITE.id, hour)),
            "rolls again": lambda: world.roll_hour(Dirty(SITE.id, hour)),
        }

    raced(actors, seed)


@pytest.mark.parametrize("seed", range(25))
def test_two_compactions_at_once(seed: int) -> None:
    def actors(world: World, late: list[Fact], hour: int) -> Mapping[str, Actor]:
        world.keep(late[:2])
        return {
            "first": lambda: world.compaction.compact(SITE.id, hour),
            "second": lambda: world.compaction.compact(SITE.id, hour),
            "keeps": lambda: world.keep(late[2:]),
            "rolls": lambda: world.roll_hour(Dirty(SITE.id, hour)),
        }

    raced(actors, seed)
