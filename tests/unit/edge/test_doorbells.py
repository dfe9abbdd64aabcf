from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from functions.edge.doorbells import SET_ASIDE_AT, Doorbells
from functions.edge.queue import SendFailed, send
from functions.kernel.dynamo import to_item
from functions.kernel.store import Commit, Metadata
from tests.unit.edge.conftest import World

QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/retry"
CONTEXT = SimpleNamespace(aws_request_id="request-1")


@dataclass
class Queue:
    """A retry queue that takes everything but what it is told to refuse."""

    refuses: bool = False
    batches: list[list[dict[str, str]]] = field(default_factory=list)

    def send_message_batch(
        self,
        QueueUrl: str,
        Entries: list[dict[str, str]],
    ) -> dict[str, Any]:
        assert QueueUrl == QUEUE
        self.batches.append(Entries)
        return {"Failed": [{"Id": Entries[-1]["Id"]}] if self.refuses else []}

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(entry["MessageBody"]) for batch in self.batches for entry in batch]


@dataclass
class Projector:
    """Stands for the views: notes what it was told, fails for the streams named so."""

    broken: frozenset[str] = frozenset()
    asked: list[str] = field(default_factory=list)
    taken: list[Commit] = field(default_factory=list)
    rung: list[str] = field(default_factory=list)

    def renewed(self) -> Projector:
        return self

    def take(self, commit: Commit) -> None:
        self._work(commit.stream)
        self.taken.append(commit)

    def ring(self, stream: str) -> None:
        self._work(stream)
        self.rung.append(stream)

    def _work(self, stream: str) -> None:
        self.asked.append(stream)
        if stream in self.broken:
            raise RuntimeError(f"no row for {stream}")


def commit(stream: str, before: int = 0) -> Commit:
    return Commit(
        stream, before, before + 1, f"{stream}{before}", "[0]", Metadata(before), None, b"\x00\xff"
    )


def record(commit: Commit, name: str = "INSERT") -> dict[str, Any]:
    """A stream record as Lambda hands it over, binary in base64."""
    image = to_item(commit)
    if "r" in image:
        image["r"] = {"B": base64.b64encode(image["r"]["B"]).decode()}
    return {
        "eventSource": "aws:dynamodb",
        "eventName": name,
        "dynamodb": {
            "Keys": {"pk": image["pk"], "sk": image["sk"]},
            "NewImage": image,
            "SequenceNumber": "1",
        },
    }


def message(body: str, id: str, delivery: int = 1) -> dict[str, Any]:
    attributes = {"ApproximateReceiveCount": str(delivery)}
    return {"eventSource": "aws:sqs", "messageId": id, "body": body, "attributes": attributes}


@dataclass
class Quarantine:
    """Stands for the quarantine: notes what was set aside."""

    added: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, stream: str, view: str, error: str, now: int) -> None:
        self.added.append((stream, view, error))


def deliver(
    world: World,
    records: Iterable[dict[str, Any]],
    projector: Projector,
    queue: Queue,
    quarantine: Quarantine | None = None,
) -> Any:
    world.clients["sqs"] = queue
    aside: Any = quarantine or Quarantine()
    known: Any = projector
    doorbells = Doorbells(world.runtime, "notes", QUEUE, known, aside)
    return doorbells.handler({"Records": list(records)}, CONTEXT)


