"""What time does to links: they expire, are purged, and their codes become free."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from functions.edge.validation import to_text
from functions.kernel.timers import FULL_MS, RECENT_MS
from functions.shortener.decider import DAY_MS, GRACE_MS, TOMBSTONE_MS
from tests.support.faults import Crash
from tests.support.http_api import Response
from tests.support.pump import Stack

URL = "https://example.com/page"
STREAM = "link#default#sale"
LIFE_MS = 60_000


def create(stack: Stack, user: str = "alice", **body: Any) -> Response:
    expires_at = to_text(stack.clock.now() + LIFE_MS)
    body = {"long_url": URL, "alias": "sale", "expires_at": expires_at, **body}
    answer = stack.request("POST", "/v1/links", user=user, json=body)
    stack.drain()
    return answer


def edit(stack: Stack, **body: Any) -> None:
    answer = stack.request(
        "PATCH", "/v1/links/sale", user="alice", json=body, headers={"if-match": "*"}
    )
    assert answer.status == 200, answer.text
    stack.drain()


def delete(stack: Stack) -> None:
    stack.request("DELETE", "/v1/links/sale", user="alice", headers={"if-match": "*"})
    stack.drain()


def pass_time(stack: Stack, millis: int) -> None:
    """Lets time pass, and the timers run once at its end."""
    stack.advance(millis / 1000)
    stack.tick("ShortenerTimers")
    stack.drain()


def events(stack: Stack) -> list[str]:
    """The types of the events in the link's commits, oldest first."""
    table = stack.functions["ShortenerCreate"].env["EVENTS_TABLE"]
    items = stack.client("dynamodb").query(
        TableName=table,
        KeyConditionExpression="pk = :stream",
        ExpressionAttributeValues={":stream": {"S": STREAM}},
    )["Items"]

    return [kind for item in items for kind, _, _ in json.loads(item["e"]["S"])]


def listed(stack: Stack, user: str = "alice") -> list[str]:
    answer = stack.request("GET", "/v1/links", user=user)
    return [item["code"] for item in answer.json()["items"]]


def test_an_expiry_is_told_of_once_and_not_before_its_time(stack: Stack) -> None:
    create(stack)
    pass_time(stack, LIFE_MS - 1)
    assert events(stack) == ["LinkCreated"]
    pass_time(stack, 1)
    pass_time(stack, 60_000)
    assert events(stack) == ["LinkCreated", "LinkExpired"]


def test_an_expiry_that_was_moved_is_told_of_at_its_new_time(stack: Stack) -> None:
    create(stack)
    edit(stack, expires_at=to_text(stack.clock.now() + 2 * LIFE_MS))
    pass_time(stack, LIFE_MS)
    assert "LinkExpired" not in events(stack)
    pass_time(stack, LIFE_MS)
    assert events(stack)[-1] == "LinkExpired"


def test_a_link_that_is_over_is_purged_after_its_grace_and_its_owner_may_mend_it_before(
    stack: Stack,
) -> None:
    create(stack)
    pass_time(stack, LIFE_MS)
    pass_time(stack, GRACE_MS - 1)
    assert listed(stack) == ["sale"]
    edit(stack, expires_at=to_text(stack.clock.now() + LIFE_MS))
    pass_time(stack, 1)
    assert events(stack)[-1] == "LinkExpiryChanged"
    pass_time(stack, LIFE_MS)
    pass_time(stack, GRACE_MS)
    assert events(stack) == ["LinkCreated", "LinkPurged"]
    assert listed(stack) == []
    assert stack.request("GET", "/v1/links/sale", user="alice").status == 404
    assert stack.request("GET", "/sale").status == 410


@pytest.mark.parametrize("ended", ["expired", "deleted"])
def test_a_code_stays_taken_while_its_tombstone_stands_and_then_begins_anew(
    stack: Stack, ended: str
) -> None:
    create(stack)
    for number in range(5):
        edit(stack, long_url=f"{URL}/{number}")
    if ended == "deleted":
        delete(stack)
    pass_time(stack, LIFE_MS)
    pass_time(stack, GRACE_MS)
    pass_time(stack, TOMBSTONE_MS - 1)
    assert create(stack, "bob").status == 409
    pass_time(stack, 60_000)
    assert events(stack) == []
    again = create(stack, "bob", long_url="https://example.com/new")
    assert (again.status, again.json()["version"]) == (201, 1)
    assert (listed(stack), listed(stack, "bob")) == ([], ["sale"])
    assert stack.request("GET", "/sale").headers["location"] == "https://example.com/new"


