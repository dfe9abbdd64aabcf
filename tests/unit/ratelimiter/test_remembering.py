from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from functions.kernel.memory import MemoryStore
from functions.kernel.store import Commit, Metadata
from functions.ratelimiter import remembering
from functions.ratelimiter.remembering import FRESH_MS, KEPT, MISSING_KEPT, Remembered
from functions.ratelimiter.upstreams import UPSTREAMS, Upstream, UpstreamSet, stream_id


class Store(MemoryStore):
    """A store that counts its queries, and may fail."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()
        self.down = False

    def backward(self, stream: str, **more: Any) -> Iterator[Commit]:
        self.asked[stream] += 1
        if self.down:
            raise ConnectionError
        yield from super().backward(stream, **more)


class World:
    def __init__(self) -> None:
        self.store, self.now = Store(), 1_000_000
        self.known: Remembered[Upstream | None] = Remembered(
            self.store, UPSTREAMS, lambda: self.now
        )

    def set(self, name: str, version: int = 0) -> None:
        event = UpstreamSet(name, f"https://v{version}.example", 1000, "key", (), set_at=1)
        commit = Commit(
            stream=stream_id("t", name),
            before=version,
            after=version + 1,
            id=f"{name}{version}",
            events=UPSTREAMS.events.encode([event]),
            metadata=Metadata(at=1),
        )
        assert self.store.append(commit) is None

    def url(self, name: str) -> str | None:
        found = self.known.of(stream_id("t", name))
        return found.url if found else None

    def queries(self, name: str) -> int:
        return self.store.asked[stream_id("t", name)]


@pytest.fixture
def world() -> World:
    return World()


def test_a_stream_is_read_once_per_half_a_minute(world: World) -> None:
    world.set("a")
    assert {world.url("a") for _ in range(9)} == {"https://v0.example"}
    world.now += FRESH_MS - 1
    assert (world.url("a"), world.queries("a")) == ("https://v0.example", 1)
    world.now += 1
    assert (world.url("a"), world.queries("a")) == ("https://v0.example", 2)


def test_a_clock_that_goes_back_keeps_nothing_fresh(world: World) -> None:
    world.set("a")
    world.url("a")
    world.now -= 1
    assert (world.url("a"), world.queries("a")) == ("https://v0.example", 2)


def test_what_is_not_there_is_looked_for_as_seldom(world: World) -> None:
    assert [world.url("a") for _ in range(9)] == [None] * 9
    world.set("a")
    assert (world.url("a"), world.queries("a")) == (None, 1)
    world.now += FRESH_MS
    assert world.url("a") == "https://v0.example"


def test_what_is_old_is_not_gone_by_while_the_store_fails(world: World) -> None:
    world.set("a")
    world.url("a")
    world.store.down = True
    assert world.url("a") == "https://v0.example"
    world.now += FRESH_MS
    with pytest.raises(ConnectionError):
        world.url("a")


def test_a_flood_of_names_pushes_out_nothing_that_is_there(world: World) -> None:
    world.set("a")
    world.url("a")
    for number in range(MISSING_KEPT + 50):
        world.url(f"made-up-{number}")
    assert (world.url("a"), world.queries("a")) == ("https://v0.example", 1)
    sizes = [len(each) for each in (world.known._found, world.known._missing)]
    assert sizes == [1, MISSING_KEPT]


def test_of_what_is_there_so_many_are_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert KEPT >= 1000
    monkeypatch.setattr(remembering, "KEPT", 3)
    for name in "abcd":
        world.set(name)
        world.url(name)
    for name in "dcba":
        world.url(name)
    assert [world.queries(name) for name in "abcd"] == [2, 1, 1, 1]
