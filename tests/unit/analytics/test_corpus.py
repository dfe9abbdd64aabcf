"""What was ever stored stays readable.

corpus.json holds a sample of every event type and state schema that was shipped, as stored. Add to
it; never change what is in it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from functions.analytics.decider import DECIDER, Site
from functions.analytics.events import CODEC
from functions.kernel.codec import schema_of, to_json
from functions.kernel.store import restore, snapshot

CORPUS: dict[str, list[Any]] = json.loads(Path(__file__).with_name("corpus.json").read_text())
EVENTS, STATES = CORPUS["events"], CORPUS["states"]


def name_of(entry: list[Any]) -> str:
    return "-".join(str(part) for part in entry[:2] if not isinstance(part, dict))


def test_every_event_type_has_a_sample_of_its_current_schema() -> None:
    sampled = {(name, schema) for name, schema, _ in EVENTS}
    assert {(name, schema_of(cls)) for name, cls in CODEC.types.items()} <= sampled


def test_every_schema_since_the_first_has_a_sample() -> None:
    sampled = {(name, schema) for name, schema, _ in EVENTS}
    assert sampled >= {(name, earlier) for name, schema in sampled for earlier in range(1, schema)}
    assert {schema for schema, _ in STATES} == set(range(1, DECIDER.state_schema + 1))


@pytest.mark.parametrize("entry", EVENTS, ids=name_of)
def test_a_stored_event_is_read(entry: list[Any]) -> None:
    assert len(CODEC.decode(to_json([entry]))) == 1


@pytest.mark.parametrize(
    "entry",
    [entry for entry in EVENTS if schema_of(CODEC.types.get(entry[0], object)) == entry[1]],
    ids=name_of,
)
def test_an_event_of_the_current_schema_is_stored_as_it_was(entry: list[Any]) -> None:
    assert CODEC.encode(CODEC.decode(to_json([entry]))) == to_json([entry])


@pytest.mark.parametrize("entry", STATES, ids=name_of)
def test_a_stored_state_is_read(entry: list[Any]) -> None:
    assert isinstance(restore(DECIDER, to_json(entry)), Site)


def test_the_events_fold_to_the_newest_state() -> None:
    site = DECIDER.fold(DECIDER.initial, CODEC.decode(to_json(EVENTS)))
    assert snapshot(DECIDER, site) == to_json(STATES[-1])
