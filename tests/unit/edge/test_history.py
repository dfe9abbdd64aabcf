from __future__ import annotations

import pytest

from functions.edge.cursor import Cursors
from functions.edge.history import Past
from functions.kernel.errors import NotFound
from functions.kernel.memory import MemoryStore
from functions.kernel.store import load
from tests.unit.edge.vault import Vault
from tests.unit.kernel.pile import PILE, STREAM, by, commands, put


@pytest.mark.parametrize("at", ["2", "1970-01-01T00:00:01.001Z"])
def test_the_past_of_a_stream_that_a_purge_ends_meanwhile_is_not_found(at: str) -> None:
    store = MemoryStore()
    commands(store).create(STREAM, put(0), by(now=1000))
    for number in range(1, 4):
        commands(store).execute(STREAM, put(number), by(now=1000 + number))
    past, current = Past(store, PILE, Cursors(Vault().secrets())), load(store, PILE, STREAM)
    assert past.at(current, at).version == 2
    store.commits.clear()
    with pytest.raises(NotFound):
        past.at(current, at)
