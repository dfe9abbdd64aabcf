"""From the queue into the exact ledger: each event once, whatever comes again, crashes or fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from functions.analytics.facts import minute_of, parts
from functions.analytics.handlers.ingest import RESERVE_MS
from functions.analytics.links import RETENTION_DAYS
from functions.analytics.salts import GRACE_MS
from functions.analytics.tracking import SKEW_MS
from tests.integration.analytics.sites import ask, make
from tests.integration.analytics.tracking import (
    CHROME,
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    counted,
    facts,
    ingest,
    items,
    queued,
    send,
    settle,
)
from tests.support.faults import Crash
from tests.support.handlers import ROOT
from tests.support.interleave import seeded
from tests.support.pump import Stack

CLICK = json.loads((ROOT / "contracts/shortener/LinkClicked.v1.sample.json").read_text())


@pytest.fixture(scope="module")
def deployed() -> Iterator[Stack]:
    """One stack for all tests of this file."""
    with Stack([ROOT / "template.yaml"]) as stack:
        yield stack


@pytest.fixture
def stack(deployed: Stack) -> Stack:
    """The stack as after its deployment."""
    deployed.reset()
    return deployed


@pytest.fixture
def site(stack: Stack) -> str:
    return make(stack)


def message(stack: Stack, site: str, *events: Any, **given: Any) -> Any:
    """What the queue holds for events that a browser has just sent."""
    send(stack, site, *events, **given)
    return queued(stack)[-1]


# ---- What becomes of an event ----------------------------------------------------------------


def test_an_event_becomes_a_fact(stack: Stack, site: str) -> None:
    event = {
        "id": "a",
        "event_type": "signup",
        "page": "/a?utm_source=mail&utm_campaign=spring",
        "referrer": "https://www.news.example/x",
        "metadata": {"plan": "pro"},
        "link": "https://other.example/x",
    }
    send(stack, site, event, cloudfront_viewer_country="AT")
    settle(stack)
    [fact] = facts(stack)
    assert fact._replace(visitor="") == (
        *("a", site, stack.clock.now(), "signup", "", "/a", "other.example/x", "news.example"),
        *("AT", "desktop", "Chrome", "Linux", ("mail", None, "spring", None, None)),
        *((("plan", "pro"),), None),
    )
    assert fact.visitor is not None
    assert len(fact.visitor) == 16


def test_a_fact_is_in_its_bucket_and_gone_when_the_site_keeps_it_no_longer(stack: Stack) -> None:
    site, now = make(stack, retention_days=30), stack.clock.now()
    send(stack, site, {"id": "a", "timestamp": now - 2 * DAY})
    settle(stack)
    [item] = items(stack)
    assert parts(item["pk"]["S"]) == (site, minute_of(now - 2 * DAY), 0)
    assert item["sk"]["S"] == "a"
    assert int(item["gone_at"]["N"]) == (now - 2 * DAY) // 1000 + 30 * 86_400


@pytest.mark.parametrize(
    ("event", "headers", "machine"),
    [
        ({}, {"user_agent": "Mozilla/5.0 (compatible; Googlebot/2.1)"}, "bot"),
        ({}, {"user_agent": "HeadlessChrome/140"}, "bot"),
        ({"referrer": "https://42.semalt.com/"}, {}, "spam"),
        ({"referrer": "https://deep.bad.example/"}, {}, "spam"),
        ({"referrer": "https://www.worse.example/"}, {}, "spam"),
        ({"referrer": "https://news.example/"}, {}, None),
        ({"referrer": "https://www.shop.example/x"}, {}, None),
    ],
    ids=["bot", "headless", "known spam", "blocked", "blocked www", "referred", "own"],
)
def test_machines_and_spammers_are_counted_apart(
    stack: Stack, event: Any, headers: Any, machine: str | None
) -> None:
    site = make(stack, blocked_referrers=["bad.example", "www.worse.example"])
    send(stack, site, event, **headers)
    settle(stack)
    [fact] = facts(stack)
    assert fact.machine == machine
    assert fact.referrer != "shop.example"


def test_values_that_would_break_keys_are_cut(stack: Stack, site: str) -> None:
    send(stack, site, {"page": "/" + "é" * 1_500, "metadata": {"a": "x" * 1_500}})
    settle(stack)
    [fact] = facts(stack)
    assert fact.page is not None
    assert len(fact.page.encode()) <= 200
    assert fact.props == (("a", "x" * 200),)


# ---- The same again --------------------------------------------------------------------------


def test_a_repeat_is_the_same_fact(stack: Stack, site: str) -> None:
    event = {"id": "a", "timestamp": stack.clock.now()}
    for _ in range(3):
        send(stack, site, event)
        stack.advance(DAY / 1000)
    settle(stack)
    assert len(facts(stack)) == 1
    assert [counted(stack, f"{each}_events") for each in ("kept", "repeated", "conflicting")] == [
        *(1, 2, 0)
    ]


def test_of_two_bodies_of_one_id_the_first_stays(stack: Stack, site: str) -> None:
    now = stack.clock.now()
    for page in ("/first", "/second", "/first"):
        send(stack, site, {"id": "a", "page": page, "timestamp": now})
        settle(stack)
    assert [fact.page for fact in facts(stack)] == ["/first"]
    assert counted(stack, "conflicting_events") == 1


def test_the_same_id_on_two_sites_is_two_events(stack: Stack, site: str) -> None:
    other = make(stack, name="Other")
    for each in (site, other):
        send(stack, each, {"id": "a"})
    settle(stack)
    assert len(facts(stack)) == 2


@pytest.mark.parametrize("skew", [0, MINUTE, SKEW_MS + 1, 3 * HOUR, 400 * DAY, -HOUR, -400 * DAY])
def test_replayed_bytes_are_the_same_fact_by_whatever_clock(
    stack: Stack, site: str, skew: int
) -> None:
    """`skew` is how far the sender's clock is behind."""
    now = stack.clock.now()
    said = now - skew
    for wait in (0, SECOND, 4 * MINUTE, 56 * MINUTE, 3 * HOUR, 5 * DAY, 300 * DAY):
        stack.advance(wait / 1000)
        send(stack, site, {"id": "a", "timestamp": said - SECOND}, sent_at=said)
        settle(stack)
    [fact] = facts(stack)
    assert fact.at == (now if abs(skew) > SKEW_MS else said) - SECOND


