"""Settings: environment variables as one typed, frozen object per function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import TypeVar

T = TypeVar("T")


class InvalidSettings(Exception):
    """The environment lacks a variable or holds one that does not parse; all are named."""


def settings(cls: type[T], env: Mapping[str, str]) -> T:
    """An instance of the dataclass `cls`, each field read from the variable of its upper-case name.

    Fields are annotated "str" or "int" (postponed annotations); one with a default is optional.
    """
    values: dict[str, str | int] = {}
    faults = []
    for field in fields(cls):  # type: ignore[arg-type]
        name = field.name.upper()
        text = env.get(name)
        if text is None:
            if field.default is MISSING:
                faults.append(f"{name} is not set")
        elif field.type == "int":
            if text.isdecimal():
                values[field.name] = int(text)
            else:
                faults.append(f"{name} is not a whole number")
        else:
            values[field.name] = text
    if faults:
        raise InvalidSettings("; ".join(faults))
    return cls(**values)
