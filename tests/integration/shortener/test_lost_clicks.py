"""Clicks that could not be sent, from the log to their queue by the bench."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner, Result

from millrace.cli import app
from tests.integration.shortener.test_redirect import create, follow
from tests.integration.test_cli import PumpedStack, refused, told
from tests.support.handlers import ROOT
from tests.support.pump import Stack

GROUP, STREAM = "logs", "2026/11/01/[$LATEST]0"
CONTRACT = json.loads((ROOT / "contracts/shortener/LinkClicked.v1.json").read_text())
Redrive = Callable[..., Result]


@dataclass(frozen=True)
class LoggedStack(PumpedStack):
    """The stack with a log group, whichever capability's is meant."""

    def physical(self, logical: str) -> str:
        return GROUP if logical.endswith("Logs") else super().physical(logical)

    def client(self, service: str) -> Any:
        return self.stack.client(service)


@pytest.fixture
def redrive(stack: Stack) -> Redrive:
    """Runs the verb on the stack, for clicks."""
    return from_logs(stack, "ShortenerClicks")


def from_logs(stack: Stack, queue: str) -> Redrive:
    """Makes the log group, and what runs the verb for a queue."""
    stack.client("logs").create_log_group(logGroupName=GROUP)
    stack.client("logs").create_log_stream(logGroupName=GROUP, logStreamName=STREAM)
    return lambda *options: CliRunner().invoke(
        app, ["redrive", queue, "--from-logs", *options], obj=LoggedStack(stack)
    )


def lose(stack: Stack, number: int) -> list[str]:
    """Follows a link so often while its queue fails; the lines that were written."""
    code = create(stack)["code"]
    stack.faults.fail("sqs", "SendMessage", "InternalError", status=500, times=10_000)
    before = len(stack.logs)
    assert {follow(stack, code).status for _ in range(number)} == {302}
    stack.faults.clear()
    return [json.dumps(line) for line in stack.logs[before:]]


def log(stack: Stack, lines: Sequence[str], seconds_ago: float = 60) -> None:
    """Writes lines as Lambda does, which puts its own around them."""
    at = round((time.time() - seconds_ago) * 1000)
    messages = ["START RequestId: 0", *lines, '{"type":"platform.report"}', "REPORT lost_click"]
    stack.client("logs").put_log_events(
        logGroupName=GROUP,
        logStreamName=STREAM,
        logEvents=[{"timestamp": at, "message": message} for message in messages],
    )


def queued(stack: Stack) -> list[Any]:
    return [json.loads(body) for body in stack.messages("ShortenerClicks")]


def test_lost_clicks_reach_their_queue_as_they_would_have(stack: Stack, redrive: Redrive) -> None:
    lines = lose(stack, 23)
    log(stack, lines)
    done = told(redrive("--json"))
    assert (done["from"], done["to"], done["sent"]) == (GROUP, "ShortenerClicks", 23)
    assert queued(stack) == [json.loads(line)["lost_click"] for line in lines]
    for click in queued(stack):
        jsonschema.validate(click, CONTRACT)


def test_a_repeat_bears_the_same_ids(stack: Stack, redrive: Redrive) -> None:
    log(stack, lose(stack, 3))
    assert [told(redrive("--json"))["sent"] for _ in range(2)] == [3, 3]
    assert len(queued(stack)) == 6
    assert len({click["id"] for click in queued(stack)}) == 3


def test_a_line_that_the_log_has_twice_is_one_click(stack: Stack, redrive: Redrive) -> None:
    log(stack, lose(stack, 1) * 2)
    assert told(redrive("--json"))["sent"] == 1


def test_only_what_is_young_enough_is_sent(stack: Stack, redrive: Redrive) -> None:
    lines = lose(stack, 3)
    log(stack, lines[:1], seconds_ago=3 * 3600)
    log(stack, lines[1:])
    assert "2 messages of the last 2h" in redrive("--since", "2h").stdout
    assert told(redrive("--since", "1d", "--json"))["sent"] == 3


def test_where_none_was_lost_none_is_sent(stack: Stack, redrive: Redrive) -> None:
    log(stack, [])
    assert "0 messages of the last 1h sent" in redrive().stdout


def test_what_the_queue_refuses_is_said_and_counted(
    stack: Stack, redrive: Redrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(stack, lose(stack, 3))
    sqs = stack.client("sqs")
    real = sqs.send_message_batch

    def first(QueueUrl: str, Entries: list[Any]) -> Any:
        return real(QueueUrl=QueueUrl, Entries=Entries[:1]) | {"Failed": [{"Id": "1"}]}

    monkeypatch.setattr(sqs, "send_message_batch", first)
    clients = {"sqs": sqs, "logs": stack.client("logs")}
    monkeypatch.setattr(LoggedStack, "client", lambda self, service: clients[service])
    assert "1 message sent, then 2 refused" in refused(redrive())
    assert len(queued(stack)) == 1


@pytest.mark.parametrize("age", ["", "1", "h", "-1h", "1w", "1.5h", "1h30m", "٣h"])
def test_an_age_that_is_none_is_refused(stack: Stack, redrive: Redrive, age: str) -> None:
    assert "say 90s, 30m, 2h or 1d" in refused(redrive("--since", age))


def test_no_other_queues_messages_are_in_the_log(stack: Stack) -> None:
    verb = ["redrive", "ShortenerRetry", "--from-logs"]
    assert "only clicks and denials are in the log" in refused(
        CliRunner().invoke(app, verb, obj=LoggedStack(stack))
    )


def test_a_log_group_that_is_gone_is_one_line_and_exit_1(stack: Stack, redrive: Redrive) -> None:
    stack.client("logs").delete_log_group(logGroupName=GROUP)
    assert "ResourceNotFoundException" in refused(redrive())
