"""Links under races, repeats and lost answers: every interleaving, on the real handlers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

import pytest

from tests.support import interleave
from tests.support.faults import Crash
from tests.support.interleave import Actor, every_interleaving, seeded
from tests.support.pump import Stack

URL = "https://example.com/page"


def create(stack: Stack, user: str = "alice", key: str | None = None, **body: Any) -> Any:
    headers = {} if key is None else {"idempotency-key": key}
    return stack.request(
        "POST", "/v1/links", user=user, json={"long_url": URL, **body}, headers=headers
    )


def patch(stack: Stack, code: str, version: int, key: str | None = None, **body: Any) -> Any:
    headers = {"if-match": f'"{version}"'} | ({} if key is None else {"idempotency-key": key})
    return stack.request("PATCH", f"/v1/links/{code}", user="alice", json=body, headers=headers)


def commits(stack: Stack) -> Counter[str]:
    """How many commits each stream has."""
    table = stack.functions["ShortenerCreate"].env["EVENTS_TABLE"]
    items = stack.client("dynamodb").scan(TableName=table)["Items"]
    return Counter(item["pk"]["S"] for item in items)


def warm(stack: Stack, containers: int) -> None:
    """Has so many containers of create read the secret and the directory: what a race is about
    begins after that, and each call more would multiply its interleavings."""
    urls = [f"{URL}/{number}" for number in range(containers)]
    seeded(lambda: {url: lambda url=url: create(stack, long_url=url) for url in urls}, 0)  # type: ignore[misc]
    interleave.latest.clear()


def test_of_three_creators_of_an_alias_exactly_one_succeeds_in_every_interleaving(
    stack: Stack,
) -> None:
    def scenario() -> Mapping[str, Actor]:
        stack.reset()
        warm(stack, 3)
        return {
            user: lambda user=user: create(stack, user, alias="prize").status  # type: ignore[misc]
            for user in ("alice", "bob", "carol")
        }

    runs = 0
    for run in every_interleaving(scenario):
        assert Counter(run.results().values()) == {201: 1, 409: 2}
        assert commits(stack)["link#default#prize"] == 1
        runs += 1
    assert runs == 6


def test_three_creators_of_one_url_get_one_link_in_every_interleaving(stack: Stack) -> None:
    def scenario() -> Mapping[str, Actor]:
        stack.reset()
        warm(stack, 3)
        return {name: lambda: create(stack) for name in ("first", "second", "third")}

    runs = 0
    for run in every_interleaving(scenario):
        answers: Collection[Any] = run.results().values()
        assert Counter(answer.status for answer in answers) == {201: 1, 200: 2}
        assert len({answer.json()["code"] for answer in answers}) == 1
        runs += 1
    assert runs > 6


@pytest.mark.parametrize("seed", range(40))
def test_racing_edits_never_lose_one_another(stack: Stack, seed: int) -> None:
    code = create(stack, alias="shared").json()["code"]

    def edit(number: int) -> int:
        headers = {"if-match": "*"}
        body = {"long_url": f"https://example.com/{number}"}
        path = f"/v1/links/{code}"
        return stack.request("PATCH", path, user="alice", json=body, headers=headers).status

    run = seeded(lambda: {str(n): lambda n=n: edit(n) for n in range(4)}, seed)  # type: ignore[misc]
    statuses = Counter(run.results().values())
    history = stack.request("GET", f"/v1/links/{code}/history", user="alice").json()["items"]
    assert set(statuses) <= {200, 409}
    assert len(history) == 1 + statuses[200]
    assert [item["version"] for item in history] == list(range(1, len(history) + 1))


@pytest.mark.parametrize("seed", range(20))
def test_of_two_edits_of_one_version_one_is_refused(stack: Stack, seed: int) -> None:
    code = create(stack, alias="shared").json()["code"]
    run = seeded(
        lambda: {
            name: lambda name=name: (
                patch(  # type: ignore[misc]
                    stack, code, 1, long_url=f"https://example.com/{name}"
                ).status
            )
            for name in ("left", "right")
        },
        seed,
    )
    assert Counter(run.results().values()) == {200: 1, 412: 1}


def test_a_put_whose_answer_is_lost_and_repeated_is_one_commit_and_no_error(stack: Stack) -> None:
    fault = stack.faults.lose_response("dynamodb", "PutItem")
    answer = create(stack)
    outcomes = [call.outcome for call in stack.meter.calls if call.operation == "PutItem"]
    assert fault.fired == 1
    assert outcomes == ["ReadTimeoutError", "ConditionalCheckFailedException"]
    assert (answer.status, answer.json()["version"]) == (201, 1)
    assert list(commits(stack).values()) == [1]


def test_an_edit_whose_answer_is_lost_is_made_once(stack: Stack) -> None:
    code = create(stack).json()["code"]
    stack.faults.lose_response("dynamodb", "PutItem")
    answer = patch(stack, code, 1, long_url="https://example.com/other")
    assert (answer.status, answer.json()["version"]) == (200, 2)
    assert commits(stack)[f"link#default#{code}"] == 2


def test_a_link_patched_away_from_a_url_is_never_that_urls_answer_again(stack: Stack) -> None:
    first = create(stack).json()
    patch(stack, first["code"], 1, long_url="https://example.com/elsewhere")
    second = create(stack)
    assert second.status == 201
    assert second.json()["code"] != first["code"]
    assert create(stack).json() == second.json()


@pytest.mark.parametrize("times", [1, 9])
def test_a_url_that_is_patched_away_from_again_and_again_still_gets_links(
    stack: Stack, times: int
) -> None:
    codes = set()
    for _ in range(times):
        link = create(stack)
        assert link.status == 201
        codes.add(link.json()["code"])
        patch(stack, link.json()["code"], 1, long_url="https://example.com/elsewhere")
    assert len(codes) == times


@pytest.mark.parametrize("when", ["crash_before", "crash_after"])
@pytest.mark.parametrize("body", [{}, {"alias": "mine"}, {"dedupe": False}], ids=str)
def test_a_create_that_dies_and_is_repeated_makes_one_link(
    stack: Stack, when: str, body: dict[str, Any]
) -> None:
    getattr(stack.faults, when)("dynamodb", "PutItem")
    with pytest.raises(Crash):
        create(stack, key="k1", **body)
    again = create(stack, key="k1", **body)
    assert again.status == 201
    assert create(stack, key="k1", **body).json() == again.json()
    assert list(commits(stack).values()) == [1]


@pytest.mark.parametrize("when", ["crash_before", "crash_after"])
def test_an_edit_that_dies_and_is_repeated_is_made_once(stack: Stack, when: str) -> None:
    code = create(stack).json()["code"]
    getattr(stack.faults, when)("dynamodb", "PutItem")
    change = {"long_url": "https://example.com/other"}
    with pytest.raises(Crash):
        patch(stack, code, 1, key="k2", **change)
    first = patch(stack, code, 1, key="k2", **change)
    assert (first.status, first.json()["version"]) == (200, 2)
    patch(stack, code, 2, disabled=True)
    assert patch(stack, code, 1, key="k2", **change).json() == first.json()
    assert commits(stack)[f"link#default#{code}"] == 3


def test_an_idempotency_key_with_another_request_is_refused(stack: Stack) -> None:
    assert create(stack, key="k", alias="one").status == 201
    reused = create(stack, key="k", alias="one", redirect_status=301)
    assert reused.status == 422
    assert reused.json()["type"] == "urn:millrace:problem:idempotency_key_reused"


def test_another_users_key_is_another_key(stack: Stack) -> None:
    assert create(stack, "alice", key="k", alias="one").status == 201
    assert create(stack, "bob", key="k", alias="one").status == 409


def test_a_transaction_in_the_way_is_waited_for(stack: Stack) -> None:
    stack.faults.conflict("PutItem", times=2)
    assert create(stack).status == 201
    assert list(commits(stack).values()) == [1]


def test_a_store_that_stays_down_is_a_503_that_asks_to_come_again(stack: Stack) -> None:
    for service in ("dynamodb", "sqs"):
        stack.faults.fail(service, "*", "InternalServerError", status=500, times=-1)
    for answer in (create(stack), stack.request("GET", "/anything")):
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert answer.headers["content-type"] == "application/problem+json"
