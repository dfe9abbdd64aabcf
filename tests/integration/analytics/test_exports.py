"""Exports: every fact of the span once and in order, whoever dies in between; and nobody else's."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator
from io import StringIO
from itertools import count
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest

from functions.analytics import files
from functions.analytics.decider import Definition
from functions.analytics.exporting import shown
from functions.analytics.facts import Fact
from functions.analytics.handlers import export
from functions.edge.validation import to_text
from tests.integration.analytics.counting import define, keep, queued, traffic
from tests.integration.analytics.sites import ANY, ask, kind, make
from tests.support.clock import START
from tests.support.cloud.replacing_moto import dynamodb_in_memory
from tests.support.faults import Crash
from tests.support.handlers import ROOT
from tests.support.pump import Stack

HOUR = 3_600_000
ASKED = {"from": "2026-11-01T00:00:00Z", "to": "2026-11-01T00:50:00Z", "format": "ndjson"}


class World(NamedTuple):
    """A site with the facts of most of an hour."""

    stack: Stack
    site: Definition
    facts: list[Fact]

    def post(self, status: int = 202, **rest: Any) -> Any:
        rest = {"json": ASKED, **rest}
        return ask(self.stack, "POST", f"/{self.site.id}/exports", status, **rest)

    def get(self, name: str, status: int = 200, **rest: Any) -> Any:
        return ask(self.stack, "GET", f"/{self.site.id}/exports/{name}", status, **rest).json()

    def content(self, name: str) -> bytes:
        """What the presigned URL leads to."""
        answer = self.get(name)
        assert answer["status"] == "ready", answer["reason"]
        url = urlsplit(answer["url"])
        bucket, _, key = url.path.removeprefix("/").partition("/")
        found = self.stack.client("s3").get_object(Bucket=bucket, Key=key)
        content: bytes = found["Body"].read()
        return content

    def expected(self) -> list[dict[str, Any]]:
        return [shown(fact) for fact in sorted(self.facts, key=lambda each: (each.at, each.id))]

    def is_whole(self, name: str) -> bool:
        """Whether the file has every fact of the site, and is told of as it is."""
        lines = [json.loads(line) for line in self.content(name).decode().splitlines()]
        answer = self.get(name)
        assert answer["status"] == "ready"
        assert answer["events"] == len(lines)
        assert answer["bytes"] == len(self.content(name))
        return lines == self.expected()


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    """One stack for all: every test has a site of its own."""
    with dynamodb_in_memory(), Stack([ROOT / "template.yaml"]) as stack:
        yield stack


@pytest.fixture
def world(running: Stack) -> World:
    running.faults.clear()
    running.clock.milliseconds = max(running.clock.now(), START + HOUR)
    defined = define(running, make(running))
    kept = keep(running, traffic(random.Random(7), 60, START, 50 * 60_000), defined)
    running.drain()
    return World(running, defined, kept)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of some thirty lines, which S3 would not take: a slice and a half."""
    monkeypatch.setattr(files, "PART", 8000)
    monkeypatch.setattr(export, "PART", 8000)
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)


