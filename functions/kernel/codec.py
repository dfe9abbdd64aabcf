"""Events and states as JSON: [type, schema version, data], with chained upcasters.

Fields are str, int, bool, None and tuples of these; every JSON array is read back as a tuple,
so that what is decoded equals what was encoded. Fields that are None are not stored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

from functions.kernel.errors import Unreadable

T = TypeVar("T")
Data = dict[str, Any]
Upcaster = Callable[[Data], tuple[str, Data]]
"""Takes the data of one (type, version), gives type and data of the next version."""

_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, sort_keys=True)


def to_json(value: object) -> str:
    """The one compact, deterministic JSON form that is stored and digested."""
    return _ENCODER.encode(value)


def to_data(record: object) -> Data:
    """The stored fields of a dataclass instance; absent means None."""
    return {name: value for name, value in vars(record).items() if value is not None}


def from_data(cls: type[T], data: Data) -> T:
    """A dataclass from stored fields: unknown ones are tolerated, missing ones take defaults."""
    known = _names(cls)  # type: ignore[arg-type]
    try:
        return cls(**{name: _frozen(value) for name, value in data.items() if name in known})
    except TypeError as error:
        raise Unreadable(f"{cls.__name__}: {error}") from error


@cache
def _names(cls: type) -> frozenset[str]:
    return frozenset(field.name for field in fields(cls))


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


class EventCodec:
    """Encodes and decodes the events of one decider.

    Event classes are frozen dataclasses; their name is the stored type, their class attribute
    `schema` (default 1) the stored version. `upcasters` maps (type, version) to the step that
    lifts such data by one version; the step may rename the type.
    """

    def __init__(
        self, *types: type, upcasters: Mapping[tuple[str, int], Upcaster] | None = None
    ) -> None:
        self.types = {cls.__name__: cls for cls in types}
        self._upcasters = dict(upcasters or {})

    def encode(self, events: Iterable[object]) -> str:
        """The JSON of one commit's events.

        Raises KeyError for an event that is not of this codec's types.
        """
        return to_json(
            [
                [name, schema_of(self.types[name]), to_data(event)]
                for event in events
                for name in [type(event).__name__]
            ]
        )

    def decode(self, text: str) -> tuple[Any, ...]:
        """The events of one commit, upcast to their newest schema.

        Raises Unreadable for an unknown type or a schema newer than the code.
        """
        return tuple(self._decode(*entry) for entry in json.loads(text))

    def _decode(self, name: str, version: int, data: Data) -> object:
        while upcast := self._upcasters.get((name, version)):
            name, data = upcast(data)
            version += 1
        cls = self.types.get(name)
        if cls is None or version != schema_of(cls):
            raise Unreadable(f"event {name} of schema {version}")
        return from_data(cls, data)


def schema_of(cls: type) -> int:
    """The schema version that an event class stands for."""
    return int(getattr(cls, "schema", 1))
