"""POST /v1/links/bulk: every link has its own outcome, and costs what it would alone."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from tests.support.faults import Fault
from tests.support.http_api import Response
from tests.support.pump import Stack
from tests.support.wire import Call, Send

URL = "https://example.com/"
BULK = "/v1/links/bulk"


def ask(stack: Stack, *links: Any, key: str | None = None, user: str = "alice") -> Response:
    headers = {} if key is None else {"idempotency-key": key}
    return stack.request("POST", BULK, user=user, json={"links": list(links)}, headers=headers)


def create(stack: Stack, link: Any, key: str | None = None) -> Response:
    headers = {} if key is None else {"idempotency-key": key}
    return stack.request("POST", "/v1/links", user="alice", json=link, headers=headers)


def statuses(answer: Response) -> list[int]:
    """Each link's status; the items are numbered in order."""
    assert answer.status == 200, answer.text
    items = answer.json()["items"]
    assert [item["index"] for item in items] == list(range(len(items)))
    return [item["status"] for item in items]


def kind(item: dict[str, Any]) -> str:
    return str(item["problem"]["type"]).rpartition(":")[2]


def counts(answer: Response) -> tuple[int, int, int]:
    """How many were created, existed, failed."""
    found = answer.json()
    return found["created"], found["existing"], found["failed"]


def links(count: int) -> list[dict[str, Any]]:
    return [{"long_url": f"{URL}{number}"} for number in range(count)]


def slow(stack: Stack, seconds: float) -> Fault:
    """Every write takes so long from now on."""

    def late(call: Call, send: Send) -> AWSResponse:
        stack.advance(seconds)
        return send()

    fault = Fault("dynamodb", "PutItem", late, times=-1, skip=0, function=None, resource=None)
    stack.faults.planned.append(fault)
    return fault


def test_500_links_cost_500_writes(stack: Stack) -> None:
    with stack.meter.operation("bulk") as bill:
        answer = ask(stack, *links(500))
    assert counts(answer) == (500, 0, 0)
    # A cold container also reads the secret and the directory of bans, once.
    once = {"secretsmanager:GetSecretValue": 1, "dynamodb:GetItem": 1, "dynamodb:Query": 1}
    assert bill.by_operation == {"dynamodb:PutItem": 500, **once}
    assert (bill.wcu, bill.rcu) == (500, 1.5)

    with stack.meter.operation("create") as part:
        create(stack, {"long_url": f"{URL}one more"})
    assert bill.dollars_per_million() <= 1.1 * 500 * part.dollars_per_million()


def test_a_bad_link_harms_no_other(stack: Stack) -> None:
    create(stack, {"long_url": URL, "alias": "taken"})
    answer = ask(
        stack,
        {"long_url": f"{URL}first"},
        5,
        {"long_url": "javascript:alert(1)"},
        {"long_url": URL, "nonsense": 1},
        {"long_url": URL, "alias": "taken"},
        {"long_url": URL, "expires_at": "2001-01-01T00:00:00Z"},
        {"long_url": URL, "idempotency_key": "a b"},
        {"long_url": f"{URL}last"},
    )
    assert statuses(answer) == [201, 422, 422, 422, 409, 422, 422, 201]
    items = answer.json()["items"]
    assert [kind(item) for item in items[1:-1]] == ["invalid"] * 3 + ["alias_taken"] + [
        "invalid"
    ] * 2
    faults = [item["problem"].get("errors", [{"field": None}])[0]["field"] for item in items[1:-1]]
    assert faults == ["", "long_url", "nonsense", None, "expires_at", "idempotency_key"]
    assert counts(answer) == (2, 0, 6)
    assert [items[0]["link"]["long_url"], items[-1]["link"]["long_url"]] == [
        f"{URL}first",
        f"{URL}last",
    ]


def test_a_link_twice_in_one_request_is_one_link(stack: Stack) -> None:
    answer = ask(stack, {"long_url": URL}, {"long_url": URL})
    first, again = answer.json()["items"]
    assert (first["status"], again["status"]) == (201, 200)
    assert first["link"] == again["link"]
    assert counts(answer) == (1, 1, 0)


def test_a_repeated_request_gets_the_first_links(stack: Stack) -> None:
    wanted = [{"long_url": URL, "dedupe": False}] * 3
    first, again = ask(stack, *wanted, key="k"), ask(stack, *wanted, key="k")
    assert [item["link"] for item in again.json()["items"]] == [
        item["link"] for item in first.json()["items"]
    ]
    assert len({item["link"]["code"] for item in first.json()["items"]}) == 3
    assert (counts(first), counts(again)) == ((3, 0, 0), (0, 3, 0))
    assert {item["repeated"] for item in again.json()["items"]} == {True}