class TestTableStream:
    def test_each_stream_is_handled_once_with_its_newest_commit(self, world: World) -> None:
        projector, queue = Projector(), Queue()
        records = [record(commit("a")), record(commit("b")), record(commit("a", 1))]
        assert deliver(world, records, projector, queue) is None
        assert projector.taken == [commit("a", 1), commit("b")]
        assert queue.batches == []

    def test_a_stream_that_fails_goes_to_the_queue_and_the_others_go_on(self, world: World) -> None:
        projector, queue = Projector(frozenset("b")), Queue()
        assert deliver(world, [record(commit(s)) for s in "abc"], projector, queue) is None
        assert [each.stream for each in projector.taken] == ["a", "c"]
        assert queue.bodies == [{"stream": "b"}]
        (line,) = world.lines
        assert (line["outcome"], line["retried_streams"]) == ("failed", 1)
        assert line["error"] == "RuntimeError"

    def test_what_the_queue_refuses_fails_the_batch(self, world: World) -> None:
        queue = Queue(refuses=True)
        with pytest.raises(SendFailed):
            deliver(world, [record(commit("a"))], Projector(frozenset("a")), queue)

    @pytest.mark.parametrize(
        "missing", ["e", "m", "n", "id"], ids=["events", "metadata", "version", "id"]
    )
    def test_a_malformed_record_goes_to_the_queue_and_the_others_go_on(
        self, world: World, missing: str
    ) -> None:
        projector, queue = Projector(), Queue()
        malformed = record(commit("bad"))
        del malformed["dynamodb"]["NewImage"][missing]
        records = [record(commit("a")), malformed, record(commit("b"))]
        assert deliver(world, records, projector, queue) is None
        assert [each.stream for each in projector.taken] == ["a", "b"]
        assert queue.bodies == [{"stream": "bad"}]

    def test_a_modified_commit_is_counted(self, world: World) -> None:
        records = [record(commit("a")), record(commit("b"), "MODIFY")]
        deliver(world, records, Projector(), Queue())
        (line,) = world.lines
        assert line["modified_commits"] == 1
        assert "modified_commits" in str(line["_aws"])

    def test_a_removed_commit_is_passed_over(self, world: World) -> None:
        removed = record(commit("a"), "REMOVE")
        del removed["dynamodb"]["NewImage"]
        projector = Projector()
        deliver(world, [removed], projector, Queue())
        assert projector.taken == []

    def test_the_line_tells_the_newest_recorded_time(self, world: World) -> None:
        records = [record(commit("a", 7)), record(commit("b", 3))]
        deliver(world, records, Projector(), Queue())
        assert (world.lines[0]["newest"], world.lines[0]["records"]) == (7, 2)

    def test_an_empty_batch_is_nothing_to_do(self, world: World) -> None:
        assert deliver(world, [], Projector(), Queue()) is None
        assert world.lines[0]["outcome"] == "ok"


class TestRetryQueue:
    def test_a_retried_stream_is_rung(self, world: World) -> None:
        projector = Projector()
        answer = deliver(world, [message('{"stream":"a"}', "1")], projector, Queue())
        assert (answer, projector.rung) == ({"batchItemFailures": []}, ["a"])

    def test_only_the_messages_that_failed_come_again(self, world: World) -> None:
        projector = Projector(frozenset("b"))
        messages = [message(json.dumps({"stream": s}), s) for s in "abc"]
        messages += [message("no json", "d"), message("{}", "e")]
        answer = deliver(world, messages, projector, Queue())
        assert answer == {"batchItemFailures": [{"itemIdentifier": id} for id in "bde"]}
        assert projector.rung == ["a", "c"]
        assert (world.lines[0]["outcome"], world.lines[0]["failed_retries"]) == ("failed", 3)

    def test_a_stream_is_rung_once_in_a_batch_whatever_comes_of_it(self, world: World) -> None:
        projector = Projector(frozenset("b"))
        messages = [message(json.dumps({"stream": s}), str(n)) for n, s in enumerate("abba")]
        answer = deliver(world, messages, projector, Queue())
        assert answer == {"batchItemFailures": [{"itemIdentifier": id} for id in "12"]}
        assert projector.asked == ["a", "b"]

    @pytest.mark.parametrize("delivery", range(1, SET_ASIDE_AT + 2))
    def test_a_stream_that_keeps_failing_is_set_aside(self, world: World, delivery: int) -> None:
        quarantine = Quarantine()
        messages = [message('{"stream":"b"}', "1", delivery)]
        answer = deliver(world, messages, Projector(frozenset("b")), Queue(), quarantine)
        aside = delivery >= SET_ASIDE_AT
        assert quarantine.added == ([("b", "*", "RuntimeError")] if aside else [])
        assert answer["batchItemFailures"] == ([] if aside else [{"itemIdentifier": "1"}])
        assert world.lines[0].get("quarantined", 0) == aside

    def test_a_batch_that_fails_altogether_is_reported_all_the_same(self, world: World) -> None:
        answer = deliver(world, [message("no json", "a")], Projector(), Queue())
        assert answer == {"batchItemFailures": [{"itemIdentifier": "a"}]}


@pytest.mark.parametrize("number", [0, 1, 10, 11, 25])
def test_messages_are_sent_ten_at_a_time_each_with_an_id_of_its_own(number: int) -> None:
    queue = Queue()
    send(queue, QUEUE, list(range(number)))
    assert queue.bodies == list(range(number))
    assert [len(batch) for batch in queue.batches] == [
        min(10, number - start) for start in range(0, number, 10)
    ]
    assert all(len({entry["Id"] for entry in batch}) == len(batch) for batch in queue.batches)
