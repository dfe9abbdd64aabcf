"""The bench's verbs on the stack in process: what they say, what they mend, what they refuse."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from functions.edge.runtime import Runtime
from functions.kernel.replay import RETIRED_MS
from functions.kernel.views import ViewTable
from functions.shortener.views import LINKS
from infra.local.__main__ import main
from infra.local.emulator import ROOT, Emulator, _children
from infra.local.endpoint import LocalError, is_ministack, session
from millrace.api import connect
from millrace.cli import app
from millrace.errors import BenchError
from millrace.local import PARAMETER_FILE, deploy
from tests.integration.analytics.counting import expected_rows, rows, site
from tests.integration.analytics.tending import lose_records
from tests.integration.test_projection import OWNER, ask, listed, projector_of
from tests.support.deployed import free_port
from tests.support.faults import Crash
from tests.support.pump import Stack

CODE = "spring"
STREAM = f"link#default#{CODE}"
POISON = "https://example.com/poison"


@dataclass(frozen=True)
class PumpedStack:
    """The stack in process as the bench sees it."""

    stack: Stack
    poll_seconds: int = 0

    def physical(self, logical: str) -> str:
        found = [name for name, known in self.stack._names.items() if known == logical]
        if not found:
            raise BenchError(f"no {logical} in the stack")
        return found[0]

    def queues(self, beginning: str) -> Mapping[str, str]:
        urls = set(self.client("sqs").list_queues()["QueueUrls"])
        names = self.stack._names.items()
        return {name: url for url, name in names if url in urls and name.startswith(beginning)}

    def client(self, service: str) -> Any:
        return self.runtime("ShortenerProject").client(service)

    def runtime(self, function: str) -> Runtime:
        return self.stack.runtime(function)

    def timeout(self, function: str) -> int:
        return self.stack.functions[function].timeout

    def invoke(self, function: str, event: Mapping[str, Any]) -> Mapping[str, Any]:
        self.stack.invoke(function, event)
        return self.stack.logs[-1]


Bench = Callable[..., Result]


@pytest.fixture
def bench(stack: Stack) -> Bench:
    """Runs a verb on the stack."""
    return lambda *verb: CliRunner().invoke(app, list(verb), obj=PumpedStack(stack))


def told(result: Result) -> Any:
    """The JSON document that is all of standard output."""
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return json.loads(result.stdout)


def refused(result: Result) -> str:
    """The one line of an error."""
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("millrace: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def create(stack: Stack, alias: str = CODE, url: str = "https://example.com/a") -> None:
    assert ask(stack, "POST", "", json={"alias": alias, "long_url": url}).status == 201


def edit(stack: Stack, **body: Any) -> None:
    stack.advance(60)
    answer = ask(stack, "PATCH", f"/{CODE}", json=body, headers={"if-match": "*"})
    assert answer.status == 200


@pytest.fixture
def edited(stack: Stack) -> Stack:
    """A link with three versions, the first at 00:00, the others at 00:01."""
    create(stack)
    edit(stack, long_url="https://example.com/b", redirect_status=301)
    stack.drain()
    return stack


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Links to POISON cannot be written to the list."""
    put = ViewTable.put

    def fails(self: ViewTable, view: Any, stream: str, version: int, row: Any) -> bool:
        if POISON in str(row.data):
            raise ValueError("poison")
        return put(self, view, stream, version, row)

    monkeypatch.setattr(ViewTable, "put", fails)


# ---- Streams ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [STREAM, f"shortener/{CODE}", f"shortener/{STREAM}"])
def test_a_stream_is_shown_event_by_event(edited: Stack, bench: Bench, name: str) -> None:
    shown = told(bench("stream", "show", name, "--json"))
    assert shown["stream"] == STREAM
    assert [(e["version"], e["type"], e["at"][:16], e["actor"]) for e in shown["events"]] == [
        (1, "LinkCreated", "2026-11-01T00:00", OWNER),
        (2, "LinkRetargeted", "2026-11-01T00:01", OWNER),
        (3, "LinkRedirectStatusChanged", "2026-11-01T00:01", OWNER),
    ]
    assert shown["events"][1]["data"] == {"long_url": "https://example.com/b"}


