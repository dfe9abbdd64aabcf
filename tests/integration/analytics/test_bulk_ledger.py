"""Sites of the bulk ledger: from a request to rows, to compaction, to the end of retention."""

from __future__ import annotations

import json

import pytest

from tests.integration.analytics.bulk import (
    DAY_S,
    compact,
    gather,
    make_bulk,
    objects,
    pages,
)
from tests.integration.analytics.counting import items, rows
from tests.integration.analytics.sites import ANY, ask, change, make
from tests.integration.analytics.tracking import facts, send
from tests.support.pump import Stack


def events(stack: Stack) -> int:
    """All events of the one site there is."""
    [(cells, _)] = [row for (rollup, *_), row in rows(stack).items() if rollup == "all"]
    return sum(cell[0] for cell in cells.values())


def test_events_are_in_rows_before_and_after_compaction(stack: Stack) -> None:
    site = make_bulk(stack)
    gather(stack, site, requests=4, events=25)
    assert events(stack) == 100
    assert [key.split("/")[:2] for key in objects(stack)] == [["raw", site]]
    assert facts(stack) == [], "the exact ledger has none of it"
    before = rows(stack)

    compact(stack)

    assert rows(stack) == before
    assert [key.split("/")[:2] for key in objects(stack)] == [["compact", site]]
    assert stack.failures == []


def test_what_was_sent_twice_counts_once_after_compaction(stack: Stack) -> None:
    site = make_bulk(stack)
    gather(stack, site, requests=1, events=20)
    gather(stack, site, requests=1, events=30)
    assert events(stack) == 50
    compact(stack)
    assert events(stack) == 30


def test_late_events_are_compacted_with_the_others(stack: Stack) -> None:
    site = make_bulk(stack)
    gather(stack, site, requests=1, events=20)
    at = stack.clock.now()
    compact(stack)
    late = [{**event, "timestamp": at} for event in pages(8, 15)]
    send(stack, site, *late)
    stack.drain()
    assert events(stack) == 28
    compact(stack)
    assert events(stack) == 23
    assert len(objects(stack)) == 1


def test_a_message_that_cannot_be_read_is_reported_alone(stack: Stack) -> None:
    site = make_bulk(stack)
    send(stack, site, *pages(3))
    url = stack.functions["AnalyticsTrack"].env["BULK_QUEUE_URL"]
    stack.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps({"site": site}))
    stack.drain()
    assert events(stack) == 3
    assert len(stack.messages("AnalyticsTrackedBulkDlq")) == 1


@pytest.mark.parametrize(
    ("service", "operation"),
    [("s3", "PutObject"), ("dynamodb", "UpdateItem"), ("dynamodb", "PutItem")],
)
def test_messages_that_could_not_be_kept_come_again(
    stack: Stack, service: str, operation: str
) -> None:
    site = make_bulk(stack)
    send(stack, site, *pages(5))
    refusing = stack.faults.fail(
        service, operation, "InternalError", status=500, times=3, function="AnalyticsGather"
    )
    stack.drain()
    assert refusing.fired == 3
    assert events(stack) == 5
    compact(stack)
    assert events(stack) == 5


def test_a_compaction_that_dies_is_done_again(stack: Stack) -> None:
    site = make_bulk(stack)
    gather(stack, site, requests=1, events=20)
    gather(stack, site, requests=1, events=25)
    stack.faults.crash_after("s3", "PutObject", function="AnalyticsCompact")
    stack.faults.crash_before("s3", "DeleteObjects", function="AnalyticsCompact")
    compact(stack)
    assert len(stack.failures) == 2
    assert events(stack) == 25
    assert len(objects(stack)) == 1


def test_days_go_when_their_sites_retention_is_over(stack: Stack) -> None:
    kept, short, raw = (make_bulk(stack, retention_days=days) for days in (30, 2, 2))
    for site in (kept, short):
        gather(stack, site, requests=1, events=2)
    compact(stack)
    gather(stack, raw, requests=1, events=2)

    def left(days: int) -> set[str]:
        stack.advance(days * DAY_S)
        stack.invoke("AnalyticsCompact", {"for": "retention"})
        stack.drain()
        return {key.split("/")[1] for key in objects(stack)}

    assert left(2) == {kept, short, raw}
    assert left(1) == {kept}
    assert left(29) == set()


def test_a_shorter_retention_binds_what_is_kept_already(stack: Stack) -> None:
    site = make_bulk(stack, retention_days=30)
    gather(stack, site, requests=1, events=2)
    compact(stack)
    change(stack, site, json={"retention_days": 1})
    stack.advance(3 * DAY_S)
    stack.invoke("AnalyticsCompact", {"for": "retention"})
    stack.drain()
    assert objects(stack) == []


def test_a_deleted_sites_facts_go(stack: Stack) -> None:
    site = make_bulk(stack)
    gather(stack, site, requests=1, events=2)
    compact(stack)
    ask(stack, "DELETE", f"/{site}", 204, headers=ANY)
    stack.advance(120)
    stack.invoke("AnalyticsCompact", {"for": "retention"})
    stack.drain()
    assert objects(stack) == []


def test_a_thousand_events_in_ten_messages_are_one_object(stack: Stack) -> None:
    site = make_bulk(stack)
    gather(stack, site, 1, 1)  # Containers are warm, and know the site.
    for request in range(10):
        send(stack, site, *pages(100, 100 * request))
    with stack.meter.operation("gather") as gathered:
        stack.drain()
    calls = [call for call in gathered.calls if call.function == "AnalyticsGather"]
    written = [call.name for call in calls]
    assert written.count("s3:PutObject") == 1
    size = sum(len(item["b"]["B"]) for item in items(stack, "minute#") if "seen" in item)
    segments = sum(call.wcu for call in calls if call.operation == "UpdateItem")
    assert segments <= size / 1024 + 2
    assert sum(call.wcu for call in calls) - segments == 2, "the two marks"


def test_exact_sites_never_come_here(stack: Stack) -> None:
    site = make(stack)
    gather(stack, site, 1, 3)
    assert len(facts(stack)) == 3
    assert objects(stack) == []
    assert not stack.meter.touched("AnalyticsGather")