def test_a_container_that_remembers_a_link_learns_that_it_ended(stack: Stack) -> None:
    create(stack)
    assert stack.request("GET", "/sale").status == 302
    delete(stack)
    pass_time(stack, GRACE_MS)
    pass_time(stack, TOMBSTONE_MS)
    assert stack.request("GET", "/sale").status == 404


def test_a_purged_links_clicks_are_forgotten(stack: Stack) -> None:
    create(stack, max_clicks=1)
    stack.request("GET", "/sale", headers={"user-agent": "Mozilla/5.0 (X11; Linux)"})
    counters = stack.functions["ShortenerRedirect"].env["COUNTERS_TABLE"]
    assert stack.client("dynamodb").scan(TableName=counters)["Count"] == 1
    delete(stack)
    pass_time(stack, GRACE_MS)
    assert stack.client("dynamodb").scan(TableName=counters)["Count"] == 0


CALLS = {
    "Query": range(3),
    "PutItem": range(1),
    "DeleteItem": range(4),
    "TransactWriteItems": range(1),
}


@pytest.mark.parametrize(
    ("when", "operation", "skip"),
    [
        ("crash_before", "Query", 0),
        # To die after one call is to die before the next.
        *(("crash_after", name, skip) for name, skips in CALLS.items() for skip in skips),
    ],
)
def test_a_purge_that_dies_between_any_two_calls_shows_no_older_state_and_ends_the_same(
    stack: Stack, when: str, operation: str, skip: int
) -> None:
    create(stack)
    for number in range(3):
        edit(stack, long_url=f"{URL}/{number}")
    delete(stack)
    getattr(stack.faults, when)("dynamodb", operation, skip=skip, function="ShortenerPurge")
    for wait in (GRACE_MS, TOMBSTONE_MS):
        try:
            pass_time(stack, wait)
        except Crash:
            left = events(stack)
            assert not left or (
                left[0] == "LinkCreated" and left[-1] in ("LinkDeleted", "LinkPurged")
            )
            stack.cold_start()
        stack.advance(400)
        stack.drain()
        assert stack.request("GET", "/sale").status in (404, 410)
        assert stack.request("GET", "/v1/links/sale", user="alice").status in (404, 410)
    pass_time(stack, FULL_MS)
    assert events(stack) == []


def test_what_is_not_done_fires_again_and_what_was_missed_within_the_hour(stack: Stack) -> None:
    create(stack)
    stack.tick("ShortenerTimers")
    pass_time(stack, 1000)
    stack.advance((LIFE_MS + RECENT_MS) / 1000)
    stack.tick("ShortenerTimers")
    stack.drain()
    assert events(stack) == ["LinkCreated"]
    pass_time(stack, FULL_MS)
    assert events(stack) == ["LinkCreated", "LinkExpired"]


def test_a_timer_that_cannot_be_handed_over_is_handed_over_by_the_next_run(stack: Stack) -> None:
    create(stack)
    stack.advance(LIFE_MS / 1000)
    stack.faults.fail("sqs", "SendMessageBatch", "InternalError", status=500, times=9)
    stack.tick("ShortenerTimers")
    stack.faults.clear()
    stack.drain()
    assert events(stack) == ["LinkCreated"]
    stack.tick("ShortenerTimers")
    stack.drain()
    assert events(stack)[-1] == "LinkExpired"


def test_an_idle_minute_costs_a_query_per_lane(stack: Stack) -> None:
    stack.tick("ShortenerTimers")
    with stack.meter.operation("timers, idle") as bill:
        stack.tick("ShortenerTimers")
    assert bill.by_operation == Counter({"dynamodb:Query": 4, "dynamodb:GetItem": 1})


def test_a_link_that_stays_is_never_due(stack: Stack) -> None:
    create(stack, expires_at=None)
    pass_time(stack, 10 * 365 * DAY_MS)
    assert events(stack) == ["LinkCreated"]
