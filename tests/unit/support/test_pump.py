from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.clock import START
from tests.support.delivery import NotQuiet
from tests.support.faults import Crash
from tests.support.pump import Stack

EVENTS, VIEWS = "millrace-NoteEvents", "millrace-NoteViews"


def _write(stack: Stack, *notes: str, text: str = "x") -> None:
    for note in notes:
        body = {"id": note, "text": text}
        assert stack.request("POST", "/v1/notes", user="alice", json=body).status == 201


def _rows(stack: Stack) -> set[str]:
    items = stack.client("dynamodb").scan(TableName=VIEWS)["Items"]
    return {item["pk"]["S"] for item in items}


def _send(stack: Stack, body: str, delay: int = 0) -> None:
    url = stack.functions["NoteProject"].env["RETRY_QUEUE_URL"]
    stack.client("sqs").send_message(QueueUrl=url, MessageBody=body, DelaySeconds=delay)


def _invocations(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> list[list[Any]]:
    """The batches that the projector was given, as they come."""
    batches: list[list[Any]] = []
    invoke = stack.invoke

    def noting(function: str, event: Any) -> Any:
        batches.append([record["eventName"] for record in event["Records"]])
        return invoke(function, event)

    monkeypatch.setattr(stack, "invoke", noting)
    return batches


def test_a_request_reaches_its_function_and_its_log(stack: Stack) -> None:
    _write(stack, "a")
    assert stack.logs == [{"note": "a", "at": START}]
    again = stack.request("POST", "/v1/notes", user="alice", json={"id": "a", "text": "x"})
    assert again.status == 409


def test_containers_are_kept_until_they_crash_or_the_stack_starts_cold(stack: Stack) -> None:
    def container() -> str:
        note = {"id": "a", "text": "x"}
        return stack.request("POST", "/v1/notes", user="alice", json=note).headers["container"]

    seen = [container(), container()]
    stack.cold_start()
    seen.append(container())
    stack.faults.crash_before("*", "*")
    with pytest.raises(Crash):
        container()
    seen.append(container())
    assert seen[0] == seen[1]
    assert len(set(seen)) == 3


def test_records_flow_in_the_mappings_batches(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(stack, *"abcdef")
    batches = _invocations(stack, monkeypatch)
    stack.drain()
    assert _rows(stack) == set("abcdef")
    assert batches == [["INSERT"] * 4, ["INSERT"] * 2]
    stack.drain()
    assert len(batches) == 2


def test_a_record_looks_as_lambda_shows_it(stack: Stack) -> None:
    stack.advance(1.5)
    stack.client("dynamodb").put_item(
        TableName=EVENTS,
        Item={"pk": {"S": "a"}, "sk": {"N": "0"}, "b": {"B": b"\xff"}},
    )
    [record] = stack.stream_records()
    assert record["eventSource"] == "aws:dynamodb"
    assert "table/millrace-NoteEvents/stream/" in record["eventSourceARN"]
    assert record["dynamodb"]["Keys"] == {"pk": {"S": "a"}, "sk": {"N": "0"}}
    assert record["dynamodb"]["NewImage"]["b"] == {"B": "/w=="}
    assert record["dynamodb"]["ApproximateCreationDateTime"] == pytest.approx(
        START / 1000 + 1.5, abs=1
    )
    assert json.loads(json.dumps(record)) == record


def test_the_filter_drops_removals(stack: Stack) -> None:
    _write(stack, "a", text="poison")
    stack.client("dynamodb").delete_item(TableName=EVENTS, Key={"pk": {"S": "a"}, "sk": {"N": "0"}})
    records = stack.stream_records()
    assert [record["eventName"] for record in records] == ["INSERT", "REMOVE"]
    stack.deliver("NoteProject", records[1:])
    assert stack.failures == []


def test_taken_records_can_be_dropped_shuffled_and_doubled(stack: Stack) -> None:
    _write(stack, *"abc")
    a, b, c = stack.stream_records()
    stack.drain()
    assert _rows(stack) == set()
    stack.deliver("NoteProject", [c, a, a])
    assert _rows(stack) == {"a", "c"}
    assert stack.stream_records() == []
    assert b["dynamodb"]["NewImage"]["pk"] == {"S": "b"}


def test_an_update_that_makes_an_item_is_one_insert_and_one_that_changes_nothing_is_none(
    stack: Stack,
) -> None:
    dynamodb = stack.client("dynamodb")
    for _ in range(2):
        dynamodb.update_item(
            TableName=EVENTS,
            Key={"pk": {"S": "a"}, "sk": {"N": "0"}},
            UpdateExpression="SET #t = :t",
            ExpressionAttributeNames={"#t": "text"},
            ExpressionAttributeValues={":t": {"S": "x"}},
        )
    [record] = stack.stream_records()
    assert record["eventName"] == "INSERT"
    assert record["dynamodb"]["NewImage"]["text"] == {"S": "x"}


def test_a_cancelled_transaction_does_not_cut_the_stream_off(stack: Stack) -> None:
    _write(stack, "a")
    assert len(stack.stream_records()) == 1
    dynamodb = stack.client("dynamodb")
    put = {
        "TableName": EVENTS,
        "Item": {"pk": {"S": "a"}, "sk": {"N": "0"}},
        "ConditionExpression": "attribute_not_exists(pk)",
    }
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException):
        dynamodb.transact_write_items(TransactItems=[{"Put": put}])
    _write(stack, "b")
    assert [record["dynamodb"]["Keys"]["pk"]["S"] for record in stack.stream_records()] == ["b"]


def test_a_poisoned_batch_is_halved_retried_and_given_up(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(stack, "a")
    _write(stack, "b", text="poison")
    _write(stack, "c", "d")
    batches = _invocations(stack, monkeypatch)
    stack.drain()
    assert _rows(stack) == set("acd")
    # All four, then a b, then a, then b three times (two retries), then c d.
    assert [len(batch) for batch in batches] == [4, 2, 1, 1, 1, 1, 2]
    assert [name for name, _ in stack.failures] == ["NoteProject"] * 5
    [given_up] = map(json.loads, stack.messages("NoteUndelivered"))
    info = given_up["DDBStreamBatchInfo"]
    assert info["batchSize"] == 1
    assert info["startSequenceNumber"] == info["endSequenceNumber"]


def test_a_stream_handlers_partial_failures_are_not_heard(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(stack, "a")
    failures = {"batchItemFailures": [{"itemIdentifier": "whatever"}]}
    calls: list[str] = []

    def invoke(function: str, event: Any) -> Any:
        calls.append(function)
        return failures

    monkeypatch.setattr(stack, "invoke", invoke)
    stack.drain()
    assert calls == ["NoteProject"]


def test_a_crash_in_a_batch_is_retried(stack: Stack) -> None:
    _write(stack, "a")
    stack.faults.crash_after("dynamodb", "PutItem", function="NoteProject")
    stack.drain()
    assert _rows(stack) == {"a"}
    assert [type(failure) for _, failure in stack.failures] == [Crash]


def test_retries_without_end_hit_the_bound(stack: Stack) -> None:
    _write(stack, "a")
    stack.faults.crash_before("dynamodb", "PutItem", times=10_000)
    records = stack.stream_records()
    stack.deliver("NoteProject", records)
    source = stack.functions["NoteProject"].streams[0]
    object.__setattr__(source, "retries", -1)
    with pytest.raises(NotQuiet, match="before dynamodb:PutItem"):
        stack.deliver("NoteProject", records, steps=20)


def test_a_reported_message_comes_back_until_it_is_dead(stack: Stack) -> None:
    _send(stack, "good")
    _send(stack, "poison")
    stack.drain(wait=False)
    assert stack.messages("NoteRetry") == ["poison"]
    stack.drain(wait=False)
    assert stack.messages("NoteRetry") == ["poison"]
    stack.advance(61)
    stack.drain(wait=False)
    assert stack.messages("NoteRetryDlq") == []
    stack.drain()
    assert (stack.messages("NoteRetry"), stack.messages("NoteRetryDlq")) == ([], ["poison"])
    # Three receives of 60 s of invisibility each.
    assert START + 180_000 <= stack.clock.now() <= START + 182_000


def test_a_queue_handler_that_raises_keeps_its_whole_batch(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(function: str, event: Any) -> Any:
        raise RuntimeError("no")

    monkeypatch.setattr(stack, "invoke", raising)
    _send(stack, "one")
    _send(stack, "two")
    stack.drain(wait=False)
    assert sorted(stack.messages("NoteRetry")) == ["one", "two"]


@pytest.mark.parametrize(
    ("result", "left"),
    [
        (None, []),
        ({"batchItemFailures": []}, []),
        ({"batchItemFailures": [{"itemIdentifier": "unknown"}]}, ["one"]),
        ({"batchItemFailures": [{"itemIdentifier": ""}]}, ["one"]),
        ({"batchItemFailures": [{"wrong": "name"}]}, ["one"]),
    ],
)
def test_a_malformed_report_fails_the_batch(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, result: Any, left: list[str]
) -> None:
    monkeypatch.setattr(stack, "invoke", lambda function, event: result)
    _send(stack, "one")
    stack.drain(wait=False)
    assert stack.messages("NoteRetry") == left


def test_a_delayed_message_waits_for_its_time(stack: Stack) -> None:
    _send(stack, "later", delay=30)
    stack.drain(wait=False)
    assert stack.messages("NoteRetry") == ["later"]
    stack.drain()
    assert stack.messages("NoteRetry") == []
    assert stack.clock.now() == START + 30_000


def test_a_schedule_fires_with_retries_and_a_destination(stack: Stack) -> None:
    assert stack.tick("NoteSweep") == "2026-11-01T00:00:00Z"
    stack.faults.crash_before("sqs", "ListQueues")
    stack.advance(3600)
    assert stack.tick("NoteSweep") == "2026-11-01T01:00:00Z"
    stack.faults.crash_before("sqs", "ListQueues", times=2)
    assert stack.tick("NoteSweep") is None
    [given_up] = map(json.loads, stack.messages("NoteUndelivered"))
    assert given_up["requestPayload"]["source"] == "aws.events"


def test_a_reset_leaves_nothing_and_repeats_itself(stack: Stack) -> None:
    first = stack.runtime("NoteWrite").entropy(8)
    _write(stack, "a", "b")
    stack.faults.crash_before("*", "*")
    stack.advance(5)
    stack.reset()
    assert (stack.clock.now(), stack.logs, stack.meter.calls) == (START, [], [])
    assert stack.runtime("NoteWrite").entropy(8) == first
    _write(stack, "a")
    stack.drain()
    assert _rows(stack) == {"a"}


def test_a_handlers_sleep_moves_the_clock(stack: Stack) -> None:
    stack.runtime("NoteWrite").sleep(0.25)
    assert stack.clock.now() == START + 250


def test_the_real_template_deploys() -> None:
    from tests.conftest import HERE

    with Stack([HERE.parent / "template.yaml"]) as stack:
        assert stack.functions["ShortenerProject"].streams[0].bisect
        assert stack.request("POST", "/v1/links").status == 401
