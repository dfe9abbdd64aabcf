"""Moving in and out by the bench's verbs, over the API of the stack in process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from millrace.api import bearer
from millrace.cli import app
from tests.integration.api_wire import Wire
from tests.integration.test_projection import ask
from tests.support.exports import shlink_csv, shlink_link, shlink_page, yourls_dump
from tests.support.pump import Stack

ANY_URL = "https://example.com/a"


@pytest.fixture
def wire(stack: Stack) -> Wire:
    return Wire(stack)


Move = Callable[..., Result]


@pytest.fixture
def move(wire: Wire, tmp_path: Path) -> Move:
    """Imports a text from a source."""

    def run(source: str, export: str, *options: str) -> Result:
        file = tmp_path / "export"
        file.write_text(export)
        verb = ["import", "shortener", str(file), "--from", source, *options]
        return CliRunner().invoke(app, verb, obj=wire)

    return run


def told(result: Result, *, exit_code: int = 0) -> dict[str, Any]:
    """What of the counts is not zero."""
    assert result.exit_code == exit_code, (result.output, result.exception)
    document = json.loads(result.stdout)
    zero = ("source", "dry_run", "examples")
    return {name: value for name, value in document.items() if value and name not in zero}


def test_a_shlink_export_moves_in_and_its_second_run_creates_nothing(
    stack: Stack, move: Move
) -> None:
    export, options = shlink_csv(250), ("--domain", "default", "--json")
    assert told(move("shlink", export, "--dry-run", *options)) == {
        "rows": 250,
        "valid": 250,
        "clicks_not_carried_over": 745,
    }
    assert ask(stack, "GET", "/sh00001").status == 404
    assert told(move("shlink", export, *options))["created"] == 250
    assert told(move("shlink", export, *options)) == {
        "rows": 250,
        "already_there": 250,
        "clicks_not_carried_over": 745,
    }
    link = ask(stack, "GET", "/sh00001").json()
    assert (link["long_url"], link["expires_at"]) == ("https://example.com/1?utm_source=mail", None)
    assert (link["title"], link["tags"]) == ('Offer "1", of the day', ["spring", "mail"])


def test_a_yourls_dump_moves_in(stack: Stack, move: Move) -> None:
    assert told(move("yourls", yourls_dump(30), "--json"))["created"] == 30
    assert stack.request("GET", "/y7").headers["location"] == "https://example.com/7"


def test_each_row_has_its_own_outcome(stack: Stack, move: Move, tmp_path: Path) -> None:
    taken = {"alias": "taken", "long_url": ANY_URL}
    assert stack.request("POST", "/v1/links", user="bob", json=taken).status == 201
    told(move("shlink", shlink_page(shlink_link("changed")), "--json"))
    past = {"validSince": None, "validUntil": "2020-01-01T00:00:00Z", "maxVisits": None}
    export = shlink_page(
        shlink_link("new"),
        shlink_link("changed", longUrl="https://example.com/other"),
        shlink_link("taken"),
        shlink_link("-bad-"),
        shlink_link("mail", longUrl="mailto:a@example.com"),
        shlink_link("past", meta=past),
        shlink_link("new"),
    )
    report = tmp_path / "report.ndjson"
    counts = told(move("shlink", export, "--json", "--report", str(report)), exit_code=1)
    assert counts.pop("clicks_not_carried_over") == 21
    expected = {"created": 1, "changed_since": 1, "taken": 1, "invalid": 2, "skipped": 2}
    assert counts == {"rows": 7, **expected}
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    outcomes = {line["place"]: line["outcome"] for line in lines}
    assert outcomes == {
        "line 1, link 1": "created",
        "line 1, link 2": "changed since",
        "line 1, link 3": "taken",
        "line 1, link 4": "invalid",
        "line 1, link 5": "invalid",
        "line 1, link 6": "skipped",
        "line 1, link 7": "skipped",
    }
    words = move("shlink", export).stdout
    assert "must start with http:// or https://" in " ".join(words.split())
    assert "21 clicks were counted at the source" in words


def test_answers_that_are_lost_and_busy_moments_create_nothing_twice(
    stack: Stack, wire: Wire, move: Move
) -> None:
    wire.lost = [httpx.ReadTimeout("slow"), httpx.Response(504)]
    wire.unheard = [httpx.Response(503)]
    counts = told(move("shlink", shlink_page(shlink_link("a")), "--json"))
    assert counts == {"rows": 1, "already_there": 1, "clicks_not_carried_over": 3}
    assert (wire.requests, ask(stack, "GET", "/a").json()["version"]) == (4, 1)


def test_a_run_that_ends_early_tells_what_it_did_and_is_taken_up(
    wire: Wire, move: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("millrace.importing.CHUNK", 2)
    export = shlink_page(*(shlink_link(f"c{n}") for n in range(5)))
    wire.lost = [httpx.Response(200, json={"items": []})]
    ended = move("shlink", export, "--json")
    assert told(ended, exit_code=1) == {}
    assert "answered 0 of 2 links" in ended.stderr
    counts = told(move("shlink", export, "--json"))
    assert (counts["already_there"], counts["created"]) == (2, 3)


def test_links_that_are_too_large_together_go_in_several_requests(wire: Wire, move: Move) -> None:
    url = "https://example.com/" + "x" * 2000
    link: dict[str, Any] = {"long_url": url, "fallback_url": url, "expires_at": None}
    link["rules"] = [{"to": [{"url": url}] * 4}]
    export = "".join(json.dumps({**link, "code": f"c{n:04}"}) + "\n" for n in range(100))
    assert told(move("millrace", export, "--json")) == {"rows": 100, "created": 100}
    assert wire.requests == 2


def test_bytes_that_are_not_utf_8_spoil_their_row_alone_even_where_it_is_told(
    wire: Wire, tmp_path: Path
) -> None:
    file, report = tmp_path / "kutt.csv", tmp_path / "report.ndjson"
    rows = f"address,target,expire_in\na,{ANY_URL},\nb,{ANY_URL},1. März 2027\nc,{ANY_URL},\n"
    file.write_bytes(rows.encode("latin-1"))
    verb = ["import", "shortener", str(file), "--from", "kutt", "--report", str(report)]
    counts = told(CliRunner().invoke(app, [*verb, "--json"], obj=wire), exit_code=1)
    assert counts == {"rows": 3, "created": 2, "invalid": 1}
    assert "is no time: 1. M?rz 2027" in report.read_text(encoding="utf-8")
    assert "1. M?rz 2027" in " ".join(CliRunner().invoke(app, verb, obj=wire).stdout.split())


def test_a_report_does_not_take_the_place_of_what_is_imported(
    wire: Wire, move: Move, tmp_path: Path
) -> None:
    (tmp_path / "other").symlink_to(tmp_path / "export")
    for report in ("export", "other"):
        ended = move("shlink", shlink_csv(1), "--report", str(tmp_path / report))
        assert (ended.exit_code, ended.stdout) == (1, "")
        assert "is what is to be imported" in ended.stderr
        assert (tmp_path / "export").read_text() == shlink_csv(1)
    assert wire.requests == 0


def test_a_file_that_cannot_be_written_is_one_line_before_anything_is_asked(
    wire: Wire, move: Move, tmp_path: Path
) -> None:
    nowhere = str(tmp_path / "nosuch" / "file")
    export = CliRunner().invoke(app, ["export", "shortener", nowhere], obj=wire)
    report = move("shlink", shlink_csv(1), "--report", nowhere)
    for ended in (export, report):
        assert (ended.exit_code, ended.stdout) == (1, "")
        assert "millrace: [Errno 2] No such file or directory" in ended.stderr
    onto = CliRunner().invoke(app, ["export", "shortener", str(tmp_path)], obj=wire)
    assert (onto.exit_code, onto.stdout) == (2, "")
    assert "is a directory" in onto.stderr
    assert wire.requests == 0


def test_a_token_that_is_refused_ends_the_run_in_one_line(wire: Wire, move: Move) -> None:
    wire.unheard = [httpx.Response(401, json={"message": "Unauthorized"})]
    ended = move("shlink", shlink_page(shlink_link("a")))
    assert ended.exit_code == 1
    assert "401 Unauthorized; is the token of this stack" in ended.stderr
    assert wire.requests == 1


def test_what_is_exported_can_be_moved_in_elsewhere(
    stack: Stack, wire: Wire, move: Move, tmp_path: Path
) -> None:
    assert told(move("shlink", shlink_csv(120), "--domain", "default", "--json"))["created"] == 120
    terms = {
        "alias": "ruled",
        "long_url": ANY_URL,
        "max_clicks": 5,
        "rules": [{"country": ["CH"], "to": [{"url": ANY_URL}]}],
    }
    assert ask(stack, "POST", "", json=terms).status == 201
    closed = {"alias": "closed", "long_url": ANY_URL, "password": "open sesame"}
    assert ask(stack, "POST", "", json=closed).status == 201
    stack.drain()
    file = tmp_path / "out.ndjson"
    exported = CliRunner().invoke(app, ["export", "shortener", str(file), "--json"], obj=wire)
    assert json.loads(exported.stdout) == {"file": str(file), "links": 122}
    before = ask(stack, "GET", "/ruled").json()
    stack.reset()
    counts = told(move("millrace", file.read_text(), "--json"))
    behind = {"how many of its max_clicks are used up": 1}
    assert counts == {"rows": 122, "created": 121, "skipped": 1, "left_behind": behind}
    after = ask(stack, "GET", "/ruled").json()
    assert {**after, "created_at": None} == {**before, "created_at": None}


def test_a_csv_is_written_for_people(stack: Stack, wire: Wire, move: Move) -> None:
    told(move("shlink", shlink_csv(2), "--domain", "default", "--json"))
    stack.drain()
    result = CliRunner().invoke(app, ["export", "shortener", "--format", "csv"], obj=wire)
    header, *lines = result.stdout.splitlines()
    assert header.startswith("code,domain,short_url,long_url,title,tags")
    assert {line.partition(",")[0] for line in lines} == {"sh00000", "sh00001"}
    assert '"spring,mail"' in result.stdout


def test_no_token_is_sent_to_an_address_it_is_not_for() -> None:
    verb = ["export", "shortener", "--url", "https://api.test"]
    result = CliRunner().invoke(app, verb, env={"MILLRACE_TOKEN": ""})
    assert (result.exit_code, result.stdout) == (1, "")
    assert "set MILLRACE_TOKEN" in result.stderr


@pytest.mark.parametrize("token", ["SE CRET", "SECRET\r\nx-a: b", "SÉCRET", " "])
def test_what_is_no_token_is_never_sent_nor_told(token: str) -> None:
    verb = ["export", "shortener", "--url", "http://api.test"]
    result = CliRunner().invoke(app, verb, env={"MILLRACE_TOKEN": token})
    assert (result.exit_code, result.stdout) == (1, "")
    assert "the token holds what no token does" in result.stderr
    assert "CRET" not in result.stderr


def test_the_end_of_a_line_is_no_part_of_a_token() -> None:
    assert bearer(" abc.d-e_f=\n") == "Bearer abc.d-e_f="


@pytest.mark.parametrize("url", ["localhost:4566", "http://localhost:port", "http://xn--", "http:"])
def test_an_address_that_is_no_url_is_one_line(url: str) -> None:
    verb = ["export", "shortener", "--url", url, "--token", "t"]
    result = CliRunner().invoke(app, verb)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{url!r} is no URL" in result.stderr
