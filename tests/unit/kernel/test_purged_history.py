"""What can still be asked of a stream whose middle is purged, all or as far as a crash let it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from functions.kernel.errors import NotFound
from functions.kernel.history import version_at
from functions.kernel.store import Commit, load
from tests.unit.kernel.pile import STREAM, Pile, Watched, by, commands, every, put

COMMITS = 9


def purged(snapshot_every: int, gone: int) -> Watched:
    """One value a millisecond from 1000 on; the first `gone` commits after the first are purged."""
    store = Watched()
    run = commands(store, every(snapshot_every))
    for number in range(COMMITS):
        change = run.execute if number else run.create
        change(STREAM, put(number), by(now=1000 + number))
    del store.commits[STREAM][1 : 1 + gone]
    return store


@dataclass
class Ended(Watched):
    """A store whose streams a purge ends, after so many `looks` at them."""

    looks: int = 0

    def backward(self, *args: Any, **options: Any) -> Iterator[Commit]:
        self._look()
        return super().backward(*args, **options)

    def forward(self, *args: Any, **options: Any) -> tuple[list[Commit], bool]:
        self._look()
        return super().forward(*args, **options)

    def _look(self) -> None:
        if not self.looks:
            self.commits.clear()
        self.looks -= 1


@pytest.mark.parametrize("snapshot_every", [1, 4])
@pytest.mark.parametrize("gone", range(COMMITS - 1))
def test_no_load_folds_over_what_is_gone(snapshot_every: int, gone: int) -> None:
    store, decider = purged(snapshot_every, gone), every(snapshot_every)
    for version in range(1, COMMITS + 1):
        try:
            found = load(store, decider, STREAM, version=version)
        except NotFound:
            assert 1 < version < COMMITS
            continue
        assert found.state == Pile(tuple(range(found.version)))


@pytest.mark.parametrize("gone", range(COMMITS - 1))
@pytest.mark.parametrize("moment", range(998, 1000 + COMMITS + 1))
def test_a_moment_is_answered_truly_or_not_at_all(gone: int, moment: int) -> None:
    store = purged(1, gone)
    current = load(store, every(1), STREAM)
    if gone and 1000 <= moment < 1001 + gone:
        with pytest.raises(NotFound):
            version_at(store, current, moment)
    else:
        assert version_at(store, current, moment) == max(0, min(moment - 999, COMMITS))


@pytest.mark.parametrize("looks", range(2))
def test_a_stream_that_is_ended_meanwhile_is_not_found(looks: int) -> None:
    store = purged(1, COMMITS - 2)
    current = load(store, every(1), STREAM)
    with pytest.raises(NotFound):
        version_at(Ended(commits=store.commits, looks=looks), current, 1000 + COMMITS // 2)
