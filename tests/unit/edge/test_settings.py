from __future__ import annotations

from typing import NamedTuple

import pytest

from functions.edge.settings import InvalidSettings, settings


class Sample(NamedTuple):
    table: str
    days: int
    size: int = 7
    name: str = "standard"


def test_fields_are_read_from_upper_case_variables_and_typed() -> None:
    env = {"TABLE": "t", "DAYS": "30", "SIZE": "8", "NAME": "n", "OTHER": "ignored"}
    assert settings(Sample, env) == Sample("t", 30, 8, "n")


def test_a_field_with_a_default_is_optional() -> None:
    assert settings(Sample, {"TABLE": "t", "DAYS": "30"}) == Sample("t", 30)


@pytest.mark.parametrize(
    ("env", "faulty"),
    [
        pytest.param({}, {"TABLE", "DAYS"}, id="all-missing"),
        pytest.param({"TABLE": "t"}, {"DAYS"}, id="one-missing"),
        pytest.param({"DAYS": "x", "SIZE": "1.5"}, {"TABLE", "DAYS", "SIZE"}, id="mixed"),
        pytest.param({"TABLE": "t", "DAYS": "-1"}, {"DAYS"}, id="negative"),
        pytest.param({"TABLE": "t", "DAYS": ""}, {"DAYS"}, id="empty-number"),
        pytest.param({"table": "t", "DAYS": "1"}, {"TABLE"}, id="lower-case"),
    ],
)
def test_every_fault_is_named_at_once(env: dict[str, str], faulty: set[str]) -> None:
    with pytest.raises(InvalidSettings) as refusal:
        settings(Sample, env)
    named = {fault.split()[0] for fault in str(refusal.value).split("; ")}
    assert named == faulty


def test_no_value_is_quoted_in_a_fault() -> None:
    with pytest.raises(InvalidSettings) as refusal:
        settings(Sample, {"TABLE": "t", "DAYS": "hunter2"})
    assert "hunter2" not in str(refusal.value)
