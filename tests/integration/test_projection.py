"""The list is a function of the store: records may come twice, shuffled or never."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import pytest

from functions.edge.projection import Projection, Settings
from functions.edge.settings import settings
from functions.kernel.dynamo import DynamoStore
from functions.kernel.store import load
from functions.shortener.decider import DECIDER, Link
from functions.shortener.projecting import projection
from tests.support.faults import Crash, Fault
from tests.support.pump import Stack

OWNER = "alice"


def ask(stack: Stack, method: str, path: str, **rest: Any) -> Any:
    return stack.request(method, f"/v1/links{path}", user=OWNER, **rest)


def tumultuous_life(stack: Stack, chance: random.Random, links: int = 25) -> None:
    """Creates links, and edits and deletes them in a random order."""
    codes = [
        ask(stack, "POST", "", json={"long_url": f"https://example.com/{n}"}).json()["code"]
        for n in range(links)
    ]
    for _ in range(links * 3):
        stack.advance(1)
        headers = {"if-match": "*"}
        path = f"/{chance.choice(codes)}"
        if chance.random() < 0.1:
            ask(stack, "DELETE", path, headers=headers)
        else:
            body = {"long_url": f"https://example.com/{chance.random()}"}
            ask(stack, "PATCH", path, headers=headers, json=body)


def listed(stack: Stack) -> list[tuple[str, int, str]]:
    """What the API lists, all pages: code, version and target."""
    found, query = [], {"limit": "10"}
    while True:
        page = ask(stack, "GET", "", query=query).json()
        found += [(item["code"], item["version"], item["long_url"]) for item in page["items"]]
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]


def folded(stack: Stack) -> list[tuple[str, int, str]]:
    """The same from the store's streams, folded."""
    client = stack.client("dynamodb")
    table = stack.functions["ShortenerRead"].env["EVENTS_TABLE"]
    names = {item["pk"]["S"] for item in client.scan(TableName=table)["Items"]}
    streams = [load(DynamoStore(client, table), DECIDER, name) for name in names]
    links = [(s.state, s.version) for s in streams if s.state and not s.state.deleted]

    def newest(pair: tuple[Link, int]) -> tuple[int, str]:
        return pair[0].created_at, pair[0].code

    ordered = sorted(links, key=newest, reverse=True)
    return [(link.code, version, link.long_url) for link, version in ordered]


@pytest.mark.parametrize("seed", range(5))
def test_records_twice_shuffled_and_lost_then_one_sweep_give_the_fold(
    stack: Stack, seed: int
) -> None:
    chance = random.Random(seed)
    tumultuous_life(stack, chance)
    records = stack.stream_records()
    arriving = [record for record in records if chance.random() >= 0.2]
    arriving += [record for record in arriving if chance.random() < 0.5]
    chance.shuffle(arriving)
    arriving = [r for r in arriving if r["dynamodb"]["Keys"] != records[-1]["dynamodb"]["Keys"]]
    stack.deliver("ShortenerProject", arriving)
    assert listed(stack) != folded(stack)
    stack.tick("ShortenerSweep")
    assert listed(stack) == folded(stack)


def test_a_late_record_of_an_earlier_state_does_not_bring_a_deleted_link_back(stack: Stack) -> None:
    code = ask(stack, "POST", "", json={"long_url": "https://example.com/"}).json()["code"]
    ask(stack, "DELETE", f"/{code}", headers={"if-match": "*"})
    created, deleted = stack.stream_records()
    stack.deliver("ShortenerProject", [deleted])
    stack.deliver("ShortenerProject", [created])
    assert listed(stack) == []


def test_a_stream_that_fails_is_retried_from_the_queue_and_the_others_go_on(stack: Stack) -> None:
    for number in range(3):
        ask(stack, "POST", "", json={"long_url": f"https://example.com/{number}"})
    # The SDK tries three times before the projector gives this stream to its queue.
    stack.faults.fail(
        "dynamodb",
        "PutItem",
        "InternalServerError",
        status=500,
        times=3,
        function="ShortenerProject",
    )
    records = stack.stream_records()
    stack.deliver("ShortenerProject", records)
    assert len(listed(stack)) == 2
    assert len(stack.messages("ShortenerRetry")) == 1
    stack.drain()
    assert listed(stack) == folded(stack)
    assert stack.messages("ShortenerRetry") == []