def test_a_stream_is_shown_in_words(edited: Stack, bench: Bench) -> None:
    words = bench("stream", "show", STREAM).stdout
    assert "2  LinkRetargeted  2026-11-01T00:01:00.000Z  by alice" in words
    assert "long_url         https://example.com/b" in words
    assert "\x1b" not in words


def test_a_stream_longer_than_a_page_is_shown_whole(
    edited: Stack, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("millrace.streams.PAGE", 1)
    shown = told(bench("stream", "show", STREAM, "--json"))
    assert [event["version"] for event in shown["events"]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("moment", "version", "url"),
    [
        ("1", 1, "https://example.com/a"),
        ("3", 3, "https://example.com/b"),
        ("2026-11-01T00:00:30Z", 1, "https://example.com/a"),
        ("2026-11-01T01:01:30+01:00", 3, "https://example.com/b"),
    ],
)
def test_a_state_is_shown_at_a_version_or_a_time(
    edited: Stack, bench: Bench, moment: str, version: int, url: str
) -> None:
    then = told(bench("stream", "at", STREAM, moment, "--json"))
    assert (then["version"], then["of"], then["state"]["long_url"]) == (version, 3, url)
    assert url in bench("stream", "at", STREAM, moment).stdout


def test_a_diff_has_the_changed_fields_alone(edited: Stack, bench: Bench) -> None:
    assert told(bench("stream", "diff", STREAM, "1", "3", "--json")) == {
        "stream": STREAM,
        "from": 1,
        "to": 3,
        "changed": {
            "long_url": {"from": "https://example.com/a", "to": "https://example.com/b"},
            "redirect_status": {"from": 302, "to": 301},
        },
    }
    assert "nothing changed" in bench("stream", "diff", STREAM, "2", "2").stdout


def test_a_version_that_was_purged_is_told_as_that_and_not_as_another(
    edited: Stack, bench: Bench
) -> None:
    edit(edited, title="the newest, which tells the state")
    names = {"TableName": edited.functions["ShortenerProject"].env["EVENTS_TABLE"]}
    client = edited.client("dynamodb")
    commits = client.scan(**names)["Items"]
    [middle] = [item for item in commits if item["pk"]["S"] == STREAM and item["sk"]["N"] == "1"]
    client.delete_item(**names, Key={"pk": middle["pk"], "sk": middle["sk"]})
    assert f"{STREAM} was purged of version 2" in refused(bench("stream", "at", STREAM, "2"))
    assert "purged of version 2" in refused(bench("stream", "diff", STREAM, "2", "4"))
    assert told(bench("stream", "at", STREAM, "4", "--json"))["version"] == 4


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        (["stream", "show", "shortener/nosuch"], "no stream shortener/nosuch"),
        (["stream", "show", "link#default#nosuch"], "no stream link#default#nosuch"),
        (["stream", "show", "nosuch"], "neither <capability>/<id> nor a stream id"),
        (["stream", "show", "nosuch/spring"], "no capability 'nosuch'; there are: analytics, "),
        (["stream", "at", STREAM, "4"], "versions 1 to 3, none at 4"),
        (["stream", "at", STREAM, "0"], "versions 1 to 3, none at 0"),
        (["stream", "at", STREAM, "2025-01-01T00:00:00Z"], "versions 1 to 3"),
        (["stream", "diff", STREAM, "1", "noon"], "neither a version nor"),
        (["replay", "shortener", "nosuch"], "no view 'nosuch'; it has: directory, links, reports"),
        (["sweep", "nosuch"], "no capability 'nosuch'"),
        (["lag", "nosuch"], "no capability 'nosuch'"),
        (["quarantine", "list", "nosuch"], "no capability 'nosuch'"),
        (["quarantine", "release", "shortener", CODE], f"{STREAM} is not in the quarantine"),
        (["quarantine", "release", "shortener"], "name one stream, or say --all"),
        (["quarantine", "release", "shortener", CODE, "--all"], "name one stream, or say --all"),
        (["redrive", "NoSuch"], "no NoSuchDlq"),
        (["redrive", "NoSuchUndelivered"], "no NoSuchUndelivered"),
    ],
    ids=" ".join,
)
def test_what_does_not_exist_is_one_line_and_exit_1(
    edited: Stack, bench: Bench, verb: list[str], said: str
) -> None:
    assert said in refused(bench(*verb))
    assert said in refused(bench(*verb, "--json"))


