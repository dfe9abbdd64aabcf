from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.kernel.codec import EventCodec, from_data, to_data
from functions.kernel.errors import Unreadable
from functions.shortener.events import CODEC

EVENTS = st.one_of(*(st.from_type(cls) for cls in CODEC.types.values()))


@dataclass(frozen=True)
class Named:
    schema: ClassVar[int] = 3
    first: str
    last: str = ""


@dataclass(frozen=True)
class Tagged:
    tags: tuple[Any, ...]
    note: str | None = None


def _split_name(data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    first, _, last = data.pop("name").partition(" ")
    return "Named", {**data, "first": first, "last": last}


UPCASTERS = {
    ("Called", 1): lambda data: ("Called", {"name": data["n"]}),
    ("Called", 2): _split_name,
}
NAMES = EventCodec(Named, upcasters=UPCASTERS)
TAGS = EventCodec(Tagged)
NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=8,
)


def stored(*entries: list[Any]) -> str:
    return json.dumps(entries)


@given(st.lists(EVENTS, max_size=5).map(tuple))
def test_what_is_decoded_equals_what_was_encoded(events: tuple[object, ...]) -> None:
    assert CODEC.decode(CODEC.encode(events)) == events


@given(st.lists(NESTED, max_size=3).map(tuple))
def test_arrays_come_back_as_tuples(tags: tuple[Any, ...]) -> None:
    (event,) = TAGS.decode(TAGS.encode([Tagged(tags)]))
    assert event == Tagged(tags)
    hash(event)


@given(EVENTS)
def test_a_field_that_is_none_is_not_stored(event: object) -> None:
    ((_, _, data),) = json.loads(CODEC.encode([event]))
    absent = {field.name for field in fields(event)} - set(data)  # type: ignore[arg-type]
    assert absent == {name for name, value in vars(event).items() if value is None}


@given(st.dictionaries(st.text(), st.integers(), max_size=4))
def test_a_field_that_the_code_does_not_know_is_tolerated(unknown: dict[str, int]) -> None:
    data = {**unknown, "tags": []}
    data.pop("note", None)
    assert TAGS.decode(stored(["Tagged", 1, data])) == (Tagged(()),)


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(["Unheard", 1, {}], id="unknown-type"),
        pytest.param(["Tagged", 2, {"tags": []}], id="newer-schema"),
        pytest.param(["Tagged", 1, {}], id="required-field-missing"),
        pytest.param(["Called", 3, {}], id="renamed-type-in-a-schema-it-never-had"),
        pytest.param(["Named", 2, {"first": "a"}], id="older-schema-without-upcaster"),
    ],
)
def test_what_the_code_cannot_read_is_refused(entry: list[Any]) -> None:
    codec = EventCodec(Tagged, Named, upcasters=UPCASTERS)
    with pytest.raises(Unreadable):
        codec.decode(stored(["Tagged", 1, {"tags": []}], entry))


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(["Called", 1, {"n": "Ada Lovelace"}], id="two-steps"),
        pytest.param(["Called", 2, {"name": "Ada Lovelace"}], id="one-step"),
        pytest.param(["Named", 3, {"first": "Ada", "last": "Lovelace"}], id="current"),
    ],
)
def test_upcasters_are_chained_up_to_the_newest_schema_and_name(entry: list[Any]) -> None:
    assert NAMES.decode(stored(entry)) == (Named("Ada", "Lovelace"),)


def test_an_upcast_event_is_written_in_its_newest_form() -> None:
    old = stored(["Called", 1, {"n": "Ada Lovelace"}])
    ((name, schema, _),) = json.loads(NAMES.encode(NAMES.decode(old)))
    assert (name, schema) == ("Named", Named.schema)


def test_an_event_of_another_codec_is_not_encoded() -> None:
    with pytest.raises(KeyError):
        TAGS.encode([Named("a")])


def test_equal_events_have_one_stored_form() -> None:
    assert from_data(Tagged, {"note": "n", "tags": []}) == from_data(
        Tagged, {"tags": [], "note": "n"}
    )
    orders: list[dict[str, Any]] = [{"note": "n", "tags": ()}, {"tags": (), "note": "n"}]
    texts = {TAGS.encode([Tagged(**data)]) for data in orders}
    assert len(texts) == 1
    assert to_data(Tagged((), "n")) == {"tags": (), "note": "n"}
