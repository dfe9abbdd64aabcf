from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.kernel.backoff import Backoff
from functions.kernel.errors import (
    AlreadyExists,
    CommandReused,
    CommitTooLarge,
    Conflict,
    KernelError,
    NotFound,
    Rejected,
    VersionMismatch,
)
from functions.kernel.memory import MemoryStore
from functions.kernel.store import MAX_COMMIT_BYTES, Commit, Metadata, load
from tests.unit.kernel.pile import (
    OWNER,
    PILE,
    STREAM,
    Pile,
    Put,
    Waits,
    Watched,
    by,
    commands,
    every,
    put,
)


@pytest.fixture
def store() -> Watched:
    """A store in which alice's pile holds 1."""
    store = Watched()
    commands(store).create(STREAM, put(1), by(key="create"))
    return store


def rival(*, id: str = "rival", value: int = 99) -> Commit:
    """What another writer would append next; the store gives it its place."""
    return Commit(STREAM, 0, 1, id, f'[["Added",1,{{"value":{value}}}]]', Metadata(at=1000))


def current(store: MemoryStore) -> Pile:
    return load(store, PILE, STREAM).state


class TestCreating:
    def test_it_appends_one_commit_and_reads_nothing(self) -> None:
        store = Watched()
        outcome = commands(store).create(STREAM, put(1, 2), by())
        assert (outcome.state, outcome.version) == (Pile((1, 2)), 2)
        assert (store.appends, store.fetched) == (1, 0)
        assert not outcome.repeated

    def test_a_taken_stream_is_refused_with_the_commit_that_took_it(self, store: Watched) -> None:
        first = store.commits[STREAM][0]
        with pytest.raises(AlreadyExists) as refusal:
            commands(store).create(STREAM, put(2), by(key="another"))
        assert refusal.value.first == first
        assert current(store) == Pile((1,))

    def test_a_repeat_gets_the_first_answer_even_after_edits(self, store: Watched) -> None:
        commands(store).execute(STREAM, put(2), by())
        again = commands(store).create(STREAM, put(1), by(key="create", now=9000))
        assert (again.state, again.version, again.at) == (Pile((1,)), 1, 1000)
        assert again.repeated
        assert current(store) == Pile((1, 2))

    def test_a_repeat_gets_the_first_answer_even_if_a_new_one_would_be_rejected_by_now(
        self,
    ) -> None:
        store = MemoryStore()
        asked = Put((1,), until=2000, now=1000)
        commands(store).create(STREAM, asked, by(key="k", now=1000))
        late = replace(asked, now=3000)
        again = commands(store).create(STREAM, late, by(key="k", now=3000))
        assert again.repeated
        assert again.state == Pile((1,))

    @pytest.mark.parametrize(
        ("stream", "key", "error"),
        [
            (STREAM, None, Rejected),
            ("free", "another", Rejected),
            (STREAM, "another", AlreadyExists),
        ],
        ids=["no-key", "another-key", "another-key-on-anothers-stream"],
    )
    def test_what_is_rejected_and_no_repeat_stays_so_but_where_another_stands(
        self, store: Watched, stream: str, key: str | None, error: type[Exception]
    ) -> None:
        with pytest.raises(error):
            commands(store).create(stream, put(-1), by(key=key))

    def test_the_same_key_with_another_payload_is_refused(self, store: Watched) -> None:
        with pytest.raises(CommandReused):
            commands(store).create(STREAM, put(2), by(key="create", payload="other"))

    def test_another_actors_equal_key_is_no_repeat(self, store: Watched) -> None:
        with pytest.raises(AlreadyExists):
            commands(store).create(STREAM, put(1), by("bob", key="create"))

    def test_what_the_decider_rejects_is_not_stored(self) -> None:
        store = Watched()
        with pytest.raises(Rejected):
            commands(store).create(STREAM, put(-1), by())
        assert (store.appends, store.commits) == (0, {})

    def test_a_commit_whose_answer_was_lost_is_ours(self) -> None:
        store, context = Watched(), by()
        first = commands(store).create(STREAM, put(1), context)
        second = commands(store).create(STREAM, put(1), context)
        assert (first.version, second.version) == (1, 1)
        assert len(store.commits[STREAM]) == 1


