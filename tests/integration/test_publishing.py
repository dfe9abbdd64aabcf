"""What becomes of links is told on the topic as contracts/shortener has it: at least once, whatever
fails in between."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import jsonschema
import pytest

from functions.kernel.publisher import PUBLISHED
from functions.shortener.decider import GRACE_MS
from functions.shortener.publishing import TYPES
from tests.support.faults import Crash
from tests.support.handlers import ROOT
from tests.support.pump import Stack

OWNER = "alice"
ANY = {"if-match": "*"}
STREAM = "link#default#spring"
FOLDER = ROOT / "contracts" / "shortener"


def ask(stack: Stack, method: str, path: str = "/spring", **rest: Any) -> Any:
    answer = stack.request(method, f"/v1/links{path}", user=OWNER, headers=ANY, **rest)
    assert answer.status < 300, answer.text
    return answer


def create(stack: Stack, **terms: Any) -> None:
    ask(
        stack, "POST", "", json={"long_url": "https://example.com/sale", "alias": "spring", **terms}
    )


def edit(stack: Stack, *titles: str) -> None:
    for title in titles:
        ask(stack, "PATCH", json={"title": title})


@pytest.fixture
def heard(stack: Stack) -> Stack:
    """A stack with somebody who hears what the shortener tells."""
    stack.subscribe("DomainEvents", "Ear", {"capability": ["shortener"], "type": list(TYPES)})
    return stack


def told(stack: Stack) -> list[dict[str, Any]]:
    """Every envelope that was published, in the order of arrival."""
    return [json.loads(body) for body in stack.messages("Ear")]


def versions(stack: Stack) -> list[int]:
    return [each["version"] for each in told(stack)]


def row(stack: Stack) -> int:
    table = stack.functions["ShortenerPublish"].env["VIEWS_TABLE"]
    key = {"pk": {"S": PUBLISHED.prefix + STREAM}}
    item = stack.client("dynamodb").get_item(TableName=table, Key=key).get("Item")
    return int(item["v"]["N"]) if item else 0


def life(stack: Stack) -> None:
    """A link from its creation to its purge."""
    create(stack, title="Spring sale", tags=["sale"], password="open sesame")
    stack.advance(60)
    ask(stack, "PATCH", json={"fallback_url": "https://example.com/", "max_clicks": 1000})
    stack.advance(60)
    ask(stack, "POST", "/spring/transfer", json={"owner": "bob"})
    stack.advance(60)
    gone = stack.request("DELETE", "/v1/links/spring", user="bob", headers=ANY)
    assert gone.status == 204
    stack.drain()
    stack.advance(GRACE_MS / 1000)
    stack.tick("ShortenerTimers")
    stack.drain()


def test_a_life_is_told_as_the_contracts_have_it(heard: Stack) -> None:
    life(heard)
    envelopes = told(heard)
    assert [each["type"] for each in envelopes] == [
        "LinkCreated",
        "LinkChanged",
        "LinkTransferred",
        "LinkDeleted",
        "LinkDeleted",
    ]
    for each in envelopes:
        contract = json.loads((FOLDER / f"{each['type']}.v1.json").read_text())
        jsonschema.validate(each, contract)
    assert [each["version"] for each in envelopes] == [1, 3, 4, 5, 6]
    assert envelopes[-1]["data"]["state"] == "purged"
    assert not {"owner", "long_url", "title", "tags"} & envelopes[-1]["data"].keys()


def test_the_samples_are_what_is_published(heard: Stack, pytestconfig: pytest.Config) -> None:
    life(heard)
    for each in reversed(told(heard)):
        path = FOLDER / f"{each['type']}.v1.sample.json"
        if each["data"]["state"] != "purged":
            assert json.loads(path.read_text()) == each


def test_no_envelope_holds_a_password_or_its_hash(heard: Stack) -> None:
    life(heard)
    assert not [body for body in heard.messages("Ear") if "argon2" in body or "sesame" in body]
    assert [each["data"]["protected"] for each in told(heard)] == [True] * 4 + [False]


def test_a_first_commit_is_told_without_a_read_and_noted(heard: Stack) -> None:
    create(heard)
    records = heard.stream_records()
    with heard.meter.operation("publish") as bill:
        heard.deliver("ShortenerPublish", records)
    assert bill.by_operation == {"sns:PublishBatch": 1, "dynamodb:PutItem": 1}
    assert (versions(heard), row(heard)) == ([1], 1)


def test_what_is_of_no_public_kind_costs_nothing(heard: Stack) -> None:
    create(heard)
    heard.drain()
    heard.request("POST", "/v1/reports", json={"code": "spring", "reason": "spam"})
    records = heard.stream_records()
    assert records
    with heard.meter.operation("publish") as bill:
        heard.deliver("ShortenerPublish", records)
    assert not bill.by_operation


def test_what_records_were_lost_of_is_told_with_the_next_in_order(heard: Stack) -> None:
    create(heard)
    edit(heard, "a", "b")
    heard.stream_records()
    edit(heard, "c")
    heard.drain()
    assert (versions(heard), row(heard)) == ([1, 2, 3, 4], 4)
    titles = [each["data"].get("title") for each in told(heard)]
    assert titles == [None, "a", "b", "c"]


def test_a_lost_last_record_is_told_by_the_sweep(heard: Stack) -> None:
    create(heard)
    edit(heard, "a")
    heard.stream_records()
    heard.tick("ShortenerSweep")
    assert (versions(heard), row(heard)) == ([1, 2], 2)
    with heard.meter.operation("sweep again") as bill:
        heard.tick("ShortenerSweep")
    assert versions(heard) == [1, 2]
    assert bill.by_operation["dynamodb:Scan"] == 1


def test_dying_between_the_two_tells_twice_with_one_id(heard: Stack) -> None:
    create(heard)
    heard.faults.crash_before("dynamodb", "PutItem", function="ShortenerPublish")
    heard.drain()
    assert versions(heard) == [1, 1]
    assert len({each["id"] for each in told(heard)}) == 1
    assert row(heard) == 1


@pytest.mark.parametrize("edits", [1, 4, 25])
def test_an_entry_that_failed_is_told_again(heard: Stack, edits: int) -> None:
    create(heard)
    edit(heard, *map(str, range(edits)))
    failing = heard.faults.partial("PublishBatch")
    heard.drain()
    assert failing.fired == 1
    assert set(versions(heard)) == set(range(1, edits + 2))
    assert row(heard) == edits + 1


def test_a_batch_is_not_noted_before_all_of_it_was_taken(heard: Stack) -> None:
    create(heard)
    edit(heard, "a", "b")
    records = heard.stream_records()
    heard.faults.partial("PublishBatch")
    heard.deliver("ShortenerPublish", records)
    assert row(heard) == 0
    assert heard.messages("ShortenerPublishRetry") == ['{"stream": "link#default#spring"}']


def test_a_topic_that_stays_down_sets_the_stream_aside_and_the_list_goes_on(heard: Stack) -> None:
    create(heard)
    heard.faults.fail("sns", "PublishBatch", "InternalError", status=500, times=-1)
    heard.drain()
    [aside] = [
        item["d"]["S"]
        for item in heard.client("dynamodb").scan(
            TableName=heard.functions["ShortenerPublish"].env["VIEWS_TABLE"]
        )["Items"]
        if item["pk"]["S"].startswith("quarantine#")
    ]
    assert json.loads(aside)["view"] == "published"
    assert heard.request("GET", "/v1/links", user=OWNER).json()["items"]
    assert not heard.messages("ShortenerPublishRetryDlq")


def test_an_old_record_moves_nothing_back(heard: Stack) -> None:
    create(heard)
    edit(heard, "a", "b")
    records = heard.stream_records()
    heard.deliver("ShortenerPublish", records)
    for record in records:
        heard.deliver("ShortenerPublish", [record])
    assert row(heard) == 3
    newest = max(told(heard), key=lambda each: (each["time"], each["version"]))
    assert newest["data"]["title"] == "b"


def test_nothing_is_deleted_before_it_was_told(heard: Stack) -> None:
    create(heard)
    edit(heard, "a", "b")
    ask(heard, "DELETE")
    # Only the view hears of it.
    heard.deliver("ShortenerProject", heard.stream_records())
    heard.advance(GRACE_MS / 1000)
    heard.tick("ShortenerTimers")
    heard.faults.fail("sns", "PublishBatch", "InternalError", status=500, times=3)
    with suppress(Crash):
        heard.drain()
    assert versions(heard) == [1, 2, 3, 4, 5]
    events = heard.functions["ShortenerPublish"].env["EVENTS_TABLE"]
    left = [int(i["sk"]["N"]) for i in heard.client("dynamodb").scan(TableName=events)["Items"]]
    assert sorted(left) == [0, 4]
