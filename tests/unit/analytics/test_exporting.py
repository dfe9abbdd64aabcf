"""Facts as files: programs read back what was there, and no spreadsheet runs any of it."""

from __future__ import annotations

import csv
import json
from io import StringIO

import pytest

from functions.analytics.exporting import COLUMNS, FORMATS, shown
from functions.analytics.exports import (
    CODEC,
    EXPORTS,
    MAX_PARTS,
    ExportContinued,
    ExportFailed,
    ExportFinished,
    ExportRequested,
    ExportRestarted,
    Tell,
)
from functions.analytics.facts import Fact
from functions.kernel.store import MAX_COMMIT_BYTES, snapshot
from tests.support.given import given

FULL = Fact(
    id="e1",
    site="abcdefghijkl",
    at=1_793_491_200_007,
    name="pageview",
    visitor="0123456789abcdef",
    page='/a,"b"\n',
    link="example.com/x",
    referrer="news.example",
    country="DE",
    device="phone",
    browser="Firefox",
    os="Linux",
    utm=("mail", None, "spring", None, None),
    props=(("plan", "pro"),),
    machine="bot",
)
BARE = Fact("e2", "abcdefghijkl", 0, "signup")
REQUESTED = ExportRequested("abcdefghijkl", "alice", 0, 10, "csv", 5)


def cells(*facts: Fact) -> list[list[str]]:
    form = FORMATS["csv"]
    return list(csv.reader(StringIO(form.head + form.written(facts), newline="")))


def test_a_table_has_a_header_and_a_row_for_each_fact() -> None:
    header, full, bare = cells(FULL, BARE)
    assert header == list(COLUMNS)
    assert dict(zip(header, full, strict=True)) == {
        "id": "e1",
        "at": "2026-11-01T00:00:00.007Z",
        "event": "pageview",
        "visitor": "0123456789abcdef",
        "page": '/a,"b"\n',
        "link": "example.com/x",
        "referrer": "news.example",
        "country": "DE",
        "device": "phone",
        "browser": "Firefox",
        "os": "Linux",
        "utm_source": "mail",
        "utm_medium": "",
        "utm_campaign": "spring",
        "utm_term": "",
        "utm_content": "",
        "machine": "bot",
        "properties": '{"plan": "pro"}',
    }
    assert bare == ["e2", "1970-01-01T00:00:00.000Z", "signup", *[""] * 15]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_of_a_table_is_a_formula(start: str) -> None:
    text = f"{start}cmd|' /C calc'!A0"
    fact = Fact(text, "s", 0, text, text, text, text, text, text, text, text, text, (text,) * 5)
    _, row = cells(fact._replace(machine=text, props=((text, text),)))
    assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert row[2] == f"'{text}"


def test_lines_are_read_back_as_they_were() -> None:
    form = FORMATS["ndjson"]
    lines = (form.head + form.written([FULL, BARE])).splitlines()
    assert [json.loads(line) for line in lines] == [shown(FULL), shown(BARE)]
    assert tuple(shown(FULL)) == COLUMNS


def test_an_export_comes_to_one_end() -> None:
    finished, failed = ExportFinished(3, 9), ExportFailed("why", 9)
    given(EXPORTS).when(Tell(REQUESTED)).then(REQUESTED)
    given(EXPORTS, REQUESTED).when(Tell(finished)).then(finished)
    given(EXPORTS, REQUESTED, finished).when(Tell(failed)).then()
    given(EXPORTS, REQUESTED, failed).when(Tell(ExportContinued(3, 1))).then()


def test_a_restart_forgets_what_was_written() -> None:
    continued = [ExportContinued(3, 1, "upload", ("a",)), ExportContinued(4, 2, rest="there")]
    export = EXPORTS.fold(None, [REQUESTED, *continued])
    assert export is not None
    assert (export.upload, export.parts, export.rest, export.reached) == (
        *("upload", ("a",), "there"),
        4,
    )
    again = EXPORTS.fold(export, [ExportRestarted()])
    assert again is not None
    first = EXPORTS.fold(None, [REQUESTED])
    assert first is not None
    assert vars(again) == {**vars(first), "restarts": 1}


def test_the_longest_export_fits_into_a_commit() -> None:
    event = ExportContinued(3, 1, "u" * 200, tuple(f'"{part:032x}"' for part in range(MAX_PARTS)))
    export = EXPORTS.fold(None, [REQUESTED, event])
    # A commit has the state and the next part, and the others were in those before.
    size = len(snapshot(EXPORTS, export)) + len(CODEC.encode([ExportContinued(3, 1, "u", ("e",))]))
    assert size < MAX_COMMIT_BYTES
