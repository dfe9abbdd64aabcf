"""The size of a DynamoDB item and what reading or writing it costs, by AWS's published rules.

Source: Amazon DynamoDB Developer Guide, "DynamoDB item sizes and formats" and "DynamoDB read and
write operations". AWS calls the size of a number approximate; everything else is exact.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from decimal import Decimal
from math import ceil
from typing import Any, Literal

Item = Mapping[str, Mapping[str, Any]]
Consistency = Literal["eventual", "strong", "transactional"]

READ_UNIT = 4096
"""Bytes that one strongly consistent read unit covers."""
WRITE_UNIT = 1024
"""Bytes that one write unit covers."""
UNITS_PER_READ: Mapping[Consistency, float] = {"eventual": 0.5, "strong": 1, "transactional": 2}


def item_size(item: Item) -> int:
    """Bytes of an item: the names and values of its attributes."""
    return sum(len(name.encode()) + value_size(value) for name, value in item.items())


def value_size(value: Mapping[str, Any]) -> int:
    """Bytes of one attribute value, as in `{"S": "text"}`; binary is bytes or, off the wire,
    base64 text. Raises ValueError for a type that DynamoDB does not have."""
    [(kind, content)] = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return _number_size(content)
        case "B":
            return len(base64.b64decode(content) if isinstance(content, str) else content)
        case "BOOL" | "NULL":
            return 1
        case "SS" | "NS" | "BS":
            return sum(value_size({kind[0]: member}) for member in content)
        case "L":
            return 3 + sum(1 + value_size(element) for element in content)
        case "M":
            return 3 + len(content) + item_size(content)
    raise ValueError(f"not a DynamoDB type: {kind}")


def read_units(size: int, consistency: Consistency) -> float:
    """Read units for `size` bytes read in one go; a read that finds nothing costs the minimum."""
    return max(1, ceil(size / READ_UNIT)) * UNITS_PER_READ[consistency]


def write_units(size: int) -> int:
    """Write units for an item of `size` bytes, outside a transaction."""
    return max(1, ceil(size / WRITE_UNIT))


def _number_size(number: str) -> int:
    if number.isdigit():
        # The same, without the detour: most numbers are whole, and none is measured as often.
        return 1 + (len(number.strip("0")) + 1) // 2
    digits = "".join(map(str, Decimal(number).as_tuple().digits)).rstrip("0")
    return 1 + ceil(len(digits) / 2)
