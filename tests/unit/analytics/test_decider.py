from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from functions.analytics.decider import (
    DECIDER,
    LANES_AHEAD,
    MAX_FUNNELS,
    MAX_GOALS,
    MAX_LANES,
    ROLLUPS,
    Command,
    Definition,
    DeleteSite,
    EditSite,
    GrowLanes,
    RemoveFunnel,
    RemoveGoal,
    SetFunnel,
    SetGoal,
    Site,
    stream_id,
    visible,
)
from functions.analytics.events import (
    FunnelRemoved,
    FunnelSet,
    GoalRemoved,
    GoalSet,
    LanesGrown,
    SiteDeleted,
    SitePairsChanged,
    SitePropertiesChanged,
    SiteRenamed,
    SiteTimezoneChanged,
)
from functions.kernel.errors import NotFound
from tests.support.given import given
from tests.unit.analytics.sites import CREATED, ID, MINUTE, NOW, create, created

GOAL = GoalSet("buy", "page", "/thanks*")
FUNNEL = FunnelSet("buy", 1000, (("page", "/cart"), ("event", "paid")))
STEPS = FUNNEL.steps
DELETED = (CREATED, SiteDeleted(NOW))
COMMANDS: list[Command] = [
    EditSite({"name": "x"}),
    SetGoal("g", "event", "x"),
    RemoveGoal("buy"),
    SetFunnel("f", 1000, STEPS),
    RemoveFunnel("buy"),
    GrowLanes(2, MINUTE + LANES_AHEAD, NOW),
    DeleteSite(NOW),
]


def test_a_site_is_made_as_asked() -> None:
    given(DECIDER).when(create()).then(CREATED)
    given(DECIDER).when(create((), ledger="bulk")).then(created((), ledger="bulk"))


BAD: list[tuple[str, dict[str, Any]]] = [
    ("retention_days", {"retention_days": 0}),
    ("retention_days", {"retention_days": 1826}),
    ("origins", {"origins": tuple(f"https://a{n}.example" for n in range(21))}),
    ("origins", {"origins": ("https://a.example",) * 2}),
    ("properties", {"properties": tuple(f"p{n}" for n in range(21))}),
    ("properties", {"properties": ("plan", "plan")}),
    ("blocked_referrers", {"blocked_referrers": tuple(f"a{n}.example" for n in range(51))}),
    ("pairs", {"pairs": (("page", "country"),) * 2}),
    ("pairs", {"pairs": (("page", "country"), ("country", "page"))}),
    ("pairs", {"pairs": (("page", "page"),)}),
    ("pairs", {"pairs": (("page", "goal"),)}),
    ("pairs", {"pairs": (("page", "all"),)}),
    ("pairs", {"pairs": (("prop:plan", "page"),)}),
    ("pairs", {"properties": tuple("abcdefghijk"), "pairs": tuple(
        ("page", f"prop:{key}") for key in "abcdefghijk"
    )}),
]  # fmt: skip


@pytest.mark.parametrize(("field", "wanted"), BAD)
def test_what_breaks_a_rule_is_neither_made_nor_set(field: str, wanted: dict[str, Any]) -> None:
    given(DECIDER).when(create(**wanted)).rejected(field)
    given(DECIDER, CREATED).when(EditSite(wanted)).rejected(field)


def test_an_edit_tells_of_what_changes_alone() -> None:
    changes = {"name": "Store", "retention_days": 365, "properties": ("plan",)}
    given(DECIDER, CREATED).when(EditSite(changes)).then(
        SiteRenamed("Store"), SitePropertiesChanged(("plan",))
    )
    given(DECIDER, CREATED).when(EditSite({"name": "Shop"})).then()


def test_a_property_and_its_pair_are_set_and_taken_away_together() -> None:
    both: dict[str, Any] = {"properties": ("plan",), "pairs": (("prop:plan", "country"),)}
    paired = created(**both)
    given(DECIDER, CREATED).when(EditSite(both)).then(
        SitePropertiesChanged(("plan",)), SitePairsChanged((("prop:plan", "country"),))
    )
    given(DECIDER, paired).when(EditSite({"properties": ()})).rejected("pairs")
    given(DECIDER, paired).when(EditSite({"properties": (), "pairs": ()})).then(
        SitePropertiesChanged(()), SitePairsChanged(())
    )


def test_a_time_zone_changes_within_its_phase_alone() -> None:
    there = EditSite({"timezone": "Europe/Berlin", "phase": 0})
    given(DECIDER, CREATED).when(there).then(SiteTimezoneChanged("Europe/Berlin"))
    elsewhere = EditSite({"timezone": "Asia/Kolkata", "phase": 30})
    given(DECIDER, CREATED).when(elsewhere).rejected("timezone")


