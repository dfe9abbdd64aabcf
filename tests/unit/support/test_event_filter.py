from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.event_filter import filterable, passes


@pytest.mark.parametrize(
    ("pattern", "record", "passing"),
    [
        ({"eventName": ["INSERT", "MODIFY"]}, {"eventName": "INSERT"}, True),
        ({"eventName": ["INSERT", "MODIFY"]}, {"eventName": "REMOVE"}, False),
        ({"a": [1], "b": [2]}, {"a": 1, "b": 2}, True),
        ({"a": [1], "b": [2]}, {"a": 1, "b": 3}, False),
        ({"a": {"b": {"S": ["x"]}}}, {"a": {"b": {"S": "x"}}}, True),
        ({"a": {"b": {"S": ["x"]}}}, {"a": {"b": {"N": "1"}}}, False),
        ({"a": {"b": {"S": ["x"]}}}, {}, False),
        ({"a": [None]}, {"a": None}, True),
        ({"a": [None]}, {}, False),
        ({"a": [1]}, {"a": True}, False),
        ({"a": [1]}, {"a": [3, 1]}, True),
        ({"a": [{"exists": True}]}, {"a": 0}, True),
        ({"a": [{"exists": False}]}, {"a": 0}, False),
        ({"a": [{"exists": False}]}, {}, True),
        ({"a": [{"prefix": "li"}]}, {"a": "link"}, True),
        ({"a": [{"suffix": "nk"}]}, {"a": "link"}, True),
        ({"a": [{"prefix": "nk"}]}, {"a": "link"}, False),
        ({"a": [{"equals-ignore-case": "LINK"}]}, {"a": "link"}, True),
        ({"a": [{"anything-but": ["x", "y"]}]}, {"a": "z"}, True),
        ({"a": [{"anything-but": ["x", "y"]}]}, {"a": "y"}, False),
        ({"a": [{"anything-but": {"prefix": "x"}}]}, {"a": "xy"}, False),
        ({"a": [{"anything-but": "x"}]}, {}, False),
        ({"a": [{"numeric": [">", 1, "<=", 3]}]}, {"a": 3}, True),
        ({"a": [{"numeric": [">", 1, "<=", 3]}]}, {"a": 1}, False),
        ({"a": [{"numeric": ["=", 1]}]}, {"a": "1"}, False),
        ({"$or": [{"a": [1]}, {"b": [2]}]}, {"b": 2}, True),
        ({"$or": [{"a": [1]}, {"b": [2]}]}, {"b": 1}, False),
    ],
)
def test_a_record_passes_when_all_fields_match(
    pattern: dict[str, Any], record: dict[str, Any], passing: bool
) -> None:
    assert passes(record, [pattern]) is passing


def test_filters_are_alternatives_and_none_is_no_filter() -> None:
    assert passes({"a": 1}, [{"a": [2]}, {"a": [1]}])
    assert passes({"a": 1}, [])


def test_an_operator_that_lambda_lacks_is_an_error() -> None:
    with pytest.raises(ValueError, match="wildcard"):
        passes({"a": "x"}, [{"a": [{"wildcard": "*"}]}])


def test_a_json_body_is_looked_into() -> None:
    record = {"body": json.dumps({"kind": "x"})}
    assert passes(filterable(record), [{"body": {"kind": ["x"]}}])
    assert filterable({"body": "plain"}) == {"body": "plain"}