class TestExecuting:
    def test_a_command_of_several_events_is_one_commit(self, store: Watched) -> None:
        outcome = commands(store).execute(STREAM, put(2, 3, 4), by())
        assert (outcome.state, outcome.version) == (Pile((1, 2, 3, 4)), 4)
        assert [(c.before, c.after) for c in store.commits[STREAM]] == [(0, 1), (1, 4)]

    def test_a_command_without_events_appends_nothing(self, store: Watched) -> None:
        before = store.appends
        outcome = commands(store).execute(STREAM, put(), by(key="k"))
        assert (outcome.state, outcome.version, outcome.repeated) == (Pile((1,)), 1, False)
        assert store.appends == before

    def test_a_repeat_gets_the_first_answer_and_appends_nothing(self, store: Watched) -> None:
        commands(store).execute(STREAM, put(2), by(key="k", now=2000))
        commands(store).execute(STREAM, put(3), by(now=3000))
        before = store.appends
        again = commands(store).execute(STREAM, put(2), by(key="k", now=4000))
        assert (again.state, again.version, again.at) == (Pile((1, 2)), 2, 2000)
        assert again.repeated
        assert store.appends == before

    def test_a_repeat_is_answered_before_its_expected_version_is_looked_at(
        self, store: Watched
    ) -> None:
        commands(store).execute(STREAM, put(2), by(key="k"), expected={1})
        assert commands(store).execute(STREAM, put(2), by(key="k"), expected={1}).repeated

    def test_the_same_key_with_another_payload_is_refused(self, store: Watched) -> None:
        commands(store).execute(STREAM, put(2), by(key="k"))
        with pytest.raises(CommandReused):
            commands(store).execute(STREAM, put(3), by(key="k", payload="other"))
        assert current(store) == Pile((1, 2))

    @pytest.mark.parametrize("snapshot_every", [1, 4])
    def test_a_key_is_remembered_across_snapshots(self, snapshot_every: int) -> None:
        store, decider = MemoryStore(), every(snapshot_every)
        commands(store, decider).create(STREAM, put(0), by())
        commands(store, decider).execute(STREAM, put(1), by(key="k"))
        for value in range(2, 8):
            commands(store, decider).execute(STREAM, put(value), by(key=f"k{value}"))
        assert commands(store, decider).execute(STREAM, put(1), by(key="k")).version == 2

    @pytest.mark.parametrize("expected", [{1}, {7, 1}, None], ids=["current", "one-of", "any"])
    def test_an_expected_version_is_let_through(
        self, store: Watched, expected: set[int] | None
    ) -> None:
        assert commands(store).execute(STREAM, put(2), by(), expected).version == 2

    @pytest.mark.parametrize("expected", [{2}, {0, 2}, set()], ids=["newer", "neither", "none"])
    def test_an_unexpected_version_is_refused_and_told(
        self, store: Watched, expected: set[int]
    ) -> None:
        with pytest.raises(VersionMismatch) as refusal:
            commands(store).execute(STREAM, put(2), by(), expected)
        assert refusal.value.current == 1
        assert current(store) == Pile((1,))

    @pytest.mark.parametrize(
        ("stream", "context"),
        [
            pytest.param(STREAM, {"actor": "mallory"}, id="foreign-actor"),
            pytest.param(STREAM, {"tenant": "other"}, id="other-tenant"),
            pytest.param("pile#default#2", {}, id="no-such-stream"),
        ],
    )
    def test_what_a_caller_may_not_see_is_not_found_whatever_else_is_wrong(
        self, store: Watched, stream: str, context: dict[str, Any]
    ) -> None:
        surroundings = by(**{"actor": OWNER, "key": "create", "payload": "other", **context})
        with pytest.raises(NotFound):
            commands(store).execute(stream, put(-1), surroundings, expected={7})
        assert current(store) == Pile((1,))

    def test_what_the_decider_rejects_is_not_stored(self, store: Watched) -> None:
        with pytest.raises(Rejected):
            commands(store).execute(STREAM, put(2, -1), by())
        assert current(store) == Pile((1,))