def test_a_goal_is_set_replaced_and_removed() -> None:
    other = GoalSet("buy", "event", "paid")
    given(DECIDER, CREATED).when(SetGoal("buy", "page", "/thanks*")).then(GOAL)
    given(DECIDER, CREATED, GOAL).when(SetGoal("buy", "page", "/thanks*")).then()
    given(DECIDER, CREATED, GOAL).when(SetGoal("buy", "event", "paid")).then(other)
    given(DECIDER, CREATED, GOAL).when(RemoveGoal("buy")).then(GoalRemoved("buy"))
    site = DECIDER.fold(None, (CREATED, GOAL, GoalSet("a", "event", "x"), other))
    assert site is not None
    assert site.goals == (("a", "event", "x"), ("buy", "event", "paid"))


def test_a_funnel_is_set_replaced_and_removed() -> None:
    longer = FunnelSet("buy", 2000, STEPS)
    given(DECIDER, CREATED).when(SetFunnel("buy", 1000, STEPS)).then(FUNNEL)
    given(DECIDER, CREATED, FUNNEL).when(SetFunnel("buy", 1000, STEPS)).then()
    given(DECIDER, CREATED, FUNNEL).when(SetFunnel("buy", 2000, STEPS)).then(longer)
    given(DECIDER, CREATED, FUNNEL).when(RemoveFunnel("buy")).then(FunnelRemoved("buy"))


@pytest.mark.parametrize("command", [RemoveGoal("sell"), RemoveFunnel("sell")])
def test_what_is_not_there_is_not_removed(command: Command) -> None:
    site = DECIDER.fold(None, (CREATED, GOAL, FUNNEL))
    with pytest.raises(NotFound):
        DECIDER.decide(command, site)


def test_goals_and_funnels_have_room_for_so_many_and_for_changes_of_these() -> None:
    goals = [GoalSet(f"g{n}", "event", "x") for n in range(MAX_GOALS)]
    funnels = [FunnelSet(f"f{n}", 1, STEPS) for n in range(MAX_FUNNELS)]
    full = given(DECIDER, CREATED, *goals, *funnels)
    full.when(SetGoal("more", "event", "x")).rejected("name")
    full.when(SetFunnel("more", 1, STEPS)).rejected("name")
    full.when(SetGoal("g7", "event", "y")).then(GoalSet("g7", "event", "y"))
    full.when(SetFunnel("f7", 2, STEPS)).then(FunnelSet("f7", 2, STEPS))


@pytest.mark.parametrize("steps", [STEPS[:1], STEPS[:1] * 11])
def test_a_funnel_has_two_to_ten_steps(steps: Any) -> None:
    given(DECIDER, CREATED).when(SetFunnel("buy", 1, steps)).rejected("steps")


def test_lanes_grow_for_minutes_well_ahead_alone() -> None:
    soonest = MINUTE + LANES_AHEAD
    grown = LanesGrown(soonest, 4)
    given(DECIDER, CREATED).when(GrowLanes(4, soonest, NOW)).then(grown)
    given(DECIDER, CREATED).when(GrowLanes(4, soonest - 1, NOW)).rejected("from_minute")
    given(DECIDER, CREATED).when(GrowLanes(1, soonest, NOW)).then()
    given(DECIDER, CREATED).when(GrowLanes(MAX_LANES + 1, soonest, NOW)).rejected("number")
    again = given(DECIDER, CREATED, LanesGrown(soonest + 9, 4))
    again.when(GrowLanes(4, soonest + 10, NOW)).then()
    again.when(GrowLanes(8, soonest + 9, NOW)).rejected("from_minute")
    again.when(GrowLanes(8, soonest + 10, NOW)).then(LanesGrown(soonest + 10, 8))


@for_all(
    st.lists(
        st.tuples(st.integers(1, MAX_LANES + 3), st.integers(-5, 60), st.integers(0, 30)),
        max_size=10,
    )
)
def test_lanes_only_grow_and_never_for_a_minute_that_has_come(
    commands: list[tuple[int, int, int]],
) -> None:
    site, now = DECIDER.fold(None, (CREATED,)), NOW
    for number, ahead, waited in commands:
        now += waited * 60_000
        before = site.lanes if site else ()
        command = GrowLanes(number, now // 60_000 + ahead, now)
        try:
            site = DECIDER.fold(site, DECIDER.decide(command, site))
        except ValueError:
            continue
        assert site is not None
        assert site.lanes[: len(before)] == before
        assert all(minute >= now // 60_000 + LANES_AHEAD for minute, _ in site.lanes[len(before) :])
    assert site is not None
    assert list(site.lanes) == sorted(site.lanes)
    numbers = [number for _, number in site.lanes]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_happens_to_a_site_that_is_gone_or_was_never_there(command: Command) -> None:
    given(DECIDER, *DELETED).when(command).gone()
    given(DECIDER).when(command).gone()


def test_a_site_is_its_owners_alone() -> None:
    site = DECIDER.fold(None, (CREATED,))
    assert visible(site, "alice")
    assert not visible(site, "mallory")
    assert not visible(None, "alice")


def test_a_definition_names_its_rollups() -> None:
    site = DECIDER.fold(None, (created(properties=("plan",), pairs=(("page", "prop:plan"),)),))
    assert isinstance(site, Site)
    assert isinstance(site, Definition)
    assert site.rollups == (*ROLLUPS, "prop:plan", "page*prop:plan")
    assert stream_id(ID) == f"site#{ID}"
