from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from functions.edge.consumer import Consumed, consumer
from functions.edge.topic import MAX_BYTES, PublishFailed, Topic
from functions.kernel.envelope import Envelope
from tests.unit.edge.conftest import World

ARN = "arn:aws:sns:us-east-1:123456789012:millrace-DomainEvents"
TOLD = Envelope("a1", "NoteMade", 1, "note#default#1", 1, 1000, "default", {"text": "secret"})


def message(number: int, body: str) -> dict[str, Any]:
    return {
        "messageId": f"m{number}",
        "receiptHandle": f"r{number}",
        "body": body,
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "awsRegion": "us-east-1",
    }


def hear(world: World, *bodies: str) -> tuple[list[Envelope], list[int]]:
    """What reached the type NoteMade, and the places of the messages that failed."""
    heard: list[Envelope] = []
    handler = consumer(world.runtime, "notes", {"NoteMade": Consumed(1, heard.append)})
    records = [message(number, body) for number, body in enumerate(bodies)]
    answer = handler({"Records": records}, SimpleNamespace(aws_request_id="request-1"))
    failed = [int(each["itemIdentifier"][1:]) for each in answer["batchItemFailures"]]
    return heard, failed


def test_an_envelope_reaches_who_handles_its_type_as_it_was_sent(world: World) -> None:
    assert hear(world, TOLD.text()) == ([TOLD], [])
    assert world.lines[-1]["outcome"] == "ok"


def test_unknown_types_and_fields_are_let_pass(world: World) -> None:
    other = TOLD._replace(type="NoteShredded", schema=9)
    newer = json.dumps({**TOLD._asdict(), "colour": "red"})
    assert hear(world, other.text(), newer) == ([TOLD], [])


def test_a_newer_schema_fails_alone(world: World) -> None:
    assert hear(world, TOLD._replace(schema=2).text(), TOLD.text()) == ([TOLD], [0])
    assert world.lines[-1]["failed_domain_events"] == 1


NO_DATA: list[Any] = [[], "secret", 5]
BROKEN = [
    *("", "null", "5", "[]", "{}", '"secret"'),
    *(json.dumps({**TOLD._asdict(), name: None}) for name in ("id", "type", "data", "version")),
    *(json.dumps({**TOLD._asdict(), "version": each}) for each in (0, -1, "1", True, 1.0, 10**9)),
    *(json.dumps({**TOLD._asdict(), "time": each}) for each in (-1, "now", False)),
    *(json.dumps({**TOLD._asdict(), "data": each}) for each in NO_DATA),
    json.dumps({**TOLD._asdict(), "correlation": 5}),
]


@pytest.mark.parametrize("body", BROKEN)
def test_what_is_no_envelope_fails_alone_and_is_not_quoted(world: World, body: str) -> None:
    assert hear(world, TOLD.text(), body) == ([TOLD], [1])
    assert "secret" not in "".join(world.written)


def test_a_handler_that_raises_fails_that_message(world: World) -> None:
    def fails(envelope: Envelope) -> None:
        raise RuntimeError(envelope.data["text"])

    handler = consumer(world.runtime, "notes", {"NoteMade": Consumed(1, fails)})
    event = {"Records": [message(0, TOLD.text())]}
    answer = handler(event, SimpleNamespace(aws_request_id="request-1"))
    assert answer["batchItemFailures"] == [{"itemIdentifier": "m0"}]
    assert "secret" not in "".join(world.written)


class Sns:
    """A topic that takes batches, but for the entries at the places that it `refuses`."""

    def __init__(self, refuses: int | None = None) -> None:
        self.batches: list[list[dict[str, Any]]] = []
        self._refuses = refuses

    def publish_batch(
        self, TopicArn: str, PublishBatchRequestEntries: list[dict[str, Any]]
    ) -> dict[str, Any]:
        assert TopicArn == ARN
        self.batches.append(PublishBatchRequestEntries)
        first = sum(map(len, self.batches[:-1]))
        places = range(first, first + len(PublishBatchRequestEntries))
        failed = [{"Id": "0"}] if self._refuses in places else []
        return {"Successful": [], "Failed": failed}


def publish(world: World, sns: Sns, *envelopes: Envelope) -> None:
    world.clients["sns"] = sns
    Topic(world.runtime, ARN, "notes").publish(envelopes)


def test_batches_hold_ten_and_name_capability_and_type(world: World) -> None:
    sns = Sns()
    publish(world, sns, *[TOLD._replace(version=number + 1) for number in range(23)])
    assert [len(batch) for batch in sns.batches] == [10, 10, 3]
    told = [json.loads(entry["Message"])["version"] for batch in sns.batches for entry in batch]
    assert told == list(range(1, 24))
    assert sns.batches[0][0]["MessageAttributes"] == {
        "capability": {"DataType": "String", "StringValue": "notes"},
        "type": {"DataType": "String", "StringValue": "NoteMade"},
    }


def test_batches_hold_what_sns_takes_at_once(world: World) -> None:
    sns = Sns()
    publish(world, sns, *[TOLD._replace(data={"text": "ü" * 40_000})] * 7)
    sizes = [sum(len(e["Message"].encode()) for e in batch) for batch in sns.batches]
    assert [len(batch) for batch in sns.batches] == [3, 3, 1]
    assert max(sizes) < MAX_BYTES


def test_one_entry_that_failed_stops_what_comes_after(world: World) -> None:
    sns = Sns(refuses=12)
    with pytest.raises(PublishFailed):
        publish(world, sns, *[TOLD] * 25)
    assert len(sns.batches) == 2
