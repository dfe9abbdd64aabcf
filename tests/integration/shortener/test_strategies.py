"""Each code strategy deployed: what it costs, what it may do, and that no code comes twice."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from functions.shortener import pool
from functions.shortener.codes import LENGTH
from functions.shortener.counter import BLOCK
from tests.support.access import Access, granted
from tests.support.faults import Crash
from tests.support.handlers import ROOT
from tests.support.interleave import Actor, every_interleaving, seeded
from tests.support.pump import Stack
from tests.support.template import Template

STRATEGIES = ("hash", "random", "counter", "pool")
URL = "https://example.com/page"
CLAIM = {"function": "ShortenerCreate", "resource": "ShortenerCounters"}


def deployed(strategy: str, pool_size: int = 1000) -> Stack:
    parameters = {"CodeStrategy": strategy, "PoolSize": str(pool_size)}
    return Stack([ROOT / "template.yaml"], parameters)


def create(stack: Stack, key: str | None = None, **body: Any) -> Any:
    headers = {} if key is None else {"idempotency-key": key}
    return stack.request(
        "POST", "/v1/links", user="alice", json={"long_url": URL, **body}, headers=headers
    )


def fill(stack: Stack) -> None:
    stack.invoke("ShortenerFill", {})


def codes(stack: Stack, count: int) -> list[str]:
    return [create(stack).json()["code"] for _ in range(count)]


def calls(stack: Stack, table: str) -> list[str]:
    """The operations that create had carried out on a table."""
    return [
        call.operation
        for call in stack.meter.calls
        if call.function == "ShortenerCreate"
        and any(resource == table for _, resource in call.accesses)
    ]


def metric(stack: Stack, name: str) -> int:
    return sum(line.get(name, 0) for line in stack.logs)


@pytest.fixture(params=STRATEGIES)
def any_stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    with deployed(request.param) as stack:
        if request.param == "pool":
            fill(stack)
        yield stack


@pytest.fixture
def counting() -> Iterator[Stack]:
    with deployed("counter") as stack:
        yield stack


@pytest.fixture
def pooling() -> Iterator[Stack]:
    with deployed("pool") as stack:
        yield stack


# ---- All of them ------------------------------------------------------------------------------


def test_a_fresh_code_has_seven_letters_and_redirects(any_stack: Stack) -> None:
    made = [create(any_stack, dedupe=False).json()["code"] for _ in range(5)]
    assert {len(code) for code in made} == {LENGTH}
    assert len(set(made)) == 5
    assert {any_stack.request("GET", f"/{code}").status for code in made} == {302}


def test_a_repeated_key_gets_the_first_link_whatever_the_strategy(any_stack: Stack) -> None:
    first = create(any_stack, key="k", dedupe=False)
    any_stack.cold_start()
    again = create(any_stack, key="k", dedupe=False)
    assert (first.status, again.status) == (201, 201)
    assert again.json() == first.json()
    assert create(any_stack, key="other", dedupe=False).json()["code"] != first.json()["code"]


@pytest.mark.parametrize("when", ["crash_before", "crash_after"])
def test_a_keyed_create_that_dies_and_is_repeated_makes_one_link(
    any_stack: Stack, when: str
) -> None:
    getattr(any_stack.faults, when)("dynamodb", "PutItem", resource="ShortenerEvents")
    with pytest.raises(Crash):
        create(any_stack, key="k", dedupe=False)
    create(any_stack, key="k", dedupe=False)
    table = any_stack.functions["ShortenerCreate"].env["EVENTS_TABLE"]
    assert any_stack.client("dynamodb").scan(TableName=table)["Count"] == 1


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_only_hash_answers_with_the_link_that_is_there(strategy: str) -> None:
    with deployed(strategy) as stack:
        first, again = create(stack), create(stack)
        assert (first.json()["code"] == again.json()["code"]) == (strategy == "hash")
        assert again.status == (200 if strategy == "hash" else 201)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_counters_are_open_to_what_a_strategy_does_and_no_more(strategy: str) -> None:
    templates = list(Template(ROOT / "template.yaml", {"CodeStrategy": strategy}).family())

    def on_counters(accesses: set[Access]) -> set[Access]:
        return {access for access in accesses if access[1] == "ShortenerCounters"}

    with deployed(strategy) as stack:
        functions = ["ShortenerCreate", *(["ShortenerFill"] if strategy == "pool" else [])]
        if strategy == "pool":
            stack.tick("ShortenerFill")
        create(stack)
        for function in functions:
            seen = stack.meter.touched(function)
            assert on_counters(seen) == on_counters(granted(templates, function))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_filler_is_deployed_with_the_pool_alone(strategy: str) -> None:
    with deployed(strategy) as stack:
        assert ("ShortenerFill" in stack.functions) == (strategy == "pool")


# ---- The counter ------------------------------------------------------------------------------


def test_a_thousand_codes_take_one_write_unit(counting: Stack) -> None:
    with counting.meter.operation("first of a block") as first:
        create(counting)
    with counting.meter.operation("second of a block") as second:
        create(counting)
    assert first.by_operation["dynamodb:UpdateItem"] == 1
    assert (first.wcu, second.wcu) == (2, 1)
    assert second.by_operation == {"dynamodb:PutItem": 1}


def test_a_block_ends_where_the_next_begins(
    counting: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("functions.shortener.counter.BLOCK", 3)
    made = codes(counting, 7)
    assert len(set(made)) == 7
    assert calls(counting, "ShortenerCounters") == ["UpdateItem"] * 3


def test_an_alias_at_a_codes_place_costs_one_more_try(counting: Stack) -> None:
    first = codes(counting, 1)[0]
    counting.reset()
    create(counting, alias=first)
    second = create(counting)
    assert second.status == 201
    assert second.json()["code"] != first
    assert metric(counting, "conflicts") == 1


def test_a_lost_answer_loses_a_block_and_no_more(counting: Stack) -> None:
    counting.faults.lose_response("dynamodb", "UpdateItem")
    made = codes(counting, 2)
    counting.cold_start()
    made += codes(counting, 2)
    table = counting.functions["ShortenerCreate"].env["COUNTERS_TABLE"]
    [item] = counting.client("dynamodb").scan(TableName=table)["Items"]
    assert item == {"pk": {"S": "block#codes"}, "n": {"N": str(3 * BLOCK)}}
    assert len(set(made)) == 4


def test_a_counter_that_is_down_gives_no_code_and_an_alias_needs_none(counting: Stack) -> None:
    counting.faults.fail("dynamodb", "UpdateItem", "InternalServerError", status=500, times=-1)
    assert create(counting).status in (202, 503)
    assert create(counting, alias="mine").status == 201


def test_numbers_beyond_seven_letters_have_eight(
    counting: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("functions.shortener.counter.BLOCK", 2)
    counting.client("dynamodb").put_item(
        TableName=counting.functions["ShortenerCreate"].env["COUNTERS_TABLE"],
        Item={"pk": {"S": "block#codes"}, "n": {"N": str(62**LENGTH - 2)}},
    )
    assert [len(code) for code in codes(counting, 3)] == [LENGTH, LENGTH, LENGTH + 1]


# ---- The pool ---------------------------------------------------------------------------------


def test_the_filler_fills_what_is_empty_and_nothing_else(pooling: Stack) -> None:
    fill(pooling)
    with pooling.meter.operation("nothing to do") as idle:
        fill(pooling)
    create(pooling)
    with pooling.meter.operation("one batch claimed") as busy:
        fill(pooling)
    assert metric(pooling, "pooled_codes") == 1000 + pool.BATCH
    assert idle.by_operation == {"dynamodb:BatchGetItem": 1}
    assert busy.by_operation == {"dynamodb:BatchGetItem": 1, "dynamodb:PutItem": 1}
    assert (idle.wcu, busy.wcu) == (0, 1)


def test_a_hundred_codes_take_one_write_unit(pooling: Stack) -> None:
    fill(pooling)
    with pooling.meter.operation("first of a batch") as first:
        create(pooling)
    with pooling.meter.operation("second of a batch") as second:
        create(pooling)
    assert first.by_operation["dynamodb:UpdateItem"] == 1
    assert (first.wcu, second.wcu) == (2, 1)
    assert second.by_operation == {"dynamodb:PutItem": 1}


def test_an_empty_pool_is_made_up_for_at_random_and_told_once_a_batch(pooling: Stack) -> None:
    assert len(set(codes(pooling, 3))) == 3
    assert metric(pooling, "pool_empty") == 1
    assert calls(pooling, "ShortenerCounters") == ["UpdateItem"] * pool.PROBES


def test_a_pool_that_is_down_is_made_up_for_at_random(pooling: Stack) -> None:
    down = pooling.faults.fail(
        "dynamodb", "UpdateItem", "InternalServerError", status=500, times=-1
    )
    assert len(set(codes(pooling, 3))) == 3
    assert down.fired == 3
    assert (metric(pooling, "pool_down"), metric(pooling, "pool_empty")) == (1, 0)


def test_a_pooled_code_grows_at_its_end(pooling: Stack) -> None:
    reports: list[str] = []
    everything = batches(pooling, "ShortenerFill")
    everything.fill()
    container = pool.Pooled(everything, pooling.runtime("ShortenerCreate").entropy, reports.append)
    made = [container.code(length) for length in (7, 8, 9)]
    assert [len(code) for code in made] == [7, 8, 9]
    assert len({code[:LENGTH] for code in made}) == 3
    assert not reports


def test_a_filler_that_fails_for_good_is_told_of(pooling: Stack) -> None:
    pooling.faults.fail("dynamodb", "PutItem", "InternalServerError", status=500, times=-1)
    pooling.tick("ShortenerFill")
    assert len(pooling.messages("ShortenerUndelivered")) == 1


def batches(stack: Stack, function: str = "ShortenerCreate") -> pool.Pool:
    """The pool as a new container sees it, in a stack of one slot."""
    runtime = stack.runtime(function)
    return pool.Pool(
        runtime.client("dynamodb"),
        stack.functions[function].env["COUNTERS_TABLE"],
        pool.BATCH,
        runtime.entropy,
    )


def test_one_batch_has_one_taker_in_every_interleaving(pooling: Stack) -> None:
    def scenario() -> Mapping[str, Actor]:
        pooling.reset()
        batches(pooling, "ShortenerFill").fill()
        return {name: batches(pooling).claim for name in ("anne", "bob", "cleo")}

    runs = 0
    for run in every_interleaving(scenario):
        assert sorted(len(batch) for batch in run.results().values()) == [0, 0, pool.BATCH]  # type: ignore[arg-type]
        runs += 1
    assert runs == 6


@pytest.mark.parametrize("lost", ["UpdateItem", "PutItem"])
def test_a_lost_answer_never_brings_a_batch_back_in_any_interleaving(
    pooling: Stack, lost: str
) -> None:
    """A filling that the SDK repeats after its batch was claimed, a claim after another filling."""

    def scenario() -> Mapping[str, Actor]:
        pooling.reset()
        if lost == "UpdateItem":
            batches(pooling, "ShortenerFill").fill()
        pooling.faults.lose_response("dynamodb", lost)
        return {
            "filler": batches(pooling, "ShortenerFill").fill,
            "anne": batches(pooling).claim,
            "bob": batches(pooling).claim,
        }

    claimed = 0
    for run in every_interleaving(scenario):
        results = run.results()
        # A later container empties what is left.
        found = [*results["anne"], *results["bob"], *batches(pooling).claim()]  # type: ignore[misc]
        assert len(set(found)) == len(found)
        claimed += len(found)
    assert claimed


def puts(stack: Stack) -> dict[str, set[str]]:
    """The commands that tried to create each link; the SDK's repeats are of one command."""
    found = defaultdict(set)
    for call in stack.meter.calls:
        if call.operation == "PutItem" and call.function == "ShortenerCreate":
            found[call.params["Item"]["pk"]["S"]].add(call.params["Item"]["id"]["S"])
    return found


