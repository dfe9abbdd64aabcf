from __future__ import annotations

import pytest

from functions.kernel.errors import NotFound
from functions.ratelimiter.decider import DECIDER, KEPT, ActivateRules, PublishRules
from functions.ratelimiter.events import (
    Event,
    RulesActivated,
    RulesPublished,
    RulesRolledBack,
)
from tests.support.given import given

FIRST, SECOND = RulesPublished(1, "[1]", "one"), RulesPublished(2, "[2]", "two")


def test_versions_are_counted_from_one() -> None:
    given(DECIDER).when(PublishRules("[1]", "one")).then(FIRST)
    given(DECIDER, FIRST).when(PublishRules("[2]", "two")).then(SECOND)


def test_what_is_the_newest_already_is_no_version() -> None:
    given(DECIDER, FIRST).when(PublishRules("[1]", "one")).then()
    again = RulesPublished(3, "[1]", "one")
    given(DECIDER, FIRST, SECOND).when(PublishRules("[1]", "one")).then(again)


@pytest.mark.parametrize(
    ("history", "number", "event"),
    [
        ((), 2, RulesActivated(2, "[2]")),
        ((RulesActivated(1, "[1]"),), 2, RulesActivated(2, "[2]")),
        ((RulesActivated(2, "[2]"),), 1, RulesRolledBack(1, "[1]")),
    ],
)
def test_an_earlier_version_is_a_rollback(
    history: tuple[Event, ...], number: int, event: Event
) -> None:
    command = ActivateRules(number, f"[{number}]")
    given(DECIDER, FIRST, SECOND, *history).when(command).then(event)


def test_what_holds_already_is_no_change() -> None:
    held = (FIRST, RulesActivated(1, "[1]"))
    given(DECIDER, *held).when(ActivateRules(1, "[1]")).then()
    # However many were published since.
    others = [RulesPublished(n, f"[{n}]", str(n)) for n in range(2, KEPT + 3)]
    given(DECIDER, *held, *others).when(ActivateRules(1, "[1]")).then()


@pytest.mark.parametrize("number", [0, 3])
def test_what_was_never_published_cannot_hold(number: int) -> None:
    with pytest.raises(NotFound):
        given(DECIDER, FIRST, SECOND).when(ActivateRules(number, "[]")).then()


def test_the_state_has_the_newest_versions_and_where_each_was_published() -> None:
    published = [RulesPublished(n, f"[{n}]", str(n)) for n in range(1, KEPT + 3)]
    state = given(DECIDER, published[0], RulesActivated(1, "[1]"), *published[1:]).state
    assert (state.active, state.holding, state.latest) == (1, "[1]", KEPT + 2)
    assert len(state.published) == KEPT
    assert state.place(3) == (3, "3", 4)
    assert state.newest == f"[{KEPT + 2}]"
