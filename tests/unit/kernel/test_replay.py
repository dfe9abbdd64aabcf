"""What a replay retired is dropped, a few pages at a time, whoever dies or does it too."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from functions.kernel.codec import to_data
from functions.kernel.generations import GENERATIONS, Generations
from functions.kernel.replay import RETIRED_MS, drop_retired
from functions.kernel.views import Row, View
from tests.support.faults import Crash
from tests.unit.kernel.cloud import VIEWS, Cloud
from tests.unit.kernel.pile import Pile

RETIRED: View[Pile] = View("piles", lambda stream: Row())
READ: View[Pile] = View("piles", lambda stream: Row(), generation=2)
OTHER: View[Pile] = View("others", lambda stream: Row())
ROWS = 12
SINCE = 5000
FLIPPED = Generations(live=2, retired=1, since=SINCE)
DONE = Generations(live=2, since=SINCE)
PAGE = 250
"""Bytes: a few rows."""


@pytest.fixture
def cloud() -> Cloud:
    """Rows of a view that is read, of the generation before, and of another view."""
    cloud = Cloud(page=PAGE)
    for number in range(ROWS):
        for view in (RETIRED, READ, OTHER):
            cloud.views.put(view, f"pile#default#{number}", 1, Row({"of": view.prefix}))
    cloud.views.set_mark(GENERATIONS, {"piles": to_data(FLIPPED)})
    cloud.calls.clear()
    return cloud


def drop(cloud: Cloud, has_time: Callable[[], bool] = lambda: False) -> int:
    return drop_retired(cloud.views, SINCE + RETIRED_MS, has_time)


def standing(cloud: Cloud) -> Generations:
    return Generations.of(cloud.views.mark(GENERATIONS), "piles")


def rows(cloud: Cloud) -> dict[str, int]:
    """How many rows each view has, by the prefix of their keys."""
    keys = [item["pk"]["S"] for item in cloud.items(VIEWS)]
    views = (RETIRED, READ, OTHER)
    return {view.prefix: sum(key.startswith(view.prefix) for key in keys) for view in views}


def runs(cloud: Cloud) -> Iterator[int]:
    """One run after another, each without time, until nothing is retired."""
    while standing(cloud).retired is not None:
        assert cloud.calls.count("Scan") < 3 * ROWS, "no end to it"
        yield drop(cloud)


def all_is_dropped(cloud: Cloud) -> None:
    assert standing(cloud) == DONE
    assert rows(cloud) == {RETIRED.prefix: 0, READ.prefix: ROWS, OTHER.prefix: ROWS}


def test_runs_without_time_read_a_page_each_and_none_twice(cloud: Cloud) -> None:
    dropped = [*runs(cloud)]
    assert sum(dropped) == ROWS
    assert len(dropped) == cloud.calls.count("Scan") > ROWS / 2
    all_is_dropped(cloud)


def test_a_run_with_time_drops_all(cloud: Cloud) -> None:
    assert drop(cloud, lambda: True) == ROWS
    all_is_dropped(cloud)


def test_nothing_is_dropped_while_a_reader_may_hold_the_old_pointer(cloud: Cloud) -> None:
    assert drop_retired(cloud.views, SINCE + RETIRED_MS - 1, lambda: True) == 0
    assert (standing(cloud), rows(cloud)[RETIRED.prefix]) == (FLIPPED, ROWS)


def test_a_run_that_dies_at_any_call_is_taken_up(cloud: Cloud) -> None:
    died = 0
    while standing(cloud).retired is not None:
        # At a later call each time, until a run lives to its end.
        cloud.dies_at = len(cloud.calls) + died
        try:
            drop(cloud, lambda: True)
        except Crash:
            died += 1
        cloud.dies_at = None
    assert died > 3
    all_is_dropped(cloud)


@pytest.mark.parametrize("pages", range(4))
def test_a_run_that_another_overtakes_does_no_harm(cloud: Cloud, pages: int) -> None:
    def overtaken() -> bool:
        for _ in range(pages):
            drop(cloud)
        return True

    drop(cloud, overtaken)
    for _ in runs(cloud):
        pass
    all_is_dropped(cloud)
