"""AWS's own rules and examples; each sum is written out."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.item_size import Consistency, item_size, read_units, value_size, write_units

KB = 1024


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": ""}, 0),
        ({"S": "abc"}, 3),
        ({"S": "ü€😀"}, 2 + 3 + 4),
        ({"N": "0"}, 1),
        ({"N": "7"}, 1 + 1),
        ({"N": "12"}, 1 + 1),
        ({"N": "123"}, 2 + 1),
        ({"N": "1000"}, 1 + 1),
        ({"N": "0.0012"}, 1 + 1),
        ({"N": "-120.50"}, 2 + 1),
        ({"N": "9" * 38}, 19 + 1),
        ({"B": b"\x00\x01\x02"}, 3),
        ({"B": base64.b64encode(b"\x00\x01\x02").decode()}, 3),
        ({"BOOL": False}, 1),
        ({"NULL": True}, 1),
        ({"L": []}, 3),
        ({"L": [{"S": "ab"}, {"N": "1"}]}, 3 + (1 + 2) + (1 + 2)),
        ({"M": {}}, 3),
        ({"M": {"key": {"S": "ab"}}}, 3 + (1 + 3 + 2)),
        ({"M": {"a": {"L": [{"NULL": True}]}}}, 3 + (1 + 1 + 3 + 1 + 1)),
        ({"SS": ["a", "bc"]}, 3),
        ({"NS": ["1", "123"]}, 2 + 3),
        ({"BS": [b"a", b"bc"]}, 3),
    ],
)
def test_a_value_has_the_size_that_the_rules_give(value: dict[str, object], size: int) -> None:
    assert value_size(value) == size


def test_an_item_counts_its_names() -> None:
    assert item_size({"pk": {"S": "link#1"}, "größe": {"N": "5"}}) == 2 + 6 + 7 + 2


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(ValueError, match="X"):
        value_size({"X": 1})


@pytest.mark.parametrize(
    ("size", "consistency", "units"),
    [
        # Developer Guide: "an item of 3.5 KB is rounded to 4 KB", "an 8 KB item requires 2, 1 or
        # 4", "a Query whose items come to 40.8 KB is rounded to 44 KB".
        (3.5 * KB, "strong", 1),
        (3.5 * KB, "eventual", 0.5),
        (8 * KB, "strong", 2),
        (8 * KB, "eventual", 1),
        (8 * KB, "transactional", 4),
        (40.8 * KB, "strong", 11),
        (0, "eventual", 0.5),
        (0, "strong", 1),
        (4 * KB + 1, "eventual", 1),
    ],
)
def test_reads_are_counted_by_4_kb(size: float, consistency: Consistency, units: float) -> None:
    assert read_units(int(size), consistency) == units


@pytest.mark.parametrize(("size", "units"), [(0, 1), (512, 1), (KB, 1), (KB + 1, 2), (2 * KB, 2)])
def test_writes_are_counted_by_1_kb(size: int, units: int) -> None:
    assert write_units(size) == units


@given(st.text(), st.text())
def test_text_adds_up(left: str, right: str) -> None:
    assert value_size({"S": left + right}) == value_size({"S": left}) + value_size({"S": right})