def test_a_link_has_its_own_key_or_the_requests_with_its_index(stack: Stack) -> None:
    wanted = {"long_url": URL, "dedupe": False}
    items = ask(stack, wanted, {**wanted, "idempotency_key": "own"}, key="k").json()["items"]
    for key, item in zip(("k.0", "own"), items, strict=True):
        alone = create(stack, wanted, key)
        assert (alone.status, alone.json()) == (201, item["link"])
    assert create(stack, wanted, "k.1").json()["code"] not in {
        item["link"]["code"] for item in items
    }


def test_a_key_that_served_for_another_link_is_that_items_problem(stack: Stack) -> None:
    create(stack, {"long_url": URL, "alias": "one"}, "k")
    other = {"long_url": f"{URL}2", "alias": "one", "idempotency_key": "k"}
    answer = ask(stack, other, {"long_url": f"{URL}3"})
    assert statuses(answer) == [422, 201]
    assert kind(answer.json()["items"][0]) == "idempotency_key_reused"


@pytest.mark.parametrize(
    ("status", "document"),
    [
        (422, {"links": []}),
        (422, {"links": [{"long_url": URL}] * 501}),
        (422, {"links": {"long_url": URL}}),
        (422, {"links": [{"long_url": URL}], "more": 1}),
        (422, []),
        (413, {"links": [{"long_url": "x" * 1_050_000}]}),
    ],
    ids=["none", "too many", "no list", "unknown field", "no object", "too large"],
)
def test_what_is_wrong_with_the_whole_is_a_problem_of_the_whole(
    stack: Stack, status: int, document: Any
) -> None:
    with stack.meter.operation("refused") as bill:
        answer = stack.request("POST", BULK, user="alice", json=document)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert bill.calls == []


def test_a_request_of_a_megabyte_is_taken(stack: Stack) -> None:
    wanted = [{"long_url": f"{URL}{number}".ljust(2048, "x")} for number in range(500)]
    assert counts(ask(stack, *wanted[:490])) == (490, 0, 0)


def test_a_malformed_key_of_the_request_is_a_problem_of_the_whole(stack: Stack) -> None:
    answer = ask(stack, {"long_url": URL}, key="a b")
    assert (answer.status, answer.json()["type"]) == (
        400,
        "urn:millrace:problem:bad_idempotency_key",
    )


def test_a_link_that_the_store_did_not_take_is_to_be_sent_again(stack: Stack) -> None:
    stack.faults.throttle("dynamodb", "PutItem", skip=1, times=3)
    answer = ask(stack, *links(3))
    assert statuses(answer) == [201, 503, 201]
    assert kind(answer.json()["items"][1]) == "unavailable"
    again = ask(stack, *links(3))
    assert statuses(again) == [200, 201, 200]


def test_a_store_that_is_down_is_not_asked_500_times(stack: Stack) -> None:
    stack.faults.throttle("dynamodb", "PutItem", skip=2, times=-1)
    with stack.meter.operation("bulk") as bill:
        answer = ask(stack, *links(500))
    assert statuses(answer) == [201, 201] + [503] * 498
    assert bill.by_operation["dynamodb:PutItem"] == 2 + 3 * 3


def test_a_store_that_takes_nothing_is_a_503_of_the_whole(stack: Stack) -> None:
    stack.faults.throttle("dynamodb", "PutItem", times=-1)
    answer = ask(stack, *links(5))
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")


def test_a_fault_of_ours_is_that_items_alone_and_is_recorded(stack: Stack) -> None:
    stack.faults.fail("dynamodb", "PutItem", "ValidationException", skip=1)
    answer = ask(stack, *links(3))
    assert statuses(answer) == [201, 500, 201]
    assert (stack.logs[-1]["problem"], stack.logs[-1]["cause"]) == ("internal", "ClientError")


def test_what_there_is_no_time_for_is_to_be_sent_again(stack: Stack) -> None:
    slow(stack, 4)
    answer = ask(stack, *links(7))
    # The function has 29 s and keeps back 10.
    assert statuses(answer) == [201] * 5 + [503] * 2
    stack.faults.clear()
    assert statuses(ask(stack, *links(7))) == [200] * 5 + [201] * 2
