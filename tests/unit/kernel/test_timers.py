"""Timers: what is due is sent, again and again until it is done, and nothing before its time."""

from __future__ import annotations

import pytest

from functions.kernel.timers import FULL_MS, RECENT_MS, Timers
from functions.kernel.views import Row, View
from tests.unit.kernel.cloud import Cloud

NOW = 100 * FULL_MS
SHOWN: View[None] = View("things", lambda stream: Row())


class Queue:
    """Takes what is sent; refuses the next `broken` times."""

    def __init__(self) -> None:
        self.pages: list[list[str]] = []
        self.broken = 0

    def __call__(self, streams: list[str]) -> None:
        if self.broken:
            self.broken -= 1
            raise ConnectionError
        self.pages.append(streams)

    def taken(self) -> list[str]:
        """What came since the last look."""
        taken = sorted(stream for page in self.pages for stream in page)
        self.pages.clear()
        return taken


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def queue() -> Queue:
    return Queue()


def show(cloud: Cloud, stream: str, due: int | None, version: int = 1) -> None:
    cloud.views.put(SHOWN, stream, version, Row({}, due=due))


def fire(cloud: Cloud, queue: Queue, now: int = NOW) -> list[str]:
    """What one run sends."""
    fired = Timers(cloud.views).fire(now, queue, lambda: True)
    taken = queue.taken()
    assert fired == len(taken)
    return taken


def test_what_is_due_by_now_is_sent_and_nothing_later(cloud: Cloud, queue: Queue) -> None:
    for stream, due in (("a#1", NOW - 1), ("a#2", NOW), ("a#3", NOW + 1), ("a#4", None)):
        show(cloud, stream, due)
    assert fire(cloud, queue) == ["a#1", "a#2"]
    assert fire(cloud, queue, NOW + 1) == ["a#1", "a#2", "a#3"]


def test_a_stream_is_sent_until_its_row_says_that_it_is_no_longer_due(
    cloud: Cloud, queue: Queue
) -> None:
    show(cloud, "a#1", NOW)
    assert fire(cloud, queue) == fire(cloud, queue, NOW + 1) == ["a#1"]
    show(cloud, "a#1", None, version=2)
    assert fire(cloud, queue, NOW + 2) == []


def test_what_is_not_done_is_sent_at_each_run_for_a_while_and_then_once_an_hour(
    cloud: Cloud, queue: Queue
) -> None:
    show(cloud, "a#1", NOW)
    runs = {minute: fire(cloud, queue, NOW + minute * 60_000) for minute in range(125)}
    recent = RECENT_MS // 60_000
    assert [minute for minute, sent in runs.items() if sent] == [*range(recent + 1), 60, 120]


def test_an_entry_that_comes_late_is_found(cloud: Cloud, queue: Queue) -> None:
    fire(cloud, queue)
    show(cloud, "a#1", NOW - FULL_MS)
    assert fire(cloud, queue, NOW + 60_000) == []
    assert fire(cloud, queue, NOW + FULL_MS) == ["a#1"]


def test_a_look_back_is_noted_only_when_all_was_sent(cloud: Cloud, queue: Queue) -> None:
    for number in range(20):
        show(cloud, f"a#{number}", NOW - FULL_MS)
    queue.broken = 1
    with pytest.raises(ConnectionError):
        fire(cloud, queue)
    assert len(fire(cloud, queue, NOW + 60_000)) == 20
    assert fire(cloud, queue, NOW + 120_000) == []


def test_a_run_without_time_stops_and_the_next_looks_all_the_way_back(
    cloud: Cloud, queue: Queue
) -> None:
    for number in range(20):
        show(cloud, f"a#{number}", NOW - FULL_MS)
    answers = iter([True, True, False])
    fired = Timers(cloud.views).fire(NOW, queue, lambda: next(answers))
    assert 0 < fired == len(queue.taken()) < 20
    assert len(fire(cloud, queue, NOW + 60_000)) == 20


def test_pages_of_the_index_are_sent_one_by_one(queue: Queue) -> None:
    cloud = Cloud(page=300)
    for number in range(40):
        show(cloud, f"a#{number}", NOW - number)
    Timers(cloud.views).fire(NOW, queue, lambda: True)
    assert max(map(len, queue.pages)) < 10
    assert len(queue.taken()) == 40


def test_a_stream_with_rows_in_two_generations_is_sent_once(cloud: Cloud, queue: Queue) -> None:
    show(cloud, "a#1", NOW)
    cloud.views.put(View("things", SHOWN.render, generation=2), "a#1", 1, Row({}, due=NOW))
    assert fire(cloud, queue) == ["a#1"]
