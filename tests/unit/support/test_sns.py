"""SNS as the simulation has it: the same through botocore whole as past it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.cloud.sdk import fast_client, sdk_client
from tests.support.cloud.sns import MAX_BYTES, SNS
from tests.support.cloud.sqs import SQS, Queue
from tests.support.deployment import Subscription
from tests.support.template import ARNS, REFS

TOPIC = ARNS["AWS::SNS::Topic"].format(name="news")


class World:
    """A topic and two queues, of which one wants notes alone."""

    def __init__(self) -> None:
        self.sqs = SQS()
        self.sent: list[dict[str, Any]] = []
        for name in ("all", "notes"):
            url, arn = (each["AWS::SQS::Queue"].format(name=name) for each in (REFS, ARNS))
            self.sqs.queues[url] = Queue(url, arn)
        policies: dict[str, Any] = {
            "all": {},
            "notes": {"capability": ["notes"], "type": ["NoteMade"]},
        }
        subscriptions = [
            Subscription(TOPIC, ARNS["AWS::SQS::Queue"].format(name=name), policy)
            for name, policy in policies.items()
        ]
        self.sns = SNS(self.sqs, [TOPIC], subscriptions)

    def send(self, service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        self.sent.append(params)
        return self.sns.call(operation, params)

    def bodies(self, name: str) -> list[str]:
        queue = self.sqs.queues[REFS["AWS::SQS::Queue"].format(name=name)]
        return [message.body for message in queue.messages]

    def client(self, kind: str) -> Any:
        if kind == "whole":
            return sdk_client("sns", self.send, float)
        return fast_client("sns", self.send, lambda seconds: None, float)


def entry(number: int, text: str, **attributes: str) -> dict[str, Any]:
    told = {n: {"DataType": "String", "StringValue": value} for n, value in attributes.items()}
    return {"Id": str(number), "Message": text, "MessageAttributes": told}


@pytest.mark.parametrize("kind", ["whole", "fast"])
def test_messages_reach_the_queues_whose_policy_they_fit(kind: str) -> None:
    world = World()
    texts = [json.dumps({"text": "a & <b> ü", "n": number}) for number in range(3)]
    entries = [
        entry(0, texts[0], capability="notes", type="NoteMade"),
        entry(1, texts[1], capability="notes", type="NoteShredded"),
        entry(2, texts[2], capability="piles", type="NoteMade"),
    ]
    answer = world.client(kind).publish_batch(TopicArn=TOPIC, PublishBatchRequestEntries=entries)
    assert [each["Id"] for each in answer["Successful"]] == ["0", "1", "2"]
    assert not answer["Failed"]
    assert world.bodies("all") == texts
    assert world.bodies("notes") == texts[:1]
    assert world.sent == [{"TopicArn": TOPIC, "PublishBatchRequestEntries": entries}]


@pytest.mark.parametrize("kind", ["whole", "fast"])
@pytest.mark.parametrize(
    ("topic", "entries", "code"),
    [
        (TOPIC + "s", [entry(0, "a")], "NotFound"),
        (TOPIC, [entry(0, "a"), entry(0, "b")], "BatchEntryIdsNotDistinct"),
        (TOPIC, [entry(n, "x" * (MAX_BYTES // 2 + 1)) for n in (0, 1)], "BatchRequestTooLong"),
    ],
)
def test_what_breaks_the_rules_is_refused_whole(
    kind: str, topic: str, entries: list[dict[str, Any]], code: str
) -> None:
    world = World()
    with pytest.raises(ClientError) as refusal:
        world.client(kind).publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
    assert refusal.value.response["Error"]["Code"] == code
    assert world.bodies("all") == []