class TestConflicts:
    @pytest.mark.parametrize("lost", [1, 2, 4])
    def test_a_lost_race_is_decided_again_on_the_new_state(self, store: Watched, lost: int) -> None:
        waits = Waits()
        store.rivals = [rival(id=f"rival-{n}") for n in range(lost)]
        outcome = commands(store, waits=waits).execute(STREAM, put(2), by())
        assert outcome.conflicts == len(waits.slept) == lost
        assert outcome.state == current(store) == Pile((1, *(lost * [99]), 2))

    @pytest.mark.parametrize("attempts", [1, 3, 5])
    def test_attempts_are_bounded(self, store: Watched, attempts: int) -> None:
        waits, before = Waits(), store.appends
        store.rivals = [rival(id=f"rival-{n}") for n in range(10)]
        bounded = commands(store)
        bounded._backoff = waits.backoff(attempts)
        with pytest.raises(Conflict):
            bounded.execute(STREAM, put(2), by())
        assert store.appends - before == attempts
        assert len(waits.slept) == attempts - 1

    def test_an_expected_version_does_not_survive_a_lost_race(self, store: Watched) -> None:
        store.rivals = [rival()]
        with pytest.raises(VersionMismatch):
            commands(store).execute(STREAM, put(2), by(), expected={1})

    def test_a_rival_of_the_same_command_makes_it_a_repeat(self, store: Watched) -> None:
        twin = MemoryStore()
        commands(twin).create(STREAM, put(1), by())
        commands(twin).execute(STREAM, put(2), by(key="k"))
        store.rivals = [twin.commits[STREAM][1]]
        outcome = commands(store).execute(STREAM, put(2), by(key="k"))
        assert outcome.repeated
        assert current(store) == Pile((1, 2))

    def test_an_own_commit_whose_answer_was_lost_is_not_a_conflict(self, store: Watched) -> None:
        context = by()
        store.rivals = [rival(id=context.commit_id, value=2)]
        outcome = commands(store).execute(STREAM, put(2), context)
        assert (outcome.conflicts, current(store)) == (0, Pile((1, 2)))


@given(
    st.integers(1, 30), st.floats(0, 10), st.floats(0, 10), st.lists(st.floats(0, 1), min_size=30)
)
def test_waits_grow_from_base_to_cap_and_are_scaled_by_chance(
    attempts: int, base: float, cap: float, chances: list[float]
) -> None:
    slept: list[float] = []
    chance = iter(chances)
    tries = Backoff(attempts, base, cap, slept.append, lambda: next(chance)).tries()
    assert list(tries) == list(range(attempts))
    bounds = [min(cap, base * 2**attempt) for attempt in range(1, attempts)]
    assert slept == [share * bound for share, bound in zip(chances, bounds, strict=False)]


class TestMetadata:
    @given(st.lists(st.integers(0, 2**45), min_size=1, max_size=8))
    def test_recorded_time_never_goes_back_however_the_clocks_run(self, clocks: list[int]) -> None:
        store = MemoryStore()
        run = commands(store)
        outcomes = [run.create(STREAM, put(0), by(now=clocks[0]))]
        outcomes += [run.execute(STREAM, put(0), by(now=now)) for now in clocks[1:]]
        latest = [max(clocks[: number + 1]) for number in range(len(clocks))]
        assert [commit.metadata.at for commit in store.commits[STREAM]] == latest
        assert [outcome.at for outcome in outcomes] == latest

    def test_a_commit_tells_who_did_it_when_and_as_a_part_of_what(self) -> None:
        store = MemoryStore()
        commands(store).create(STREAM, put(1), by(now=5, tenant="acme", causation="cause"))
        (commit,) = store.commits[STREAM]
        assert commit.metadata == Metadata(5, OWNER, "acme", "correlation", "cause")

    def test_the_default_tenant_is_not_stored_and_read_back(self, store: Watched) -> None:
        assert store.commits[STREAM][0].metadata.tenant is None
        assert load(store, PILE, STREAM).tenant == "default"

    def test_a_tenants_stream_is_its_own(self) -> None:
        store = MemoryStore()
        commands(store).create(STREAM, put(1), by(tenant="acme"))
        assert commands(store).execute(STREAM, put(2), by(tenant="acme")).version == 2
        with pytest.raises(NotFound):
            commands(store).execute(STREAM, put(2), by())


def test_a_commit_that_is_too_large_is_refused_before_it_is_stored(store: Watched) -> None:
    before = store.appends
    too_many = put(*range(MAX_COMMIT_BYTES // len('["Added",1,{"value":0}],')))
    with pytest.raises(CommitTooLarge):
        commands(store).execute(STREAM, too_many, by())
    assert store.appends == before


def test_every_refusal_is_an_error_of_the_kernel() -> None:
    refusals = (AlreadyExists, CommandReused, Conflict, NotFound, Rejected, VersionMismatch)
    assert all(issubclass(refusal, KernelError) for refusal in refusals)
