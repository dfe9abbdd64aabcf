"""Settings: environment variables as one typed, immutable object per function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, get_type_hints

T = TypeVar("T")


class InvalidSettings(Exception):
    """The environment lacks a variable or holds one that does not parse; all are named."""


def settings(cls: type[T], env: Mapping[str, str]) -> T:
    """A NamedTuple `cls`, each field read from the variable of its name in upper case.

    Fields are str or int; one with a default is optional. Raises InvalidSettings. (The edge's
    records are NamedTuples because a frozen dataclass costs a cold start six times as much.)
    """
    record: Any = cls
    values: dict[str, str | int] = {}
    faults = []
    for field, kind in get_type_hints(cls).items():
        name = field.upper()
        text = env.get(name)
        if text is None:
            if field not in record._field_defaults:
                faults.append(f"{name} is not set")
        elif kind is str:
            values[field] = text
        elif text.isdecimal():
            values[field] = int(text)
        else:
            faults.append(f"{name} is not a whole number")
    if faults:
        raise InvalidSettings("; ".join(faults))
    return cls(**values)