def test_an_id_without_any_time_counts_once_too(stack: Stack, site: str) -> None:
    for _ in range(3):
        send(stack, site, {"id": "a"}, {"event_type": "nameless"})
        stack.advance(HOUR / 1000)
    settle(stack)
    assert sorted(fact.name for fact in facts(stack)) == ["nameless"] * 3 + ["pageview"]


def test_an_id_without_a_time_of_its_own_counts_once_whenever_it_is_sent(
    stack: Stack, site: str
) -> None:
    for _ in range(3):
        send(stack, site, {"id": "a"}, sent_at=stack.clock.now())
        stack.advance(2 * MINUTE / 1000)
    settle(stack)
    assert len(facts(stack)) == 1


def test_a_pointer_lives_as_long_as_the_fact_it_points_to(stack: Stack, site: str) -> None:
    said = stack.clock.now() - 1_000 * DAY
    send(stack, site, {"id": "a", "timestamp": said}, sent_at=said)
    settle(stack)
    gone = {item["gone_at"]["N"] for item in items(stack)}
    assert len(items(stack)) == 2
    assert gone == {str(stack.clock.now() // 1000 + 365 * 86_400)}


def test_a_pointer_in_the_way_of_another_event_is_no_fact(stack: Stack, site: str) -> None:
    now = stack.clock.now()
    one, other = now - 5 * HOUR, now - 9 * HOUR
    # One id, sent by two clocks: the second's corrected time is the first's own.
    ingest(stack, message(stack, site, {"id": "a", "timestamp": one}, sent_at=one))
    second = message(stack, site, {"id": "a", "timestamp": other}, sent_at=other)
    second["events"][0]["at"] = one
    assert ingest(stack, second) == []
    assert [fact.at for fact in facts(stack)] == [now]
    assert counted(stack, "conflicting_events") == 1


# ---- Failures --------------------------------------------------------------------------------


def crashed(stack: Stack, body: Any) -> bool:
    try:
        ingest(stack, body)
    except Crash:
        return True
    return False


@pytest.mark.parametrize("when", ["crash_before", "crash_after"])
@pytest.mark.parametrize("clock", [0, HOUR], ids=["right clock", "wrong clock"])
def test_a_crash_between_any_two_calls_neither_loses_nor_doubles(
    stack: Stack, site: str, when: str, clock: int
) -> None:
    said = stack.clock.now() - clock
    body = message(
        stack, site, *({"id": f"{n}", "timestamp": said} for n in range(3)), sent_at=said
    )
    calls = 0
    while True:
        stack.faults.clear()
        fault = getattr(stack.faults, when)("*", "*", function="AnalyticsIngest", skip=calls)
        stack.cold_start()
        if not crashed(stack, body):
            break
        calls += 1
    assert fault.fired == 0
    # A read of the site, and each event's writes.
    assert calls == 1 + 3 * (2 if clock else 1)
    stack.faults.clear()
    stack.advance(HOUR / 1000)
    assert ingest(stack, body) == []
    assert [fact.id for fact in facts(stack)] == ["0", "1", "2"]


@pytest.mark.parametrize("seed", range(8))
def test_the_same_message_in_several_containers_is_kept_once(
    stack: Stack, site: str, seed: int
) -> None:
    said = stack.clock.now() - HOUR
    body = message(stack, site, {"id": "a", "timestamp": said}, sent_at=said)
    replay = json.loads(json.dumps(body))
    replay["received"] += MINUTE
    replay["events"][0]["at"] += MINUTE

    def first() -> Any:
        return ingest(stack, body)

    def again() -> Any:
        return ingest(stack, replay)

    run = seeded(lambda: {"first": first, "again": again}, seed)
    assert list(run.results().values()) == [[], []]
    assert len(facts(stack)) == 1


def test_a_lost_answer_keeps_a_fact_once(stack: Stack, site: str) -> None:
    body = message(stack, site, {"id": "a"})
    stack.faults.lose_response("dynamodb", "PutItem", resource="AnalyticsFacts")
    assert ingest(stack, body) == []
    assert len(facts(stack)) == 1


POISON = [
    "",
    "{",
    "null",
    "[]",
    "{}",
    '{"site":5}',
    '{"site":"zzzzzzzzzzzz"}',
    "[" * 10_000,
]


@pytest.mark.parametrize("poison", POISON)
def test_a_poisoned_message_takes_no_other_with_it(stack: Stack, site: str, poison: str) -> None:
    first, last = (message(stack, site, {"id": id}) for id in ("first", "last"))
    assert ingest(stack, first, poison, last) == [1]
    assert [fact.id for fact in facts(stack)] == ["first", "last"]
    assert stack.logs[-1]["outcome"] == "failed"


def test_a_poisoned_event_leaves_nothing_of_its_message(stack: Stack, site: str) -> None:
    body = message(stack, site, {"id": "a"}, {"id": "b"})
    del body["events"][1]["name"]
    assert ingest(stack, body) == [0]
    assert facts(stack) == []


def test_a_poisoned_message_ends_where_somebody_looks(stack: Stack, site: str) -> None:
    sqs, url = stack.client("sqs"), stack.functions["AnalyticsTrack"].env["TRACKED_QUEUE_URL"]
    sqs.send_message(QueueUrl=url, MessageBody="{")
    send(stack, site, {"id": "a"})
    stack.drain()
    assert stack.messages("AnalyticsTrackedDlq") == ["{"]
    assert [fact.id for fact in facts(stack)] == ["a"]


def test_a_message_whose_write_fails_halfway_is_tried_again_whole_and_harmlessly(
    stack: Stack, site: str
) -> None:
    events = ({"id": f"{n:03}", "timestamp": stack.clock.now()} for n in range(60))
    body = message(stack, site, *events)
    whole = message(stack, site, {"id": "whole"})
    stack.faults.fail(
        "dynamodb", "PutItem", "InternalServerError", status=500, times=3, skip=29,
        resource="AnalyticsFacts",
    )  # fmt: skip
    assert ingest(stack, body, whole) == [0]
    assert len(facts(stack)) == 29 + 1
    assert ingest(stack, body) == []
    assert [fact.id for fact in facts(stack)] == [*(f"{n:03}" for n in range(60)), "whole"]
    assert counted(stack, "conflicting_events") == 0


def test_what_there_is_no_time_for_comes_again(stack: Stack, site: str) -> None:
    body = message(stack, site, {"id": "a"})
    late = stack.functions["AnalyticsIngest"]
    stack.functions["AnalyticsIngest"] = type(late)(
        **{**vars(late), "timeout": (RESERVE_MS - 1) // 1000}
    )
    assert ingest(stack, body) == [0]
    assert facts(stack) == []


def test_of_a_site_that_was_deleted_meanwhile_nothing_is_kept(stack: Stack, site: str) -> None:
    body = message(stack, site, {}, {})
    ask(stack, "DELETE", f"/{site}", 204, headers={"if-match": "*"})
    assert ingest(stack, body) == []
    assert facts(stack) == []
    assert counted(stack, "dropped_events") == 2


# ---- Bills -----------------------------------------------------------------------------------


def test_an_event_is_one_write(stack: Stack, site: str) -> None:
    ingest(stack, message(stack, site, {}))
    body = message(stack, site, *({"page": f"/{number}"} for number in range(20)))
    with stack.meter.operation("ingest") as bill:
        assert ingest(stack, body) == []
    assert bill.by_operation == {"dynamodb:PutItem": 20}
    assert bill.wcu == 20


def test_an_event_of_a_wrong_clock_is_two(stack: Stack, site: str) -> None:
    ingest(stack, message(stack, site, {}))
    said = stack.clock.now() - HOUR
    body = message(stack, site, {"id": "a", "timestamp": said}, sent_at=said)
    with stack.meter.operation("moved") as bill:
        assert ingest(stack, body) == []
    assert bill.by_operation == {"dynamodb:PutItem": 2}


# ---- Clicks ----------------------------------------------------------------------------------


def click(stack: Stack, *clicks: Any) -> list[int]:
    """Hands clicks to their function as one batch; gives the places of those that it reports."""
    records = [
        {
            "messageId": str(number),
            "receiptHandle": str(number),
            "body": body if isinstance(body, str) else json.dumps(body),
            "attributes": {"ApproximateReceiveCount": "1"},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "awsRegion": "us-east-1",
        }
        for number, body in enumerate(clicks)
    ]
    answer = stack.invoke("AnalyticsClicks", {"Records": records})
    return [int(failure["itemIdentifier"]) for failure in answer["batchItemFailures"]]


def clicked(stack: Stack, ago: int = 0, **data: Any) -> Any:
    """A click as the contract's sample, just now; a field of None is absent."""
    merged = {**CLICK["data"], **data}
    told = {name: value for name, value in merged.items() if value is not None}
    return {**CLICK, "time": stack.clock.now() - ago, "data": told}


def test_a_click_is_a_fact_of_its_links_own_site(stack: Stack) -> None:
    assert click(stack, clicked(stack, url="https://example.com/sale?token=secret#x")) == []
    [fact] = facts(stack)
    assert fact._replace(visitor="") == (
        *(CLICK["id"], "link:default/spring", stack.clock.now(), "click", "", None),
        *("example.com/sale", "news.example.com", "AT", "mobile"),
        *(fact.browser, "iOS", (None,) * 5, (), None),
    )
    assert fact.visitor not in (None, CLICK["data"]["visitor"])
    [item] = items(stack)
    assert int(item["gone_at"]["N"]) == fact.at // 1000 + RETENTION_DAYS * 86_400


def test_where_a_click_led_names_no_person(stack: Stack) -> None:
    led = "https://bob:secret@shop.example/u/bob%40example.com?token=secret"
    assert click(stack, clicked(stack, url=led)) == []
    assert [fact.link for fact in facts(stack)] == ["shop.example/u/[redacted]"]


@pytest.mark.parametrize(
    ("data", "machine"),
    [
        *(({"kind": kind}, kind) for kind in ("bot", "preview", "prefetch", "head")),
        ({"kind": "human", "referrer": "semalt.com"}, "spam"),
        ({"kind": "human", "referrer": None, "agent": None, "country": None}, None),
    ],
)
def test_a_machines_click_is_counted_apart(stack: Stack, data: Any, machine: str | None) -> None:
    assert click(stack, clicked(stack, **data)) == []
    assert [fact.machine for fact in facts(stack)] == [machine]


def test_a_clicks_visitor_loses_its_meaning_with_its_salt(stack: Stack) -> None:
    one = {**clicked(stack), "id": "1" * 24}
    same = {**clicked(stack), "id": "2" * 24}
    nobody = {**clicked(stack, visitor=None), "id": "3" * 24}
    late = {**clicked(stack, ago=2 * DAY), "id": "4" * 24}
    assert click(stack, one, same, nobody, late) == []
    first, second, third, fourth = facts(stack)
    assert first.visitor == second.visitor is not None
    assert (third.visitor, fourth.visitor) == (None, None)


def test_a_repeated_click_is_the_same_for_an_hour_after_midnight(stack: Stack) -> None:
    stack.advance((DAY - stack.clock.now() % DAY - SECOND) / 1000)
    told = clicked(stack)
    click(stack, told)
    stack.advance(GRACE_MS / 1000)
    assert click(stack, told, {**told, "id": "2" * 24}) == []
    first, second = facts(stack)
    assert first.visitor == second.visitor


def test_clicks_come_once_each_and_a_bad_one_alone(stack: Stack) -> None:
    good = clicked(stack)
    bad = [
        {**good, "type": "LinkRenamed"},
        {**good, "schema": 2},
        {**good, "data": {}},
        {},
        "{",
    ]
    assert click(stack, good, *bad, {**good, "id": "2" * 24}, good) == [1, 2, 3, 4, 5]
    assert len(facts(stack)) == 2
    assert counted(stack, "repeated_clicks") == 1


@pytest.mark.parametrize("when", ["crash_before", "crash_after"])
def test_a_crash_neither_loses_nor_doubles_a_click(stack: Stack, when: str) -> None:
    told, calls = clicked(stack), 0
    while True:
        stack.faults.clear()
        getattr(stack.faults, when)("*", "*", function="AnalyticsClicks", skip=calls)
        stack.cold_start()
        try:
            assert click(stack, told) == []
        except Crash:
            calls += 1
            continue
        break
    assert calls >= 2
    assert [fact.id for fact in facts(stack)] == [CLICK["id"]]


def test_a_click_is_one_write(stack: Stack) -> None:
    click(stack, clicked(stack))
    others = [{**clicked(stack), "id": f"{number:024}"} for number in range(5)]
    with stack.meter.operation("clicks") as bill:
        assert click(stack, *others) == []
    assert bill.by_operation == {"dynamodb:PutItem": 5}
    assert bill.wcu == 5


def test_a_redirect_is_counted_by_the_wiring_of_the_template(stack: Stack) -> None:
    body = {"long_url": "https://example.com/sale", "alias": "spring"}
    assert stack.request("POST", "/v1/links", user="alice", json=body).status == 201
    for agent in (CHROME, CHROME, "curl/8.9.1"):
        assert stack.request("GET", "/spring", headers={"user-agent": agent}).status == 302
    stack.drain()
    found = facts(stack)
    assert {(fact.site, fact.link) for fact in found} == {
        ("link:default/spring", "example.com/sale")
    }
    assert sorted(fact.machine or "" for fact in found) == ["", "", "bot"]
    assert len({fact.visitor for fact in found if fact.machine is None}) == 1
    assert stack.messages("ShortenerClicks") == []
