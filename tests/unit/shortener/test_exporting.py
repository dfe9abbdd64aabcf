from __future__ import annotations

import csv
import json
from io import StringIO
from typing import Any

import pytest

from functions.shortener.exporting import COLUMNS, FORMATS
from functions.shortener.schemas import link_body
from tests.unit.shortener.test_listing import LINK

BODY = link_body(LINK, 3, "https://sho.rt")


def cells(**changes: Any) -> dict[str, str]:
    """The cells of a link's line, as a reader of CSV has them."""
    text = FORMATS["csv"].written([{**BODY, **changes}])
    header, *lines = csv.reader(StringIO(text, newline=""), strict=True)
    assert header == list(COLUMNS)
    [line] = lines
    return dict(zip(header, line, strict=True))


def test_a_line_holds_what_a_link_shows() -> None:
    shown = cells(rules=[{"device": ["ios"], "to": [{"url": "https://a.example/", "weight": 1}]}])
    assert shown["code"] == "Spring26"
    assert shown["tags"] == "news,Q1"
    assert shown["title"] == "Große Frühlings sale"
    assert (shown["password"], shown["counted"], shown["version"]) == ("false", "true", "3")
    assert (shown["expires_at"], shown["domain"]) == ("", "")
    assert json.loads(shown["rules"])[0]["device"] == ["ios"]


def test_columns_are_all_that_a_link_shows_but_what_can_be_told_from_the_rest() -> None:
    assert BODY.keys() - set(COLUMNS) == {"deleted", "warnings"}


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"], ids=repr)
@pytest.mark.parametrize("field", ["title", "code", "tags"])
def test_a_cell_is_no_formula(start: str, field: str) -> None:
    text = start + "HYPERLINK(1)"
    assert cells(**{field: [text] if field == "tags" else text})[field] == f"'{text}"


@pytest.mark.parametrize("title", ['a "b", c', "a\r\nb", "a=b", "'", "ä,"], ids=repr)
def test_a_cell_comes_back_as_it_was(title: str) -> None:
    assert cells(title=title)["title"] == title


def test_lines_end_as_the_standard_has_it() -> None:
    assert FORMATS["csv"].written([BODY]).count("\r\n") == 2


def test_no_links_are_a_header_alone() -> None:
    assert FORMATS["csv"].written([]) == ",".join(COLUMNS) + "\r\n"
    assert FORMATS["ndjson"].written([]) == ""


def test_a_line_of_json_is_the_link() -> None:
    text = FORMATS["ndjson"].written([BODY, BODY])
    assert [json.loads(line) for line in text.splitlines()] == [BODY, BODY]
    assert "Große" in text
