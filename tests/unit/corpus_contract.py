"""What was ever stored stays readable.

A capability's corpus.json holds a sample of every event type and state schema that was shipped, as
stored. Add to it; never change what is in it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from functions.kernel.codec import schema_of, to_json
from functions.kernel.decider import Decider
from functions.kernel.store import restore, snapshot


class Corpus:
    """The samples beside a capability's test, in the file of this name."""

    def __init__(self, test: str, name: str = "corpus.json") -> None:
        stored = json.loads(Path(test).with_name(name).read_text())
        self.events: list[list[Any]] = stored["events"]
        self.states: list[list[Any]] = stored["states"]

    @property
    def sampled(self) -> set[tuple[str, int]]:
        """Event types with their schemas."""
        return {(name, schema) for name, schema, _ in self.events}


class CorpusContract:
    """Held to by a decider and the corpus of its events."""

    decider: Decider[Any, Any, Any]
    corpus: Corpus

    def test_every_event_type_has_a_sample_of_its_current_schema(self) -> None:
        types = self.decider.events.types.items()
        assert {(name, schema_of(cls)) for name, cls in types} <= self.corpus.sampled

    def test_every_schema_since_the_first_has_a_sample(self) -> None:
        sampled = self.corpus.sampled
        earlier = {(name, each) for name, schema in sampled for each in range(1, schema)}
        assert earlier <= sampled
        schemas = {schema for schema, _ in self.corpus.states}
        assert schemas == set(range(1, self.decider.state_schema + 1))

    def test_every_stored_event_is_read(self, subtests: pytest.Subtests) -> None:
        for entry in self.corpus.events:
            with subtests.test(entry[0]):
                assert len(self.decider.events.decode(to_json([entry]))) == 1

    def test_events_of_the_current_schemas_are_stored_as_they_were(
        self, subtests: pytest.Subtests
    ) -> None:
        codec = self.decider.events
        for entry in self.corpus.events:
            if schema_of(codec.types.get(entry[0], object)) == entry[1]:
                with subtests.test(entry[0]):
                    assert codec.encode(codec.decode(to_json([entry]))) == to_json([entry])

    def test_every_stored_state_is_read(self) -> None:
        for entry in self.corpus.states:
            assert isinstance(restore(self.decider, to_json(entry)), self.decider.state)

    def test_the_events_fold_to_the_newest_state(self) -> None:
        events = self.decider.events.decode(to_json(self.corpus.events))
        state = self.decider.fold(self.decider.initial, events)
        assert snapshot(self.decider, state) == to_json(self.corpus.states[-1])
