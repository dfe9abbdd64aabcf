"""A purge: at any moment the newest commit tells the state, and nobody deletes another stream's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from functions.kernel.commands import Commands
from functions.kernel.errors import NotFound
from functions.kernel.purge import LONGEST_RUN_MS, Purge, tombstone_of
from functions.kernel.store import Commit, load
from functions.kernel.views import Row, View
from tests.support.cloud.errors import Refused
from tests.support.faults import Crash
from tests.unit.kernel.cloud import EVENTS, VIEWS, Cloud
from tests.unit.kernel.pile import PILE, STREAM, Pile, by, put

LAST = 0
"""The value that buries a pile."""
BURIED = replace(PILE, snapshot_every=4, buried=lambda pile: LAST in pile.values)
LATER = 10_000 + LONGEST_RUN_MS
"""When nobody can write any more who read the pile before it was buried."""
COUNTED = 6
"""Commits before the tombstone."""
SHOWN: View[Pile] = View("piles", lambda stream: Row({"values": stream.state.values}))


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


def purge_of(cloud: Cloud) -> Purge:
    return Purge(cloud.client, EVENTS, VIEWS)


def piled(cloud: Cloud, *values: int, now: int = 1000, **more: Any) -> None:
    """A pile with one commit per value, each a millisecond after the other."""
    run = Commands(cloud.store, BURIED)
    for number, value in enumerate(values):
        change = run.execute if number else run.create
        change(STREAM, put(value), by(now=now + number, **more))


def newest(cloud: Cloud) -> Commit:
    """The tombstone that stands there."""
    found = tombstone_of(cloud.store, BURIED, STREAM)
    assert found is not None
    return found[0]


def buried(cloud: Cloud) -> Commit:
    """A pile that is buried, with its row; its tombstone."""
    piled(cloud, *range(1, 1 + COUNTED), LAST)
    current = load(cloud.store, BURIED, STREAM)
    cloud.views.put(SHOWN, STREAM, current.version, SHOWN.render(current))
    tombstone = newest(cloud)
    cloud.changes.clear()
    return tombstone


def removed(cloud: Cloud) -> list[int]:
    return [int(c.old["sk"]["N"]) for c in cloud.changes if c.table == EVENTS and not c.new]


def begin_anew(cloud: Cloud, commits: int) -> None:
    """Somebody else ends the stream, and a new one begins under its name."""
    tombstone = newest(cloud)
    purge_of(cloud).trim(tombstone, LATER, lambda: True)
    assert purge_of(cloud).end(tombstone, [SHOWN])
    piled(cloud, *[9] * commits, now=5000)
    # Past the ten minutes for which a request token is known.
    cloud.dynamodb._tokens.clear()
    cloud.changes.clear()


def test_the_commit_that_buries_tells_the_state_whatever_the_rhythm(cloud: Cloud) -> None:
    assert buried(cloud).snapshot is not None


def test_the_middle_goes_upward_and_both_ends_stay(cloud: Cloud) -> None:
    assert purge_of(cloud).trim(buried(cloud), LATER, lambda: True)
    assert removed(cloud) == list(range(1, COUNTED))
    assert cloud.places() == [0, COUNTED]


@pytest.mark.parametrize("deletes", range(COUNTED))
def test_a_trim_that_dies_shows_no_older_state_and_ends_the_same(
    cloud: Cloud, deletes: int
) -> None:
    tombstone = buried(cloud)
    before = load(cloud.store, BURIED, STREAM)
    cloud.dies_at = len(cloud.calls) + 1 + deletes
    with pytest.raises(Crash):
        purge_of(cloud).trim(tombstone, LATER, lambda: True)
    assert len(removed(cloud)) == min(deletes, COUNTED - 1)
    assert load(cloud.store, BURIED, STREAM) == before
    assert purge_of(cloud).trim(tombstone, LATER, lambda: True)
    assert removed(cloud) == list(range(1, COUNTED))
    assert load(cloud.store, BURIED, STREAM) == before


def test_a_trim_without_time_goes_on_when_it_is_called_again(cloud: Cloud) -> None:
    tombstone, answers = buried(cloud), iter([True, True, False])
    assert not purge_of(cloud).trim(tombstone, LATER, lambda: next(answers))
    assert removed(cloud) == [1, 2]
    assert purge_of(cloud).trim(tombstone, LATER, lambda: True)
    assert cloud.places() == [0, COUNTED]


def test_what_somebody_may_still_be_writing_after_stays(cloud: Cloud) -> None:
    piled(cloud, 1, 2)
    late = Commands(cloud.store, BURIED)
    tombstone_at = 2_000
    late.execute(STREAM, put(3), by(now=tombstone_at - 1))
    late.execute(STREAM, put(LAST), by(now=tombstone_at))
    tombstone = newest(cloud)
    cloud.changes.clear()
    assert not purge_of(cloud).trim(tombstone, tombstone_at + LONGEST_RUN_MS - 2, lambda: True)
    assert removed(cloud) == []
    assert purge_of(cloud).trim(tombstone, tombstone_at + LONGEST_RUN_MS - 1, lambda: True)
    assert removed(cloud) == [1, 2]


def test_a_trim_that_is_repeated_deletes_nothing_more(cloud: Cloud) -> None:
    tombstone = buried(cloud)
    purge_of(cloud).trim(tombstone, LATER, lambda: True)
    cloud.calls.clear()
    assert purge_of(cloud).trim(tombstone, LATER, lambda: True)
    assert cloud.calls == ["Query"]


def test_nothing_goes_before_a_commit_that_does_not_tell_the_state(cloud: Cloud) -> None:
    piled(cloud, 1, 2, 3)
    last = next(cloud.store.backward(STREAM, limit=1))
    with pytest.raises(ValueError, match="snapshot"):
        purge_of(cloud).trim(last, LATER, lambda: True)
    assert cloud.places() == [0, 1, 2]


def test_a_trim_that_stood_still_leaves_the_next_streams_commits(cloud: Cloud) -> None:
    tombstone = buried(cloud)
    begin_anew(cloud, commits=4)
    assert purge_of(cloud).trim(tombstone, LATER, lambda: True)
    assert cloud.changes == []


def test_a_trim_that_stands_still_before_a_delete_leaves_the_next_streams_commit(
    cloud: Cloud,
) -> None:
    tombstone, turns = buried(cloud), iter([True])

    def others_go_on() -> bool:
        if next(turns, False):
            begin_anew(cloud, commits=4)
        return True

    assert purge_of(cloud).trim(tombstone, LATER, others_go_on)
    assert cloud.changes == []


def test_the_end_takes_both_commits_and_the_row(cloud: Cloud) -> None:
    tombstone = buried(cloud)
    purge_of(cloud).trim(tombstone, LATER, lambda: True)
    assert purge_of(cloud).end(tombstone, [SHOWN])
    assert cloud.items(EVENTS) == cloud.items(VIEWS) == []
    assert cloud.calls[-1] == "TransactWriteItems"


def test_an_end_whose_answer_was_lost_is_told_that_it_was_done(cloud: Cloud) -> None:
    tombstone = buried(cloud)
    purge_of(cloud).trim(tombstone, LATER, lambda: True)
    assert purge_of(cloud).end(tombstone, [SHOWN])
    assert purge_of(cloud).end(tombstone, [SHOWN])


def test_the_end_of_a_stream_that_went_on_is_refused(cloud: Cloud) -> None:
    tombstone = buried(cloud)
    Commands(cloud.store, BURIED).execute(STREAM, put(1), by(now=2000))
    cloud.changes.clear()
    assert not purge_of(cloud).end(tombstone, [SHOWN])
    assert cloud.changes == []


@pytest.mark.parametrize("commits", [1, COUNTED + 1])
def test_the_end_of_a_stream_that_began_anew_is_refused(cloud: Cloud, commits: int) -> None:
    tombstone = buried(cloud)
    begin_anew(cloud, commits)
    assert not purge_of(cloud).end(tombstone, [SHOWN])
    assert cloud.changes == []


def test_an_end_with_another_transaction_in_the_way_is_to_be_tried_again(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    tombstone = buried(cloud)

    def conflict(operation: str, params: dict[str, Any]) -> dict[str, Any]:
        reasons = [{"Code": "TransactionConflict"}]
        raise Refused("TransactionCanceledException", CancellationReasons=reasons)

    with monkeypatch.context() as patched:
        patched.setattr(cloud.dynamodb, "call", conflict)
        with pytest.raises(ClientError):
            purge_of(cloud).end(tombstone, [SHOWN])
    assert purge_of(cloud).end(tombstone, [SHOWN])


def test_only_the_commit_that_buried_is_a_tombstone(cloud: Cloud) -> None:
    assert tombstone_of(cloud.store, BURIED, STREAM) is None
    piled(cloud, 1)
    assert tombstone_of(cloud.store, BURIED, STREAM) is None
    Commands(cloud.store, BURIED).execute(STREAM, put(2), by(now=2000))
    assert tombstone_of(cloud.store, BURIED, STREAM) is None
    Commands(cloud.store, BURIED).execute(STREAM, put(LAST), by(now=3000))
    assert newest(cloud).before == 2
    begin_anew(cloud, commits=1)
    assert tombstone_of(cloud.store, BURIED, STREAM) is None


def test_a_repeat_of_what_was_purged_is_answered_truly_or_not_at_all(cloud: Cloud) -> None:
    run = Commands(cloud.store, BURIED)
    for number in range(COUNTED):
        change = run.execute if number else run.create
        change(STREAM, put(number + 1), by(now=1000 + number, key=f"key-{number}"))
    run.execute(STREAM, put(LAST), by(now=2000))
    tombstone = newest(cloud)
    purge_of(cloud).trim(tombstone, LATER, lambda: True)
    first = run.execute(STREAM, put(1), by(key="key-0"))
    assert (first.version, first.state, first.repeated) == (1, Pile((1,)), True)
    for number in range(1, COUNTED):
        with pytest.raises(NotFound):
            run.execute(STREAM, put(number + 1), by(key=f"key-{number}"))
