"""Which records an event source mapping lets through.

Source: AWS Lambda Developer Guide, "Control which events Lambda sends to your function": filters
are alternatives, the fields of a pattern must all match, the values of a field are alternatives.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Pattern = Mapping[str, Any]

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MISSING = object()


def passes(record: Mapping[str, Any], patterns: Sequence[Pattern]) -> bool:
    """Whether any pattern matches, or there is none. Raises ValueError for an operator that
    Lambda's filters do not have."""
    return not patterns or any(_matches(record, pattern) for pattern in patterns)


def filterable(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """A queue record as Lambda filters it: a JSON body is looked into."""
    try:
        return {**record, "body": json.loads(record["body"])}
    except ValueError:
        return record


def _matches(value: object, pattern: Pattern) -> bool:
    if not isinstance(value, Mapping):
        value = {}
    return all(
        any(_matches(value, alternative) for alternative in expected)
        if name == "$or"
        else _field(value.get(name, _MISSING), expected)
        for name, expected in pattern.items()
    )


def _field(value: object, expected: Any) -> bool:
    if isinstance(expected, Mapping):
        return _matches(value, expected)
    found = value if isinstance(value, list) else [value]
    return any(_value(element, rule) for rule in expected for element in found)


def _value(value: object, rule: Any) -> bool:
    if not isinstance(rule, Mapping):
        return type(value) is type(rule) and value == rule
    [(name, operand)] = rule.items()
    match name:
        case "exists":
            return (value is not _MISSING) is operand
        case "prefix":
            return isinstance(value, str) and value.startswith(operand)
        case "suffix":
            return isinstance(value, str) and value.endswith(operand)
        case "equals-ignore-case":
            return isinstance(value, str) and value.casefold() == str(operand).casefold()
        case "anything-but":
            refused = operand if isinstance(operand, list) else [operand]
            return value is not _MISSING and not any(_value(value, other) for other in refused)
        case "numeric":
            return _numeric(value, operand)
    raise ValueError(f"no such filter: {name}")


def _numeric(value: object, operand: Sequence[Any]) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    pairs = zip(operand[::2], operand[1::2], strict=True)
    return all(COMPARISONS[sign](value, bound) for sign, bound in pairs)
