from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from functions.edge.projection import Projection
from functions.edge.sweeping import sweeper
from functions.kernel.codec import to_data
from functions.kernel.commands import Commands
from functions.kernel.generations import GENERATIONS, Generations
from functions.kernel.sweep import MARK
from functions.kernel.views import Row, View
from tests.unit.edge.conftest import World
from tests.unit.kernel.cloud import Cloud
from tests.unit.kernel.pile import PILE, Pile, by, put

RETIRED: View[Pile] = View("piles", lambda stream: Row())
STREAMS = 40
RUN_MS = 100_000
CALL_MS = 1000


@dataclass
class Context:
    """A run in which each call to the cloud takes a second."""

    cloud: Cloud
    aws_request_id: str = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return RUN_MS - CALL_MS * len(self.cloud.calls)


def test_a_log_that_takes_a_run_all_its_time_leaves_some_for_dropping_what_is_retired(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("functions.kernel.sweep.SLICE", 1)
    cloud = Cloud(page=250)
    for number in range(STREAMS):
        Commands(cloud.store, PILE).create(f"pile#default#{number}", put(number), by())
        cloud.views.put(RETIRED, f"pile#default#{number}", 1, Row())
    cloud.views.set_mark(GENERATIONS, {"piles": to_data(Generations(live=2, retired=1))})
    cloud.calls.clear()
    quarantine: Any = SimpleNamespace(all=list)
    projector: Any = None
    wired = Projection(cloud.store, cloud.views, projector, quarantine)
    sweeper(world.runtime, "piles", wired, [])({}, Context(cloud))
    (line,) = world.lines
    assert line["complete"] is False
    assert cloud.views.mark(MARK) is not None
    assert line["dropped_rows"] == STREAMS
