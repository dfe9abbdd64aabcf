from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.analytics.patterns import fits


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("/thanks", "/thanks", True),
        ("/thanks", "/thanks/", False),
        ("/thanks*", "/thanks/1", True),
        ("*", "", True),
        ("a*a", "a", False),
        ("*.pdf", "/a.pdf.pdf", True),
        ("/a*b*c", "/a-b-b-c", True),
        ("/a*b*c", "/a-c-b", False),
        ("a.c", "abc", False),
        ("[ab]", "a", False),
        ("", "", True),
        ("", "a", False),
    ],
)
def test_a_star_stands_for_any_text_and_nothing_else_does(
    pattern: str, text: str, expected: bool
) -> None:
    assert fits(pattern, text) is expected


@given(pattern=st.text("ab*.", max_size=8), text=st.text("ab.", max_size=12))
def test_it_is_what_a_regular_expression_would_say(pattern: str, text: str) -> None:
    like = ".*".join(map(re.escape, pattern.split("*")))
    assert fits(pattern, text) is (re.fullmatch(like, text) is not None)


def test_a_pattern_that_would_be_tried_for_ever_is_not() -> None:
    assert not fits("*a" * 50 + "b", "a" * 100_000)