def test_more_digits_than_python_reads_are_no_version_either(edited: Stack, bench: Bench) -> None:
    assert "versions 1 to 3, none at 99" in refused(bench("stream", "at", STREAM, "9" * 5000))


def test_an_error_of_aws_is_one_line_and_exit_1(edited: Stack, bench: Bench) -> None:
    edited.faults.fail("dynamodb", "Query", "AccessDeniedException")
    assert "AccessDeniedException" in refused(bench("stream", "show", STREAM))


# ---- Replay, sweep, lag -----------------------------------------------------------------------


def test_a_replay_waits_a_time_out_verifies_flips_and_says_when_the_old_rows_go(
    edited: Stack, bench: Bench
) -> None:
    before, began = listed(edited), edited.clock.now()
    done = told(bench("replay", "shortener", "links", "--json"))
    assert 61_000 <= edited.clock.now() - began < 62_000
    assert done.pop("drop_from")[:19] == "2026-11-01T00:12:01"
    assert done == {
        "view": "links",
        "generation": 2,
        "retired": 1,
        "verified": 1,
        "resumed": False,
    }
    edited.cold_start()
    assert listed(edited) == before
    assert "`millrace sweep shortener` drops it" in refused(bench("replay", "shortener", "links"))
    edited.advance(RETIRED_MS / 1000)
    assert told(bench("sweep", "shortener", "--json"))["dropped_rows"] == 1
    again = bench("replay", "shortener", "links", "--wait", "0").stdout
    assert "✓ links@3 is read now: 1 stream verified" in again


def test_a_replay_that_died_is_taken_up_and_does_not_wait_again(
    edited: Stack, bench: Bench
) -> None:
    edited.faults.crash_before("dynamodb", "PutItem", skip=1, function="ShortenerProject")
    with pytest.raises(Crash):
        bench("replay", "shortener", "links")
    began = edited.clock.now()
    done = told(bench("replay", "shortener", "links", "--json"))
    assert (done["resumed"], done["generation"]) == (True, 2)
    assert edited.clock.now() - began < 1000


def test_a_replay_that_cannot_be_verified_names_the_streams_and_changes_nothing(
    edited: Stack, bench: Bench, poison: None
) -> None:
    create(edited, "bad", POISON)
    failed = bench("replay", "shortener", "links", "--wait", "0", "--json")
    assert failed.exit_code == 1
    assert told(failed) == {"view": "links", "not_verified": ["link#default#bad"]}
    assert "link#default#bad" in bench("replay", "shortener", "links").stdout
    view = lag_of_links(bench)
    assert (view["generation"], view["building"]) == (1, 2)


def lag_of_links(bench: Bench) -> Any:
    """Where the view of links stands; bans, domains and reports have views of their own."""
    views = told(bench("lag", "shortener", "--json"))["views"]
    return next(view for view in views if view["view"] == "links")


def test_a_lost_record_shows_as_lag_until_the_sweep(edited: Stack, bench: Bench) -> None:
    edit(edited, long_url="https://example.com/lost")
    lost_at = edited.clock.now()
    assert edited.stream_records()
    edited.advance(90)
    assert lag_of_links(bench) == {
        "view": "links",
        "generation": 1,
        "building": None,
        "streams": 1,
        "behind": 1,
        "oldest": lost_at,
        "oldest_stream": STREAM,
    }
    assert f"1.5 min  {STREAM}" in bench("lag", "shortener").stdout
    swept = told(bench("sweep", "shortener", "--json"))
    assert (swept["checked"], swept["rung"], swept["complete"]) == (1, 1, True)
    assert lag_of_links(bench)["behind"] == 0