def again_and_again(work: Callable[[], object], times: int) -> None:
    """Whatever becomes of it: a filler may die or give up."""
    for _ in range(times):
        with suppress(Crash, ClientError, BotoCoreError):
            work()


@pytest.mark.parametrize("strategy", ["counter", "pool"])
@pytest.mark.parametrize("seed", range(6))
def test_no_code_is_tried_twice_under_races_crashes_and_lost_answers(
    strategy: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("functions.shortener.pool.BATCH", 2)
    monkeypatch.setattr("functions.shortener.counter.BLOCK", 2)
    chance = random.Random(seed)
    with deployed(strategy, pool_size=6) as stack:

        def scenario() -> Mapping[str, Actor]:
            faults = stack.faults
            if strategy == "pool":
                fill(stack)
                faults.lose_response("dynamodb", "PutItem", function="ShortenerFill", times=4)
            for _ in range(8):
                plan = chance.choice(
                    [faults.lose_response, faults.crash_before, faults.crash_after, faults.throttle]
                )
                operation = chance.choice(["UpdateItem", "PutItem", "BatchGetItem"])
                plan("dynamodb", operation, skip=chance.randrange(6))
            actors: dict[str, Actor] = {
                name: lambda: again_and_again(lambda: create(stack), 5)
                for name in ("anne", "bob", "cleo")
            }
            if strategy == "pool":
                for name in ("filler", "other filler"):
                    actors[name] = lambda: again_and_again(lambda: fill(stack), 3)
            return actors

        seeded(scenario, seed).results()
        tried = puts(stack)
        assert len(tried) > 9
        assert {len(commands) for commands in tried.values()} == {1}
        assert metric(stack, "conflicts") == 0
