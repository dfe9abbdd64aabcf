"""Loading: the state is the fold of the history, and no load fetches more than it must."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from functions.kernel.decider import Decider
from functions.kernel.errors import Unreadable
from functions.kernel.memory import MemoryStore
from functions.kernel.store import Stream, load
from tests.unit.kernel.pile import PILE, STREAM, Added, Pile, Put, Watched, by, commands, every, put

RHYTHMS = st.sampled_from([1, 4, 16])


class Deployments(RuleBasedStateMachine):
    """A pile grows while deploys change how often it is snapshot."""

    @initialize(rhythm=RHYTHMS, values=st.lists(st.integers(0), min_size=1, max_size=3))
    def create(self, rhythm: int, values: list[int]) -> None:
        self.store = Watched()
        self.decider = every(rhythm)
        self.most = rhythm
        self.values = tuple(values)
        commands(self.store, self.decider).create(STREAM, put(*values), by())

    @rule(values=st.lists(st.integers(0), max_size=3))
    def change(self, values: list[int]) -> None:
        outcome = commands(self.store, self.decider).execute(STREAM, put(*values), by())
        self.values += tuple(values)
        if values:
            self.most = self.decider.snapshot_every
        assert outcome.state == Pile(self.values)

    @rule(rhythm=RHYTHMS)
    def deploy(self, rhythm: int) -> None:
        # What was written in the old rhythm costs as before, until the next commit.
        self.most = max(self.most, rhythm)
        self.decider = every(rhythm)

    @invariant()
    def the_state_is_the_fold_of_everything(self) -> None:
        self.store.fetched = 0
        found = load(self.store, self.decider, STREAM)
        assert (found.state, found.version) == (Pile(self.values), len(self.values))
        assert self.store.fetched <= self.most
        assert found.tail == self.store.fetched - 1

    @invariant()
    def the_state_at_every_version_is_the_fold_up_to_it(self) -> None:
        for version in range(len(self.values) + 1):
            found = load(self.store, self.decider, STREAM, version=version)
            assert (found.state, found.version) == (Pile(self.values[:version]), version)


Deployments.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestDeployments = Deployments.TestCase


def grown(decider: Decider[Any, Any, Any], values: Sequence[int]) -> Watched:
    """A store whose pile got one value per commit."""
    store = Watched()
    commands(store, decider).create(STREAM, put(values[0]), by())
    for value in values[1:]:
        commands(store, decider).execute(STREAM, put(value), by())
    store.fetched = 0
    return store


@pytest.mark.parametrize("snapshot_every", [1, 4, 16])
@pytest.mark.parametrize("commits", [1, 2, 17, 100])
def test_a_load_costs_the_same_however_long_the_history_is(
    snapshot_every: int, commits: int
) -> None:
    decider = every(snapshot_every)
    store = grown(decider, range(commits))
    assert load(store, decider, STREAM).state == Pile(tuple(range(commits)))
    assert store.fetched == (commits - 1) % snapshot_every + 1


def test_a_first_commit_carries_no_snapshot() -> None:
    store = grown(every(1), range(3))
    assert [commit.snapshot is None for commit in store.commits[STREAM]] == [True, False, False]
    assert all(commit.stateful for commit in store.commits[STREAM])


def test_a_stream_that_does_not_exist_is_of_version_0() -> None:
    assert load(MemoryStore(), PILE, STREAM) == Stream(STREAM, PILE.initial)


def test_a_version_that_does_not_exist_yet_gives_the_newest() -> None:
    store = grown(PILE, range(3))
    assert load(store, PILE, STREAM, version=7).version == 3


def test_a_history_with_a_hole_is_refused() -> None:
    store = grown(PILE, range(3))
    del store.commits[STREAM][0]
    with pytest.raises(Unreadable):
        load(store, PILE, STREAM)


@dataclass(frozen=True)
class Counted:
    """The pile's next state schema: values and how many."""

    values: tuple[int, ...] = ()
    count: int = 0


def _count(state: dict[str, Any], schema: int) -> dict[str, Any]:
    assert schema == 1
    return {**state, "count": len(state["values"])}


def _put_counted(pile: Counted, event: Added) -> Counted:
    return Counted((*pile.values, event.value), pile.count + 1)


def _never(pile: Counted, event: Added) -> Counted:
    raise AssertionError("a history was folded again")


COUNTED: Decider[Put, Counted, Added] = replace(
    # What is decided stays, though of another state.
    cast("Decider[Put, Any, Added]", PILE),
    state=Counted,
    initial=Counted(),
    evolve=_put_counted,
    snapshot_every=1,
    state_schema=2,
    upgrade=_count,
)


def test_a_snapshot_of_an_older_schema_is_upgraded_and_no_history_folded() -> None:
    store = grown(every(1), range(5))
    found = load(store, replace(COUNTED, evolve=_never), STREAM)
    assert found.state == Counted((0, 1, 2, 3, 4), 5)
    assert store.fetched == 1


def test_the_commit_after_an_upgrade_carries_the_new_schema() -> None:
    store = grown(every(1), range(5))
    commands(store, COUNTED).execute(STREAM, put(5), by())
    assert load(store, replace(COUNTED, upgrade=PILE.upgrade), STREAM).state.count == 6


def test_a_snapshot_newer_than_the_code_is_refused() -> None:
    store = grown(COUNTED, range(5))
    with pytest.raises(Unreadable):
        load(store, every(1), STREAM)


def test_a_schema_without_its_upgrade_is_an_error() -> None:
    store = grown(every(1), range(5))
    with pytest.raises(LookupError):
        load(store, replace(COUNTED, upgrade=PILE.upgrade), STREAM)