def test_a_stream_that_goes_on_over_scan_pages_is_counted_once(
    edited: Stack, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("millrace.lagging.SLICE", 1)
    view = lag_of_links(bench)
    assert (view["streams"], view["behind"]) == (1, 0)


def test_lag_counts_every_queue_of_the_capability(edited: Stack, bench: Bench) -> None:
    queues = {n for each in edited._templates for n in each.names("AWS::SQS::Queue")}
    declared = {name for name in queues if name.startswith("Shortener")}
    edited.request("GET", f"/{CODE}")
    waiting = told(bench("lag", "shortener", "--json"))["queues"]
    assert waiting.keys() == declared
    assert (waiting["ShortenerClicks"], waiting["ShortenerEnforcementDlq"]) == (1, 0)


def test_lag_tells_of_the_publisher_and_its_queues(edited: Stack, bench: Bench) -> None:
    edit(edited, title="lost")
    edited.stream_records()
    found = told(bench("lag", "shortener", "--json"))
    [published] = [view for view in found["views"] if view["view"] == "published"]
    assert (published["streams"], published["behind"]) == (1, 1)
    assert {"ShortenerPublishRetry", "ShortenerPublishRetryDlq"} <= found["queues"].keys()


def test_all_is_told_again_to_who_came_later(
    edited: Stack, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(edited, "other")
    edited.drain()
    edit(edited, title="not told yet")
    edited.stream_records()
    edited.subscribe("DomainEvents", "Ear", {"capability": ["shortener"]})
    monkeypatch.setattr("millrace.republishing.SLICE", 1)
    assert told(bench("republish", "shortener", "--json")) == {"streams": 2, "failed": {}}
    heard = [json.loads(body) for body in edited.messages("Ear")]
    assert {(each["stream"], each["version"]) for each in heard} == {
        (STREAM, 4),
        ("link#default#other", 1),
    }
    assert "2 streams of shortener told again" in bench("republish", "shortener").stdout
    assert len(edited.messages("Ear")) == 4


def test_what_cannot_be_told_again_is_named(edited: Stack, bench: Bench) -> None:
    edited.faults.fail("sns", "PublishBatch", "AuthorizationError", status=403, times=-1)
    failed = bench("republish", "shortener", "--json")
    assert failed.exit_code == 1
    [said] = told(failed)["failed"].items()
    assert said[0] == STREAM
    assert "(AuthorizationError)" in said[1]


def test_nothing_more_is_told_once_credentials_are_refused(edited: Stack, bench: Bench) -> None:
    create(edited, "other")
    fault = edited.faults.fail("sns", "PublishBatch", "ExpiredTokenException", times=-1)
    assert "(ExpiredTokenException)" in refused(bench("republish", "shortener"))
    assert fault.fired == 1


# ---- Queues and quarantine --------------------------------------------------------------------


def dead_letters(stack: Stack, number: int) -> None:
    """Puts doorbells into the retry queue's dead-letter queue."""
    url = PumpedStack(stack).physical("ShortenerRetryDlq")
    for _ in range(number):
        stack.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps({"stream": STREAM}))


@pytest.mark.parametrize("queue", ["ShortenerRetry", "ShortenerRetryDlq"])
def test_dead_letters_go_back_to_their_queue_and_are_counted(
    edited: Stack, bench: Bench, queue: str
) -> None:
    dead_letters(edited, 23)
    assert told(bench("lag", "shortener", "--json"))["queues"]["ShortenerRetryDlq"] == 23
    assert told(bench("redrive", queue, "--json")) == {
        "from": "ShortenerRetryDlq",
        "to": "ShortenerRetry",
        "moved": 23,
        "left": 0,
    }
    assert edited.messages("ShortenerRetryDlq") == []
    assert edited.messages("ShortenerRetry") == [json.dumps({"stream": STREAM})] * 23
    assert "0 messages moved" in bench("redrive", queue).stdout


def test_letters_that_are_too_large_together_go_back_in_several_batches(
    stack: Stack, bench: Bench
) -> None:
    url, body = PumpedStack(stack).physical("AnalyticsTrackedDlq"), "a" * 200_000
    of = {"DataType": "String", "StringValue": "b" * 20_000}
    for _ in range(10):
        stack.client("sqs").send_message(
            QueueUrl=url, MessageBody=body, MessageAttributes={"of": of}
        )
    done = told(bench("redrive", "AnalyticsTracked", "--json"))
    assert (done["moved"], done["left"]) == (10, 0)
    assert stack.messages("AnalyticsTracked") == [body] * 10


def test_letters_of_which_somebody_holds_every_one_are_an_error(
    edited: Stack, bench: Bench
) -> None:
    dead_letters(edited, 1)
    url = PumpedStack(edited).physical("ShortenerRetryDlq")
    edited.client("sqs").receive_message(QueueUrl=url)
    held = bench("redrive", "ShortenerRetry", "--json")
    assert held.exit_code == 1
    assert (told(held)["moved"], told(held)["left"]) == (0, 1)


def test_a_letter_that_its_queue_refuses_stays_where_it_is(
    edited: Stack, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead_letters(edited, 3)
    sqs = edited.client("sqs")
    real = sqs.send_message_batch

    def half(QueueUrl: str, Entries: list[Any]) -> Any:
        return real(QueueUrl=QueueUrl, Entries=Entries[:1]) | {"Failed": [{"Id": "1"}]}

    monkeypatch.setattr(sqs, "send_message_batch", half)
    monkeypatch.setattr(PumpedStack, "client", lambda self, service: sqs)
    assert "1 message moved, then 2 refused" in refused(bench("redrive", "ShortenerRetry"))
    assert len(edited.messages("ShortenerRetryDlq")) == 2
    assert len(edited.messages("ShortenerRetry")) == 1


def test_what_has_no_records_is_swept_instead(edited: Stack, bench: Bench) -> None:
    edit(edited, long_url="https://example.com/lost")
    edited.stream_records()
    words = bench("redrive", "ShortenerUndelivered").stdout
    assert "hold no records" in " ".join(words.split())
    assert listed(edited) == [(CODE, 4, "https://example.com/lost")]
    [run] = told(bench("redrive", "ShortenerUndelivered", "--json"))["runs"]
    assert (run["function"], run["rung"]) == ("ShortenerSweep", 0)


def test_facts_that_were_given_up_are_counted_once_their_ledger_is_gone_over(
    stack: Stack, bench: Bench
) -> None:
    made = site(stack)
    facts = lose_records(stack, made)
    runs = told(bench("redrive", "AnalyticsUndelivered", "--json"))["runs"]
    assert [run["function"] for run in runs] == ["AnalyticsSweep", "AnalyticsTend"]
    stack.drain()
    assert rows(stack) == expected_rows(facts, made)
    words = bench("redrive", "AnalyticsUndelivered").stdout
    assert "AnalyticsSweep" in words
    assert "AnalyticsTend" in words


def test_quarantine_lists_releases_what_renders_and_keeps_what_does_not(
    stack: Stack, bench: Bench, poison: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(stack, "bad", POISON)
    stack.drain()
    assert "no stream is in quarantine" not in bench("quarantine", "list", "shortener").stdout
    [aside] = told(bench("quarantine", "list", "shortener", "--json"))
    assert (aside["stream"], aside["view"], aside["error"]) == (
        "link#default#bad",
        "links",
        "ValueError",
    )
    stays = bench("quarantine", "release", "shortener", "bad", "--json")
    assert stays.exit_code == 1
    assert told(stays) == [
        {"stream": "link#default#bad", "released": False, "error": "ValueError: poison"}
    ]
    assert len(told(bench("quarantine", "list", "shortener", "--json"))) == 1
    monkeypatch.undo()
    released = bench("quarantine", "release", "shortener", "--all")
    assert (released.exit_code, "released" in released.stdout) == (0, True)
    assert "no stream is in quarantine" in bench("quarantine", "list", "shortener").stdout
    assert listed(stack) == [("bad", 1, POISON)]
    wired = projector_of(stack)
    assert wired.table.versions(LINKS, ["link#default#bad"]) == {"link#default#bad": 1}


# ---- Running it here, and the demo ------------------------------------------------------------


def test_there_is_no_url_or_token_on_aws() -> None:
    for verb in ("url", "token"):
        assert "for emulators" in refused(CliRunner().invoke(app, ["--aws", verb]))


def test_an_endpoint_and_aws_exclude_each_other() -> None:
    result = CliRunner().invoke(app, ["--aws", "--endpoint", "http://localhost:1", "url"])
    assert "exclude each other" in refused(result)


@pytest.mark.parametrize(
    "wrong", [["--aws"], ["--endpoint", "http://elsewhere:4566"], ["--stack", "staging"]]
)
@pytest.mark.parametrize("verb", ["up", "down"])
def test_only_the_emulator_of_the_port_is_started_or_stopped(
    monkeypatch: pytest.MonkeyPatch, wrong: list[str], verb: str
) -> None:
    monkeypatch.setattr(Emulator, "start", pytest.fail)
    monkeypatch.setattr(Emulator, "stop", pytest.fail)
    assert "MILLRACE_PORT chooses another" in refused(CliRunner().invoke(app, [*wrong, verb]))


def test_a_stack_that_is_named_is_the_one_that_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.local.stack.describe", lambda endpoint, name: None)
    for verb in (["url"], ["token"], ["export", "shortener"]):
        named = refused(CliRunner().invoke(app, ["--stack", "staging", *verb]))
        assert "no stack staging is deployed" in named
    deployed = CliRunner().invoke(app, ["--stack", "staging", "deploy"])
    assert "the stack is always millrace" in refused(deployed)


def test_a_stack_without_outputs_is_told_by_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "infra.local.stack.describe", lambda *_: {"StackStatus": "ROLLBACK_COMPLETE"}
    )
    for verb in ("url", "token"):
        assert "it is ROLLBACK_COMPLETE" in refused(CliRunner().invoke(app, [verb]))


@pytest.mark.parametrize("endpoint", ["localhost:4566", "4566", "http://localhost:port", "http://"])
def test_an_endpoint_that_is_no_url_is_one_line(endpoint: str) -> None:
    for verb in (["lag", "shortener"], ["url"], ["deploy"], ["down"]):
        result = CliRunner().invoke(app, ["--endpoint", endpoint, *verb])
        assert f"{endpoint!r} is no endpoint" in refused(result)


def test_an_endpoint_in_the_environment_is_not_taken_for_aws(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:4566")
    for verb in (["lag", "shortener"], ["deploy"]):
        said = refused(CliRunner().invoke(app, ["--aws", *verb]))
        assert "AWS_ENDPOINT_URL, http://localhost:4566: unset it" in said


@contextmanager
def process_of(emulator: Emulator, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """One whose number stands in the emulator's file, for as long as nobody ends it."""
    waits = [sys.executable, *arguments[:2], "-c", "print(flush=True); input()"]
    waits += arguments[2:]
    emulator.state.mkdir()
    pipe = subprocess.PIPE
    with subprocess.Popen(waits, stdin=pipe, stdout=pipe, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        (emulator.state / "pid").write_text(str(process.pid))
        yield process


LOOKED_UP = [
    "/proc",
    pytest.param("/nosuch", marks=pytest.mark.skipif(shutil.which("ps") is None, reason="no ps")),
]


@pytest.mark.parametrize("processes", LOOKED_UP)
def test_a_stranger_who_has_the_emulators_number_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: str
) -> None:
    monkeypatch.setattr("infra.local.emulator.PROCESSES", Path(processes))
    emulator, other = Emulator(4566, tmp_path / "4566"), tmp_path / "45660"
    with process_of(emulator, "-X", f"millrace={other}/", "-m", "ministack") as stranger:
        assert not emulator.stop()
        assert stranger.poll() is None


@pytest.mark.parametrize("processes", LOOKED_UP)
def test_the_emulator_is_known_by_its_folder_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: str
) -> None:
    monkeypatch.setattr("infra.local.emulator.PROCESSES", Path(processes))
    emulator = Emulator(4566, tmp_path / "4566")
    with process_of(emulator, "-X", f"millrace={emulator.state}/") as process:
        monkeypatch.setitem(_children, process.pid, process)
        assert emulator.stop()
        assert process.poll() == -signal.SIGTERM
        assert not emulator.stop()


@pytest.mark.allow_hosts(["127.0.0.1", "localhost"])
def test_an_emulator_that_runs_and_does_not_answer_is_not_taken_for_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.local.emulator.START_SECONDS", 0)
    emulator = Emulator(free_port(), tmp_path / "state")
    with process_of(emulator, "-X", f"millrace={emulator.state}/") as process:
        with pytest.raises(LocalError, match="does not answer: make down"):
            emulator.start()
        assert process.poll() is None


@pytest.mark.allow_hosts(["127.0.0.1", "localhost"])
@pytest.mark.parametrize("known", ["", "example.com", "*"])
def test_no_request_to_this_machine_takes_a_proxy(
    monkeypatch: pytest.MonkeyPatch, known: str
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, nobody)
    monkeypatch.setenv("no_proxy", known)
    monkeypatch.setenv("NO_PROXY", known)
    with ministack() as endpoint:
        monkeypatch.setattr(sys, "argv", ["millrace", "url"])
        assert main() == 0
        assert is_ministack(endpoint)
        assert session(endpoint).client("sqs").list_queues()["QueueUrls"] == []
        assert list(connect(endpoint, "t").links()) == [[]]
    for name in ("no_proxy", "NO_PROXY"):
        assert os.environ[name].startswith(known)


@contextmanager
def ministack() -> Iterator[str]:
    """Where somebody gives the answers of an emulator, of its SQS and of an API without links."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(
                {"iot_mtls": False, "QueueUrls": [], "items": [], "next_cursor": None}
            )
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_where_nothing_tells_of_processes_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.local.emulator.PROCESSES", tmp_path / "nosuch")
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "4566").mkdir()
    (tmp_path / "4566" / "pid").write_text("1")
    with pytest.raises(LocalError, match="there is no `ps` here"):
        Emulator(4566, tmp_path / "4566").stop()


# What make finds made, the oldest first, where it is to deploy.
MADE = (
    *("requirements.lock", "infra/local/sam.lock", "template.yaml", "samconfig.toml"),
    *("functions/none", ".venv/ready", ".venv-sam/ready", ".aws-sam/build/template.yaml"),
)
SAM = """#!/bin/sh
printf '%s\\n' "region ${AWS_DEFAULT_REGION-of the profile}" "$@" >told
for each; do case "$each" in file://*) cat "${each#file://}" >parameters;; esac; done
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A built project whose sam notes down what it is told."""
    for age, name in enumerate(MADE):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        os.utime(file, (age, age))
    shutil.copy(ROOT / "Makefile", tmp_path)
    sam = tmp_path / ".venv-sam/bin/sam"
    sam.parent.mkdir()
    sam.write_text(SAM)
    sam.chmod(0o755)
    monkeypatch.setattr("millrace.local.ROOT", tmp_path)
    return tmp_path


def test_parameters_come_to_sam_as_they_were_given(checkout: Path) -> None:
    given = {"PublicUrl": """https://a b;$HOME & $(touch spoilt) `id` "q" 'p' \\""", "Empty": ""}
    assert deploy(None, "staging", list(map("=".join, given.items())), quiet=True) == {}
    assert (checkout / "told").read_text().splitlines()[1:] == [
        *("deploy", "--stack-name", "staging"),
        *("--parameter-overrides", f"file://{PARAMETER_FILE}"),
    ]
    assert json.loads((checkout / "parameters").read_text()) == given
    assert not (checkout / PARAMETER_FILE).exists()
    assert not (checkout / "spoilt").exists()


def test_a_deployment_goes_to_the_region_of_the_profile(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    deploy(None, "millrace", [], quiet=True)
    assert (checkout / "told").read_text().splitlines() == [
        *("region of the profile", "deploy", "--stack-name", "millrace"),
    ]


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        (["token", ""], "name the user"),
        (["deploy", "localhost:4566"], "'localhost:4566' is no endpoint"),
        (["deploy", "http://localhost:4566", "Key"], "'Key' is not Key=value"),
        (["translate", "no/template.yaml"], "No such file or directory: 'no/template.yaml'"),
    ],
    ids=" ".join,
)
def test_a_verb_of_make_fails_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verb: list[str], said: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["millrace", *verb])
    assert main() == 1
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert said in told.err


def test_the_demo_tells_the_same_story_each_time_without_a_colour() -> None:
    first, second = (CliRunner().invoke(app, ["demo", "--plain"]) for _ in range(2))
    assert first.exit_code == 0, first.exception
    assert first.stdout == second.stdout
    assert "\x1b" not in first.stdout
    for line in ("bob → 201", "ada → 409", "Version 2, made once: 2 commits", "rang 1."):
        assert line in first.stdout
