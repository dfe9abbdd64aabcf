"""The bench on an emulator that it starts, mends and stops itself.

Not on the stack that the other tests share: after a replay its readers would look for a minute at
the generation that was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from infra.local.endpoint import session
from infra.local.stack import resources
from millrace.cli import app
from tests.e2e.eventually import eventually
from tests.support.deployed import free_port

LINKS = 12
LETTERS = 13


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """That of an emulator which is there until the module's end."""
    port = free_port()
    yield port
    run(port, "down")


@pytest.fixture(scope="module")
def millrace(port: int) -> Callable[..., Any]:
    """Runs a verb against it, and gives its JSON document."""
    return lambda *verb: told(run(port, *verb, "--json"))


def run(port: int, *verb: str) -> Result:
    return CliRunner().invoke(app, list(verb), env={"MILLRACE_PORT": str(port)})


def told(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_before_up_there_is_nothing_to_ask_or_stop(port: int) -> None:
    for verb in (["url"], ["token"], ["stream", "show", "shortener/a"], ["lag", "shortener"]):
        result = run(port, *verb)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith("millrace: nothing answers at http://localhost:")
    assert told(run(port, "down", "--json")) == {"port": port, "stopped": False}


def test_a_walk_through_every_verb(port: int, millrace: Callable[..., Any]) -> None:
    up = millrace("up")
    assert millrace("url")["url"] == up["url"]
    authorization = {"authorization": f"Bearer {run(port, 'token', 'ada').stdout.strip()}"}
    with httpx.Client(base_url=up["url"], headers=authorization, timeout=30) as api:
        for number in range(LINKS):
            body = {"long_url": f"https://example.com/{number}", "alias": f"link-{number}"}
            assert api.post("/v1/links", json=body).status_code == 201
        change = {"long_url": "https://example.com/new"}
        edited = api.patch("/v1/links/link-0", json=change, headers={"if-match": '"1"'})
        assert edited.status_code == 200

    shown = millrace("stream", "show", "shortener/link-0")
    assert [event["type"] for event in shown["events"]] == ["LinkCreated", "LinkRetargeted"]
    first = shown["events"][0]["at"]
    assert millrace("stream", "at", "link#default#link-0", first)["version"] == 1
    changed = millrace("stream", "diff", "shortener/link-0", "1", "2")["changed"]
    assert changed == {"long_url": {"from": "https://example.com/0", "to": change["long_url"]}}

    def view() -> tuple[int, int]:
        views = millrace("lag", "shortener")["views"]
        found = next(view for view in views if view["view"] == "links")
        return found["streams"], found["behind"]

    eventually(view, (LINKS, 0))
    assert millrace("sweep", "shortener")["checked"] == LINKS
    assert millrace("quarantine", "list", "shortener") == []
    assert millrace("quarantine", "release", "shortener", "--all") == []
    replayed = millrace("replay", "shortener", "links", "--wait", "0")
    assert (replayed["generation"], replayed["verified"]) == (2, LINKS)

    sqs, endpoint = session(up["endpoint"]).client("sqs"), up["endpoint"]
    url = resources(endpoint)["ShortenerRetryDlq"]
    for number in range(LETTERS):
        letter = json.dumps({"stream": f"link#default#link-{number % LINKS}"})
        sqs.send_message(QueueUrl=url, MessageBody=letter)
    assert millrace("redrive", "ShortenerRetry")["moved"] == LETTERS
    eventually(lambda: set(millrace("lag", "shortener")["queues"].values()), {0})
    [swept] = millrace("redrive", "ShortenerUndelivered")["runs"]
    assert swept["function"] == "ShortenerSweep"

    elsewhere = run(port, "--stack", "nosuch", "lag", "shortener")
    assert (elsewhere.exit_code, elsewhere.stdout) == (1, "")
    assert f"no stack nosuch at {endpoint}" in elsewhere.stderr

    standing = resources(endpoint)
    assert millrace("deploy")["ApiId"]
    assert resources(endpoint) == standing
    assert view() == (LINKS, 0)
    assert millrace("down") == {"port": port, "stopped": True}
