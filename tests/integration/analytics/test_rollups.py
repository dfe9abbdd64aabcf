"""Rows are a function of the facts, whatever comes twice, late, out of order or dies on the way."""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest

from functions.analytics import rollups
from functions.analytics.decider import Definition
from functions.analytics.facts import Fact
from functions.analytics.hours import Hours
from tests.integration.analytics.counting import (
    expected_rows,
    expected_tops,
    hours,
    items,
    keep,
    message,
    records,
    rows,
    site,
    tops,
    traffic,
)
from tests.support.faults import Crash
from tests.support.interleave import Actor, seeded
from tests.support.pump import Stack

HOUR, DAY = 3_600_000, 86_400_000


def check(stack: Stack, facts: list[Fact], defined: Definition) -> None:
    assert rows(stack) == expected_rows(facts, defined)
    assert tops(stack) == expected_tops(facts, defined)
    assert items(stack, "dirty#") == []


def test_what_streams_in_is_counted(stack: Stack) -> None:
    chance, defined = random.Random(1), site(stack)
    facts = keep(stack, traffic(chance, 150, stack.clock.now() - 4 * HOUR, 3 * HOUR), defined)
    stack.drain()
    check(stack, facts, defined)
    assert stack.failures == []


@pytest.mark.parametrize("seed", range(3))
def test_records_twice_shuffled_and_in_parts_give_the_same_rows(stack: Stack, seed: int) -> None:
    chance, defined = random.Random(seed), site(stack, timezone="Asia/Kathmandu")
    late = traffic(chance, 60, stack.clock.now() - 30 * HOUR, 2 * HOUR)
    fresh = traffic(chance, 60, stack.clock.now() - HOUR, HOUR)
    facts = [fact._replace(id=f"{n}") for n, fact in enumerate([*late, *fresh])]
    chance.shuffle(facts)
    for start in range(0, len(facts), 30):
        kept = keep(stack, facts[start : start + 30], defined)
        stack.stream_records()
        chance.shuffle(kept)
        stack.invoke("AnalyticsFold", records([*kept, *kept[:5]], defined))
        if chance.random() < 0.5:
            stack.drain()
    stack.drain()
    check(stack, [fact._replace(site=defined.id) for fact in facts], defined)


@pytest.mark.parametrize("seed", range(12))
def test_two_folds_and_two_rolls_at_once_lose_nothing(stack: Stack, seed: int) -> None:
    chance, defined = random.Random(seed), site(stack)
    start = stack.clock.now() - HOUR
    first = keep(stack, traffic(chance, 6, start, 120_000), defined)
    stack.drain()
    more = [fact._replace(id=f"m{fact.id}") for fact in traffic(chance, 8, start, 120_000)]

    def fold(batch: list[Fact]) -> Any:
        kept = keep(stack, batch, defined)
        return stack.invoke("AnalyticsFold", records(kept, defined))

    def roll() -> Any:
        [hour] = hours(first, defined)
        return stack.invoke("AnalyticsRoll", message(defined, hour))

    def scenario() -> Mapping[str, Actor]:
        return {
            "one": lambda: fold(more[:5]),
            "other": lambda: fold(more[5:]),
            "roll": roll,
            "again": roll,
        }

    seeded(scenario, seed).results()
    stack.drain()
    facts = [*first, *(fact._replace(site=defined.id) for fact in more)]
    check(stack, facts, defined)


@pytest.mark.parametrize("skip", range(8))
@pytest.mark.parametrize("function", ["AnalyticsFold", "AnalyticsRoll"])
def test_to_die_before_any_call_loses_nothing(stack: Stack, function: str, skip: int) -> None:
    chance, defined = random.Random(skip), site(stack)
    facts = keep(stack, traffic(chance, 4, stack.clock.now() - HOUR, 60_000), defined)
    # Calls of a roll are two and a dozen: the last ones are reached by other strides.
    skipped = skip if function == "AnalyticsFold" else skip * 5
    stack.faults.crash_before("*", "*", function=function, skip=skipped)
    stack.drain()
    stack.advance(600)
    resend(stack)
    stack.drain()
    check(stack, facts, defined)


def resend(stack: Stack) -> None:
    env = stack.functions["AnalyticsRoll"].env
    client, sqs = stack.client("dynamodb"), stack.client("sqs")
    hours = Hours(client, env["ROLLUPS_TABLE"], sqs, env["HOURS_QUEUE_URL"])
    hours.resend(stack.clock.now())


def test_a_mark_whose_message_was_never_sent_is_sent_after_five_minutes(stack: Stack) -> None:
    defined = site(stack)
    facts = keep(stack, traffic(random.Random(3), 3, stack.clock.now() - HOUR, 60_000), defined)
    stack.stream_records()
    stack.faults.crash_before("sqs", "SendMessage", function="AnalyticsFold")
    with suppress(Crash):
        stack.invoke("AnalyticsFold", records(facts, defined))
    resend(stack)
    stack.drain()
    assert rows(stack) == {}
    stack.advance(310)
    resend(stack)
    stack.drain()
    check(stack, facts, defined)


def test_what_comes_when_segments_are_gone_is_added_to_what_was_there(stack: Stack) -> None:
    chance, defined = random.Random(5), site(stack)
    start = stack.clock.now() - HOUR
    facts = keep(stack, traffic(chance, 20, start, HOUR), defined)
    stack.drain()
    stack.advance(5 * 86_400)
    table = stack.functions["AnalyticsRoll"].env["ROLLUPS_TABLE"]
    for item in items(stack, "minute#"):
        key = {name: item[name] for name in ("pk", "sk")}
        stack.client("dynamodb").delete_item(TableName=table, Key=key)
    late = [fact._replace(id=f"late{fact.id}") for fact in traffic(chance, 2, start, HOUR)]
    facts += keep(stack, late, defined)
    stack.drain()
    check(stack, facts, defined)


def test_a_bucket_that_cannot_be_read_is_tried_again_and_the_others_go_on(stack: Stack) -> None:
    chance, defined = random.Random(5), site(stack)
    facts = keep(stack, traffic(chance, 10, stack.clock.now() - 3 * HOUR, 3 * HOUR), defined)
    stack.faults.fail(
        "dynamodb", "UpdateItem", "ValidationException", function="AnalyticsFold", times=1
    )
    stack.drain(wait=False)
    assert stack.messages("AnalyticsFoldRetry") == []
    stack.drain()
    assert [line["retried_buckets"] for line in stack.logs if "retried_buckets" in line] != []
    check(stack, facts, defined)


def test_rare_values_of_a_dense_hour_wait_for_its_end(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollups, "DENSE", 8)
    monkeypatch.setattr(rollups, "FEW", 4)
    chance, defined = random.Random(6), site(stack)
    facts = keep(stack, traffic(chance, 40, stack.clock.now(), 120_000), defined)
    stack.advance(200)
    everything = expected_rows(facts, defined)
    stack.stream_records()
    stack.invoke("AnalyticsFold", records(facts, defined))
    stack.advance(60)
    stack.drain(wait=False)
    first = rows(stack)
    assert first.items() < everything.items()
    assert first["all", "", "2026-11-01"] == everything["all", "", "2026-11-01"]
    assert {value for rollup, value, _ in first if rollup == "country"} == {"DE", "FR", "US"}
    stack.drain()
    assert stack.clock.now() % DAY >= HOUR
    check(stack, facts, defined)
