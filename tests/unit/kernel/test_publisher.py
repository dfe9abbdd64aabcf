"""The publisher over a store in memory and a view table in the cloud in memory."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from functions.kernel.envelope import Envelope, Public, keep
from functions.kernel.errors import Unreadable
from functions.kernel.memory import MemoryStore
from functions.kernel.projector import Kind, ProjectionFailed
from functions.kernel.publisher import PUBLISHED, SILENT, Publisher, published
from functions.kernel.store import Commit, Stream
from functions.kernel.views import Row, View
from tests.unit.kernel.cloud import Cloud
from tests.unit.kernel.pile import STREAM, Added, Pile, by, commands, every, put


class Topic:
    """Takes everything, unless it is down."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []
        self.down = False

    def publish(self, envelopes: Sequence[Envelope]) -> None:
        if self.down:
            raise OSError
        self.taken += envelopes

    @property
    def told(self) -> list[tuple[int, list[int]]]:
        return [(each.version, each.data["values"]) for each in self.taken]


def public(events: Sequence[Added], pile: Pile) -> Public | None:
    """Odd values are nobody's business."""
    if all(event.value % 2 for event in events):
        return None
    return Public("PileGrew", {"values": list(pile.values)})


class World:
    """A pile, what is told of it, and the calls that the view table had."""

    def __init__(self, snapshot_every: int = 16) -> None:
        self.cloud, self.store, self.topic = Cloud(), MemoryStore(), Topic()
        self._decider = every(snapshot_every)
        kinds = {"pile": Kind(self._decider, (), public), "mute": Kind(self._decider)}
        self.publisher = Publisher(self.store, self.cloud.views, kinds, self.topic.publish)

    def add(self, *values: int) -> Commit:
        piles = commands(self.store, self._decider)
        if STREAM in self.store.commits:
            piles.execute(STREAM, put(*values), by())
        else:
            piles.create(STREAM, put(*values), by())
        return self.store.commits[STREAM][-1]

    @property
    def reached(self) -> int:
        row = self.cloud.views.row(PUBLISHED, STREAM)
        return row[0] if row else 0


@pytest.mark.parametrize("snapshot_every", [1, 2, 16])
def test_a_gap_is_told_commit_by_commit_in_order(snapshot_every: int) -> None:
    world = World(snapshot_every)
    first = world.add(0)
    world.publisher.take(first)
    newest = [world.add(2), world.add(4, 6), world.add(8)][-1]
    world.publisher.take(newest)
    told = [(1, [0]), (2, [0, 2]), (4, [0, 2, 4, 6]), (5, [0, 2, 4, 6, 8])]
    assert (world.topic.told, world.reached) == (told, 5)


def test_a_commit_next_to_the_row_is_told_without_reading_the_store() -> None:
    world = World(snapshot_every=1)
    world.publisher.take(world.add(0))
    newest = world.add(2)
    world.store.commits.clear()
    world.publisher.take(newest)
    assert world.topic.told == [(1, [0]), (2, [0, 2])]


def test_a_commit_that_tells_nothing_writes_nothing_until_they_are_many() -> None:
    world = World(snapshot_every=1)
    world.publisher.take(world.add(0))
    for _ in range(SILENT - 1):
        world.publisher.take(world.add(1))
        assert world.reached == 1
    world.publisher.take(world.add(1))
    assert world.reached == 1 + SILENT
    assert world.topic.told == [(1, [0])]


def test_what_told_nothing_is_noted_when_it_is_rung() -> None:
    world = World()
    world.add(1)
    assert world.publisher.behind({STREAM: 1}) == {STREAM}
    world.publisher.ring(STREAM)
    assert (world.topic.told, world.reached) == ([], 1)
    assert world.publisher.behind({STREAM: 1}) == set()


def test_a_gap_longer_than_a_page_is_told_whole_and_noted_page_by_page() -> None:
    world = World()
    for _ in range(250):
        world.add(2)
    world.publisher.ring(STREAM)
    assert [version for version, _ in world.topic.told] == list(range(1, 251))
    assert world.cloud.calls.count("PutItem") == 3


def test_what_was_not_taken_is_not_noted() -> None:
    world = World()
    newest = world.add(2)
    world.topic.down = True
    with pytest.raises(ProjectionFailed) as failure:
        world.publisher.take(newest)
    assert (failure.value.view, world.reached) == ("published", 0)
    world.topic.down = False
    world.publisher.ring(STREAM)
    assert (world.topic.told, world.reached) == ([(1, [2])], 1)


def test_a_repeat_has_the_same_id_and_no_other_commit_has() -> None:
    world = World()
    commits = [world.add(2), world.add(4)]
    for commit in (*commits, *commits):
        world.publisher.take(commit)
    world.cloud.views.drop(PUBLISHED.prefix, None)
    world.publisher.ring(STREAM)
    ids = {(each.id, each.version) for each in world.topic.taken}
    assert len(ids) == len({each for each, _ in ids}) == 2


def test_again_tells_the_newest_public_state_and_moves_nothing() -> None:
    world = World()
    world.add(2), world.add(4), world.add(1)
    world.publisher.ring(STREAM)
    assert world.publisher.again(STREAM)
    assert world.topic.told[2:] == [(2, [2, 4])]
    assert world.reached == 3


def test_again_leaves_nothing_out_that_was_not_told_yet() -> None:
    world = World()
    world.add(2), world.add(4)
    assert world.publisher.again(STREAM)
    assert (world.topic.told, world.reached) == ([(1, [2]), (2, [2, 4])], 2)


def test_of_no_public_kind_nothing_is_asked_and_of_no_known_one_it_fails() -> None:
    world = World()
    calls = len(world.cloud.calls)
    world.publisher.ring("mute#default#1")
    assert world.publisher.behind({"mute#default#1": 1}) == set()
    assert len(world.cloud.calls) == calls
    with pytest.raises(Unreadable):
        world.publisher.ring("other#default#1")


def test_published_says_how_far() -> None:
    world = World()
    assert not published(world.cloud.views, STREAM, 1)
    world.publisher.take(world.add(2))
    assert published(world.cloud.views, STREAM, 1)
    assert not published(world.cloud.views, STREAM, 2)


HEARD: View[dict[str, object]] = View("heard", lambda stream: Row({"version": stream.version}))


def told(version: int, time: int) -> Envelope:
    return Envelope("id", "PileGrew", 1, STREAM, version, time, "default", {})


def test_of_what_is_told_the_newest_is_kept_whatever_comes_when() -> None:
    table = Cloud().views
    assert [keep(table, HEARD, told(*each)) for each in ((2, 50), (1, 50), (3, 60), (2, 50))] == [
        *(True, False, True, False)
    ]
    row = table.row(HEARD, STREAM)
    assert row is not None
    assert row[1] == {"version": 3}


def test_a_stream_that_takes_a_free_name_is_newer_than_the_former() -> None:
    table = Cloud().views
    assert keep(table, HEARD, told(7, 1000))
    assert keep(table, HEARD, told(1, 2000))


def test_a_row_is_of_the_tenant_and_time_that_were_told() -> None:
    seen: list[Stream[dict[str, object]]] = []

    def render(stream: Stream[dict[str, object]]) -> Row:
        seen.append(stream)
        return Row()

    keep(Cloud().views, View("heard", render), told(7, 1000)._replace(tenant="acme"))
    assert [(each.tenant, each.at, each.version) for each in seen] == [("acme", 1000, 7)]
