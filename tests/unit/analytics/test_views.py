from __future__ import annotations

import json
from typing import Any

from functions.analytics.decider import DECIDER, Site
from functions.analytics.events import FunnelSet, GoalSet, LanesGrown, SiteDeleted
from functions.analytics.views import owner_list, read, render
from functions.kernel.codec import to_json
from functions.kernel.store import Stream
from tests.unit.analytics.sites import CREATED, ID, MINUTE, NOW

GOAL = GoalSet("buy", "page", "/thanks*")
FUNNEL = FunnelSet("buy", 1000, (("page", "/cart"), ("event", "paid")))


def stream(*events: Any) -> Stream[Site | None]:
    state = DECIDER.fold(None, (CREATED, *events))
    return Stream(f"site#{ID}", state, version=1 + len(events), tenant="acme")


def test_a_row_holds_the_whole_site_and_its_version() -> None:
    current = stream(GOAL, FUNNEL, LanesGrown(MINUTE + 20, 4))
    row = render(current)
    stored = json.loads(to_json(row.data))
    assert read(stored) == (current.state, 4)
    assert row.list == owner_list("acme", "alice")
    assert row.position == f"{NOW:015d}#{ID}"


def test_a_deleted_site_leaves_its_list() -> None:
    row = render(stream(SiteDeleted(NOW)))
    assert (row.list, row.position, dict(row.data)) == (None, None, {})


def test_equal_names_of_two_tenants_are_two_lists() -> None:
    assert owner_list("a", 'b","c') != owner_list('a","b', "c")