def views_down(stack: Stack, operation: str = "PutItem") -> Fault:
    """The view table refuses an operation from now on."""
    return stack.faults.fail(
        "dynamodb",
        operation,
        "InternalServerError",
        status=500,
        times=-1,
        resource="ShortenerViews",
    )


def projector_of(stack: Stack) -> Projection:
    """The projector as an operator's tool has it."""
    env = stack.functions["ShortenerSweep"].env
    return projection(stack.runtime("ShortenerSweep"), settings(Settings, env))


def test_a_stream_that_never_works_is_set_aside_until_somebody_releases_it(stack: Stack) -> None:
    ask(stack, "POST", "", json={"long_url": "https://example.com/"})
    views_down(stack)
    stack.drain()
    wired = projector_of(stack)
    [aside] = wired.quarantine.all()
    # Once by the projector and once by the publisher, in either order.
    assert aside.view in {"links", "published"}
    assert (aside.error, aside.failures) == ("InternalServerError", 2)
    assert [stack.messages(name) for name in ("ShortenerRetry", "ShortenerRetryDlq")] == [[], []]
    stack.faults.clear()
    stack.tick("ShortenerSweep")
    assert listed(stack) == []
    wired.projector.renewed().ring(aside.stream)
    wired.quarantine.release(aside.stream)
    assert listed(stack) == folded(stack)
    assert wired.quarantine.all() == []


def test_what_cannot_even_be_set_aside_ends_in_the_dead_letter_queue(stack: Stack) -> None:
    ask(stack, "POST", "", json={"long_url": "https://example.com/"})
    views_down(stack)
    views_down(stack, "UpdateItem")
    stack.drain()
    assert len(stack.messages("ShortenerRetryDlq")) == 1
    stack.faults.clear()
    stack.tick("ShortenerSweep")
    assert listed(stack) == folded(stack)


def test_a_queue_that_refuses_fails_the_batch_so_that_lambda_retries_it(stack: Stack) -> None:
    ask(stack, "POST", "", json={"long_url": "https://example.com/"})
    for _ in range(2):
        stack.faults.fail(
            "dynamodb",
            "PutItem",
            "InternalServerError",
            status=500,
            times=3,
            resource="ShortenerViews",
        )
    stack.faults.fail("sqs", "SendMessageBatch", "InternalError", status=500, times=3)
    stack.drain()
    assert len(stack.failures) == 1
    assert listed(stack) == folded(stack)


def test_a_sweep_that_dies_is_taken_up_where_it_stopped(stack: Stack) -> None:
    tumultuous_life(stack, random.Random(1), links=10)
    stack.stream_records()
    stack.faults.crash_after("dynamodb", "PutItem", skip=4, function="ShortenerSweep")
    stack.faults.crash_before("dynamodb", "Scan", skip=1, function="ShortenerSweep")
    for _ in range(3):
        with suppress(Crash):
            stack.tick("ShortenerSweep")
    stack.tick("ShortenerSweep")
    assert listed(stack) == folded(stack)


def test_what_a_sweep_failed_with_outlives_a_later_slice_that_dies(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("functions.kernel.sweep.SLICE", 1)
    for number in range(2):
        ask(stack, "POST", "", json={"long_url": f"https://example.com/{number}"})
    stack.stream_records()
    # The SDK tries three times before the sweep gives this stream to the queue.
    stack.faults.fail(
        "dynamodb", "PutItem", "InternalServerError", status=500, times=3, function="ShortenerSweep"
    )
    # Lambda tries three times, too, before it leaves the second slice to the next day's run.
    stack.faults.crash_before("dynamodb", "Scan", skip=1, times=3, function="ShortenerSweep")
    stack.tick("ShortenerSweep")
    stack.drain()
    assert len(listed(stack)) == 1
    stack.tick("ShortenerSweep")
    assert listed(stack) == folded(stack)


def test_a_commit_that_somebody_changed_is_counted(stack: Stack) -> None:
    ask(stack, "POST", "", json={"long_url": "https://example.com/"})
    [record] = stack.stream_records()
    stack.deliver("ShortenerProject", [{**record, "eventName": "MODIFY"}])
    assert stack.logs[-1]["modified_commits"] == 1
