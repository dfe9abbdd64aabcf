"""Creates while the store is down: accepted, carried out once, and told of to nobody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.integration.shortener.test_moderation import impose, link, order
from tests.integration.shortener.test_races import commits
from tests.support.faults import Crash
from tests.support.http_api import Response
from tests.support.pump import Stack

URL = "https://example.com/page"


def create(stack: Stack, user: str = "alice", key: str | None = None, **body: Any) -> Response:
    headers = {} if key is None else {"idempotency-key": key}
    return stack.request(
        "POST", "/v1/links", user=user, json={"long_url": URL, **body}, headers=headers
    )


@contextmanager
def store_down(stack: Stack) -> Iterator[None]:
    """Every call to DynamoDB is refused by a server's fault."""
    stack.faults.fail("dynamodb", "*", "InternalServerError", status=500, times=-1)
    yield
    stack.faults.clear()


def status(stack: Stack, accepted: Response, user: str = "alice") -> Response:
    return stack.request(
        "GET",
        "/v1/commands" + accepted.json()["status_url"].partition("/v1/commands")[2],
        user=user,
    )


def deferred(stack: Stack, **wanted: Any) -> Response:
    with store_down(stack):
        accepted = create(stack, **wanted)
    assert accepted.status == 202, accepted.text
    return accepted


def test_a_create_that_cannot_be_written_is_accepted_and_carried_out_later(stack: Stack) -> None:
    accepted = deferred(stack, alias="prize", tags=["a"], max_clicks=3)
    assert accepted.headers["location"] == accepted.json()["status_url"]
    assert status(stack, accepted).status == 202
    assert status(stack, accepted).json() == {"status": "pending"}
    stack.drain()
    done = status(stack, accepted)
    assert (done.status, done.json()["status"]) == (200, "created")
    link = stack.request("GET", "/v1/links/prize", user="alice").json()
    assert done.json()["link"].endswith("/v1/links/prize")
    assert (link["long_url"], link["tags"], link["max_clicks"]) == (URL, ["a"], 3)


@pytest.mark.parametrize(
    "wanted",
    [{}, {"dedupe": False}, {"alias": "prize"}, {"key": "k"}, {"key": "k", "dedupe": False}],
    ids=["dedupe", "fresh", "alias", "key", "key-and-fresh"],
)
def test_what_was_written_though_its_answer_was_lost_is_not_written_again(
    stack: Stack, wanted: dict[str, Any]
) -> None:
    stack.faults.lose_response("dynamodb", "PutItem")
    stack.faults.fail("dynamodb", "PutItem", "InternalServerError", status=500, times=-1)
    accepted = create(stack, **wanted)
    assert accepted.status == 202
    stack.faults.clear()
    assert len(commits(stack)) == 1
    stack.drain()
    links = [stream for stream in commits(stack) if stream.startswith("link#")]
    assert len(links) == 1
    assert status(stack, accepted).json()["link"].endswith(links[0].rpartition("#")[2])


@pytest.mark.parametrize("skip", range(2), ids=["link", "outcome"])
@pytest.mark.parametrize("when", ["crash_before", "crash_after"])
def test_a_consumer_that_dies_between_any_two_calls_makes_one_link_in_the_end(
    stack: Stack, when: str, skip: int
) -> None:
    accepted = deferred(stack, dedupe=False)
    getattr(stack.faults, when)("dynamodb", "PutItem", skip=skip, function="ShortenerExecute")
    try:
        stack.drain()
    except Crash:
        stack.drain()
    stack.advance(400)
    stack.drain()
    assert status(stack, accepted).json()["status"] == "created"
    assert len([stream for stream in commits(stack) if stream.startswith("link#")]) == 1


def test_what_was_concluded_stays_so_whatever_becomes_of_the_link(stack: Stack) -> None:
    code = create(stack).json()["code"]
    accepted = deferred(stack)
    [message] = stack.messages("ShortenerCommands")
    stack.drain()
    assert status(stack, accepted).json()["link"].endswith(code)
    elsewhere = {"long_url": "https://example.com/elsewhere"}
    edited = stack.request(
        "PATCH", f"/v1/links/{code}", user="alice", json=elsewhere, headers={"if-match": "*"}
    )
    assert edited.status == 200
    # SQS delivers at least once.
    url = stack.functions["ShortenerCreate"].env["COMMANDS_QUEUE_URL"]
    stack.client("sqs").send_message(QueueUrl=url, MessageBody=message)
    stack.drain()
    links = {stream for stream in commits(stack) if stream.startswith("link#")}
    assert links == {f"link#default#{code}"}


def test_a_create_repeated_while_the_store_is_down_is_one_link(stack: Stack) -> None:
    first, second = deferred(stack, key="k"), deferred(stack, key="k")
    stack.drain()
    assert status(stack, first).json() == status(stack, second).json()
    assert len([stream for stream in commits(stack) if stream.startswith("link#")]) == 1


def test_an_alias_that_was_taken_meanwhile_is_told_as_the_outcome(stack: Stack) -> None:
    accepted = deferred(stack, alias="prize")
    assert create(stack, "bob", alias="prize").status == 201
    stack.drain()
    told = status(stack, accepted).json()
    assert (told["status"], told["problem"]["type"]) == (
        "refused",
        "urn:millrace:problem:alias_taken",
    )


def test_what_was_banned_meanwhile_is_carried_out_and_held_to_its_ban(stack: Stack) -> None:
    deferred(stack, alias="prize")
    stack.faults.fail(
        "dynamodb",
        "PutItem",
        "InternalServerError",
        status=500,
        times=-1,
        function="ShortenerExecute",
    )
    impose(stack, {"kind": "owner", "value": "alice", "reason": "spam"})
    # Both passes over the links, to which this one does not belong yet.
    stack.drain()
    assert stack.messages("ShortenerEnforcement") == []
    stack.faults.clear()
    [redriven] = stack.messages("ShortenerCommandsDlq")
    stack.invoke("ShortenerExecute", order(json.loads(redriven)))
    stack.drain()
    assert link(stack, "prize")["standing"] == "banned"


def test_nobody_else_sees_what_became_of_it_nor_does_a_forged_id(stack: Stack) -> None:
    accepted = deferred(stack)
    assert status(stack, accepted, user="mallory").status == 404
    assert stack.request("GET", "/v1/commands/root.forged", user="alice").status == 404


def test_what_is_wrong_is_refused_at_once_even_then(stack: Stack) -> None:
    with store_down(stack):
        assert create(stack, long_url="javascript:alert(1)").status == 422
    assert stack.messages("ShortenerCommands") == []


def test_without_the_queue_too_nothing_is_promised(stack: Stack) -> None:
    stack.faults.fail("sqs", "SendMessage", "InternalError", status=500, times=-1)
    with store_down(stack):
        stack.faults.fail("sqs", "SendMessage", "InternalError", status=500, times=-1)
        assert create(stack).status == 503


def test_a_password_waits_as_a_hash(stack: Stack) -> None:
    with store_down(stack):
        create(stack, password="open sesame")
    [message] = stack.messages("ShortenerCommands")
    assert json.loads(message)["terms"]["password"].startswith("$argon2id$")
    assert "sesame" not in message