@pytest.fixture
def short_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that end after their first slice."""
    monkeypatch.setattr(export, "RESERVE_MS", 10**9)


def test_parts_are_as_large_as_s3_wants_them() -> None:
    assert files.PART >= 5 * 1024 * 1024


def test_an_export_is_asked_for_written_and_fetched(world: World) -> None:
    now = world.stack.clock.now()
    answer = world.post()
    name = answer.json()["id"]
    assert answer.headers["location"].endswith(f"/v1/sites/{world.site.id}/exports/{name}")
    pending = {
        "id": name,
        "status": "pending",
        "from": "2026-11-01T00:00:00.000Z",
        "to": "2026-11-01T00:50:00.000Z",
        "format": "ndjson",
        "requested_at": to_text(now),
        "finished_at": None,
        "events": 0,
        "reason": None,
        "bytes": None,
        "url": None,
        "url_expires_at": None,
    }
    assert answer.json() == pending
    assert world.get(name) == pending

    world.stack.drain()

    ready = world.get(name)
    assert (ready["status"], ready["finished_at"]) == ("ready", to_text(now))
    assert ready["url_expires_at"] == to_text(now + 15 * 60_000)
    query = parse_qs(urlsplit(ready["url"]).query)
    assert query["X-Amz-Expires"] == ["900"]
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["response-content-disposition"] == [
        f'attachment; filename="{world.site.id}-{name}.ndjson"'
    ]
    assert world.is_whole(name)


def test_a_table_has_the_same_facts_and_its_header_once(
    world: World, small_parts: None, short_runs: None
) -> None:
    name = world.post(json={**ASKED, "format": "csv"}).json()["id"]
    world.stack.drain()
    rows = list(csv.DictReader(StringIO(world.content(name).decode(), newline="")))
    assert [row["id"] for row in rows] == [fact["id"] for fact in world.expected()]


def test_an_export_without_events_is_an_empty_file(world: World) -> None:
    body = {**ASKED, "from": "2026-10-01", "to": "2026-10-02"}
    name = world.post(json=body).json()["id"]
    world.stack.drain()
    assert world.content(name) == b""
    assert world.get(name)["events"] == 0


def test_facts_outside_the_span_are_left_out(world: World) -> None:
    ordered = world.expected()
    body = {**ASKED, "from": ordered[10]["at"], "to": ordered[50]["at"]}
    name = world.post(json=body).json()["id"]
    world.stack.drain()
    lines = [json.loads(line) for line in world.content(name).decode().splitlines()]
    assert lines == [each for each in ordered if body["from"] <= each["at"] < body["to"]]


def test_a_repeat_is_the_same_export(world: World) -> None:
    key: dict[str, Any] = {"headers": {"idempotency-key": "once"}}
    first = world.post(**key).json()
    world.stack.drain()
    assert world.post(**key).json() == first
    assert kind(world.post(422, json={**ASKED, "format": "csv"}, **key)) == "idempotency_key_reused"
    world.stack.drain()
    assert world.is_whole(first["id"])
    assert world.post().json()["id"] != first["id"]


def test_who_died_before_the_message_sends_it_when_asked_again(world: World) -> None:
    key: dict[str, Any] = {"headers": {"idempotency-key": "once"}}
    world.stack.faults.crash_before("sqs", "SendMessage", function="AnalyticsExports")
    with pytest.raises(Crash):
        world.post(**key)
    name = world.post(**key).json()["id"]
    world.stack.drain()
    assert world.is_whole(name)


@pytest.mark.usefixtures("small_parts", "short_runs")
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("service", "operation", "calls"),
    [("dynamodb", "PutItem", 4), ("sqs", "SendMessage", 3), ("s3", "*", 7)],
)
def test_whoever_dies_at_whatever_write_the_file_is_whole(
    world: World, service: str, operation: str, calls: int, after: bool
) -> None:
    faults = world.stack.faults
    plan = faults.crash_after if after else faults.crash_before
    for place in count():
        crash = plan(service, operation, function="AnalyticsExport", skip=place)
        name = world.post().json()["id"]
        world.stack.drain()
        assert world.is_whole(name)
        faults.clear()
        if not crash.fired:
            break
    assert place >= calls


@pytest.mark.usefixtures("small_parts", "short_runs")
def test_an_upload_that_is_gone_is_begun_anew(world: World) -> None:
    gone = world.stack.faults.fail("s3", "UploadPart", "NoSuchUpload", status=404, skip=2)
    name = world.post().json()["id"]
    world.stack.drain()
    assert gone.fired
    assert world.is_whole(name)


@pytest.mark.usefixtures("small_parts")
def test_a_part_that_somebody_else_overwrote_is_written_anew(world: World) -> None:
    strange = world.stack.faults.fail("s3", "CompleteMultipartUpload", "InvalidPart")
    name = world.post().json()["id"]
    world.stack.drain()
    assert strange.fired
    assert world.is_whole(name)


@pytest.mark.usefixtures("small_parts")
def test_an_export_is_not_begun_anew_for_ever(world: World) -> None:
    world.stack.faults.fail("s3", "UploadPart", "NoSuchUpload", status=404, times=-1)
    name = world.post().json()["id"]
    world.stack.drain()
    assert world.get(name)["reason"] == "It could not be stored."


def test_an_export_that_fails_again_and_again_has_failed(world: World) -> None:
    world.stack.faults.fail("s3", "PutObject", "AccessDenied", status=403, times=-1)
    name = world.post().json()["id"]
    world.stack.drain()
    answer = world.get(name)
    assert (answer["status"], answer["url"]) == ("failed", None)
    assert answer["reason"] == "It failed again and again."
    assert world.stack.messages("AnalyticsExportRunsDlq") == []


@pytest.mark.usefixtures("small_parts")
def test_an_export_that_is_too_large_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "MAX_PARTS", 1)
    name = world.post().json()["id"]
    world.stack.drain()
    assert world.get(name)["reason"] == "It is too large: ask for less at a time."


def test_of_a_site_deleted_meanwhile_there_is_no_file(world: World) -> None:
    name = world.post().json()["id"]
    ask(world.stack, "DELETE", f"/{world.site.id}", 204, headers=ANY)
    world.stack.drain()
    world.get(name, 410)
    world.post(410)
    bucket = world.stack.functions["AnalyticsExport"].env["RAW_BUCKET"]
    prefix = f"exports/{world.site.id}/"
    found = world.stack.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)
    assert "Contents" not in found


def test_a_file_that_was_cleared_away_is_gone(world: World) -> None:
    name = world.post().json()["id"]
    world.stack.drain()
    bucket = world.stack.functions["AnalyticsExport"].env["RAW_BUCKET"]
    key = f"exports/{world.site.id}/{name}.ndjson"
    world.stack.client("s3").delete_object(Bucket=bucket, Key=key)
    world.get(name, 410)


def test_nobody_else_sees_or_asks_for_an_export(world: World) -> None:
    name = world.post().json()["id"]
    for other in ({"user": "somebody else"}, {"claims": {"custom:tenant": "other"}}):
        world.get(name, 404, **other)
        world.post(404, **other)
    world.get("000000000000", 404)
    other_site = make(world.stack)
    ask(world.stack, "GET", f"/{other_site}/exports/{name}", 404)
    world.get(name, 403, claims={"custom:scopes": ""})


@pytest.mark.parametrize(
    ("change_", "field"),
    [
        ({"from": None}, "from"),
        ({"to": "tomorrow"}, "to"),
        ({"to": "2026-10-01"}, "to"),
        ({"format": "xlsx"}, "format"),
        ({"columns": "id"}, "columns"),
    ],
)
def test_bad_bodies_are_named(world: World, change_: dict[str, Any], field: str) -> None:
    answer = world.post(422, json={**ASKED, **change_}).json()
    assert [error["field"] for error in answer["errors"]] == [field]


def test_what_an_export_costs(world: World) -> None:
    world.post()
    world.stack.drain()
    with world.stack.meter.operation("ask") as bill:
        name = world.post().json()["id"]
    assert bill.by_operation == {"dynamodb:Query": 1, "dynamodb:PutItem": 1, "sqs:SendMessage": 1}
    assert (bill.rcu, bill.wcu) == (1, 1)
    with world.stack.meter.operation("write") as bill:
        world.stack.invoke("AnalyticsExport", queued({"site": world.site.id, "export": name}))
    # Its stream twice, the site; the total, which machines there are and each of them; the minutes.
    kinds = len({fact.machine for fact in world.facts if fact.machine})
    assert bill.by_operation == {
        "dynamodb:Query": 3 + 2 + kinds + 50,
        "dynamodb:PutItem": 1,
        "s3:PutObject": 1,
    }
    with world.stack.meter.operation("look") as bill:
        world.get(name)
    assert bill.by_operation == {"dynamodb:Query": 2, "s3:HeadObject": 1}
