"""Who was denied: a sample to the queue, facts and rows from samples, what others are told, and the
list that the tenant sees."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import jsonschema
import pytest

from functions.edge.consumer import Consumed, consumer
from functions.kernel.envelope import Envelope
from functions.ratelimiter.denials import Denial, encode
from tests.integration.ratelimiter.asking import (
    LOGIN,
    activate,
    check,
    denials,
    deny,
    hold,
    publish,
)
from tests.integration.shortener.test_lost_clicks import from_logs, log
from tests.support.faults import Crash
from tests.support.handlers import ROOT
from tests.support.interleave import seeded
from tests.support.pump import Stack
from tests.unit.edge.test_consumer import message

IP, OTHER = "203.0.113.7", "203.0.113.8"
QUEUE = "RatelimiterDenials"
FOLDER = ROOT / "contracts" / "ratelimiter"
CONTRACT = json.loads((FOLDER / "RequestsDenied.v1.json").read_text())
SAMPLE = json.loads((FOLDER / "RequestsDenied.v1.sample.json").read_text())
SHADOW = {**LOGIN, "name": "trial", "limit": 1, "shadow": True}
DAY = "2026-11-01"
CALLS = [
    ("dynamodb", "GetItem", 0),
    ("dynamodb", "TransactWriteItems", 0),
    ("dynamodb", "GetItem", 1),
    ("dynamodb", "TransactWriteItems", 1),
    ("sns", "PublishBatch", 0),
]
"""What the consumer does for two samples, in order."""


def queued(stack: Stack) -> list[Any]:
    return [json.loads(body) for body in stack.messages(QUEUE)]


def samples(stack: Stack) -> list[Any]:
    return [denial for message in queued(stack) for denial in message["denials"]]


def listed(stack: Stack, **query: Any) -> list[Any]:
    answer = denials(stack, **query)
    assert answer.status == 200, answer.text
    items: list[Any] = answer.json()["items"]
    return items


def counted(stack: Stack, **query: Any) -> list[tuple[str, str | None, int, int]]:
    """Rows in short."""
    return [(x["rule"], x["identity"], x["denied"], x["samples"]) for x in listed(stack, **query)]


def table(stack: Stack) -> list[dict[str, Any]]:
    name = stack.functions["RatelimiterTally"].env["TALLIES_TABLE"]
    items: list[dict[str, Any]] = stack.client("dynamodb").scan(TableName=name)["Items"]
    return items


def told(stack: Stack) -> list[dict[str, Any]]:
    return [json.loads(body) for body in stack.messages("Ear")]


@pytest.fixture
def heard(stack: Stack) -> Stack:
    """A stack with somebody who hears what the rate limiter tells."""
    stack.subscribe("DomainEvents", "Ear", {"type": ["RequestsDenied"]})
    return stack


def send(stack: Stack, *sent: Denial) -> None:
    """Puts samples on the queue, in one message."""
    url = stack.functions["RatelimiterCheck"].env["DENIALS_QUEUE_URL"]
    stack.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(encode(sent)))


def sample(stack: Stack, number: int = 1, **changes: Any) -> Denial:
    found = Denial(
        id=f"{number:024x}",
        tenant="default",
        rule="login",
        kind="ip",
        at=stack.clock.now(),
        denied=1,
        method="POST",
        identity=IP,
        endpoint="/api/login",
    )
    return found._replace(**changes)


# ---- A check's sample -------------------------------------------------------------------------


def test_who_is_denied_is_told_of_once_a_minute_with_how_often(stack: Stack) -> None:
    hold(stack, LOGIN)
    deny(stack, times=4, ip=IP)
    [first] = samples(stack)
    assert (first["rule"], first["identity"], first["denied"]) == ("login", IP, 1)
    stack.advance(60)
    assert [answer.status for answer in deny(stack, ip=IP)] == [429]
    assert [each["denied"] for each in samples(stack)] == [1, 4]


def test_who_is_allowed_sends_nothing_and_makes_no_client(stack: Stack) -> None:
    hold(stack, LOGIN)
    with stack.meter.operation("check") as bill:
        check(stack, "/api/login", ip=IP)
    assert "sqs:SendMessage" not in bill.by_operation
    assert queued(stack) == []


def test_a_shadow_that_would_deny_is_told_of_as_one(stack: Stack) -> None:
    hold(stack, SHADOW)
    assert [check(stack, "/api/login", ip=IP).status for _ in range(2)] == [200, 200]
    assert [(each["rule"], each["shadow"]) for each in samples(stack)] == [("trial", True)]


@pytest.mark.parametrize(
    ("listed", "kind", "identity"),
    [({"user": "eve"}, "user", "eve"), ({"ip": "203.0.113.0/24"}, "ip", IP)],
)
def test_who_is_on_the_deny_list_is_told_of_as_such(
    stack: Stack, listed: dict[str, str], kind: str, identity: str
) -> None:
    publish(stack, LOGIN, json={"rules": [LOGIN], "deny": [listed]})
    activate(stack, 1)
    assert check(stack, "/elsewhere", ip=IP, user="eve").status == 403
    assert [(x["rule"], x["kind"], x["identity"]) for x in samples(stack)] == [
        ("(deny list)", kind, identity)
    ]


def test_what_cannot_be_counted_is_no_denial(stack: Stack) -> None:
    hold(stack, {**LOGIN, "fail": "closed"})
    stack.faults.throttle("dynamodb", "UpdateItem", times=100)
    assert check(stack, "/api/login", ip=IP).status == 503
    assert queued(stack) == []


@pytest.mark.parametrize("error", [("ServiceUnavailable", 503), ("AccessDenied", 403)])
def test_a_queue_that_fails_changes_no_answer_and_leaves_a_line_without_a_name(
    stack: Stack, error: tuple[str, int]
) -> None:
    hold(stack, LOGIN)
    stack.faults.fail("sqs", "SendMessage", error[0], status=error[1], times=100)
    [answer] = deny(stack, ip=IP)
    assert (answer.status, answer.headers["x-ratelimit-remaining"]) == (429, "0")
    line = stack.logs[-1]
    assert line["lost_denials"] == 1
    [lost] = line["lost_samples"]["denials"]
    assert lost.keys() == {"id", "tenant", "rule", "kind", "at", "denied", "method"}
    assert IP not in json.dumps(line)


def test_a_queue_that_failed_is_left_alone_for_a_while(stack: Stack) -> None:
    hold(stack, LOGIN)
    stack.faults.fail("sqs", "SendMessage", "InternalError", status=500, times=1000)
    with stack.meter.operation("denied") as bill:
        for number in range(5):
            deny(stack, ip=f"10.0.0.{number}")
    assert bill.by_operation["sqs:SendMessage"] <= 3
    stack.faults.clear()
    stack.advance(10)
    deny(stack, ip=OTHER)
    assert OTHER in {each["identity"] for each in samples(stack)}


def test_what_only_the_log_has_is_sent_from_there_once_and_without_a_name(stack: Stack) -> None:
    hold(stack, LOGIN)
    stack.faults.fail("sqs", "SendMessage", "InternalError", status=500, times=100)
    deny(stack, ip=IP)
    deny(stack, ip=OTHER)
    lines = [json.dumps(line) for line in stack.logs if "lost_samples" in line]
    stack.faults.clear()
    redrive = from_logs(stack, QUEUE)
    log(stack, lines)
    for _ in range(2):
        assert redrive("--json").exit_code == 0
        stack.drain()
        assert counted(stack) == [("login", None, 2, 2)]


# ---- Rows ---------------------------------------------------------------------------


def test_samples_of_many_containers_come_to_one_row(stack: Stack) -> None:
    hold(stack, LOGIN)
    for seconds in (0, 1, 2):
        stack.advance(seconds)
        deny(stack, ip=IP)
        stack.cold_start()
    stack.drain()
    [row] = listed(stack)
    assert row == {
        "rule": "login",
        "kind": "ip",
        "identity": IP,
        "shadow": False,
        "denied": 3,
        "samples": 3,
        "first_at": "2026-11-01T00:00:00.000Z",
        "last_at": "2026-11-01T00:00:03.000Z",
        "method": "GET",
        "endpoint": "/api/login",
    }


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 2, 3, 1, 1, 3)])
def test_twice_late_or_out_of_order_each_sample_counts_once(
    stack: Stack, order: tuple[int, ...]
) -> None:
    made = {n: sample(stack, n, denied=10**n, at=stack.clock.now() + n) for n in (1, 2, 3)}
    for number in order:
        send(stack, made[number])
        stack.drain()
    [row] = listed(stack)
    assert (row["denied"], row["samples"]) == (1110, 3)
    assert (row["first_at"], row["last_at"]) == (
        "2026-11-01T00:00:00.001Z",
        "2026-11-01T00:00:00.003Z",
    )


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call[1]}.{call[2]}")
def test_whoever_dies_between_two_calls_loses_nothing_and_counts_nothing_twice(
    heard: Stack, call: tuple[str, str, int], when: str
) -> None:
    send(heard, sample(heard, 1), sample(heard, 2, identity=OTHER, denied=7))
    service, operation, skip = call
    plan = getattr(heard.faults, f"crash_{when}")
    fault = plan(service, operation, skip=skip, function="RatelimiterTally")
    with suppress(Crash):
        heard.drain()
    assert fault.fired == 1
    heard.cold_start()
    heard.drain()
    assert sorted(counted(heard)) == [("login", IP, 1, 1), ("login", OTHER, 7, 1)]
    assert {each["id"] for each in told(heard)} == {f"{1:024x}", f"{2:024x}"}
    assert len({json.dumps(each) for each in told(heard)}) == 2


@pytest.mark.parametrize(("other", "expected"), [(2, (110, 2)), (1, (10, 1))])
def test_of_samples_that_come_at_once_none_is_forgotten_or_counted_twice(
    stack: Stack, other: int, expected: tuple[int, int]
) -> None:
    def keep(number: int) -> Any:
        body = json.dumps(encode([sample(stack, number, denied=10**number)]))
        return stack.invoke("RatelimiterTally", {"Records": [message(number, body)]})

    def scenario() -> dict[str, Callable[[], Any]]:
        stack.reset()
        return {"one": lambda: keep(1), "other": lambda: keep(other)}

    for seed in range(12):
        run = seeded(scenario, seed)
        assert list(run.results().values()) == [{"batchItemFailures": []}] * 2
        assert counted(stack) == [("login", IP, *expected)], run.schedule


def test_a_lost_answer_counts_a_sample_once(stack: Stack) -> None:
    stack.faults.lose_response("dynamodb", "TransactWriteItems")
    send(stack, sample(stack, denied=3))
    stack.drain()
    assert counted(stack) == [("login", IP, 3, 1)]


def test_the_hundredth_sample_of_somebody_costs_what_the_second_did(stack: Stack) -> None:
    bills = []
    for number in range(100):
        send(stack, sample(stack, number))
        with stack.meter.operation("sample") as bill:
            stack.drain()
        bills.append((bill.by_operation, bill.rcu, bill.wcu))
    assert bills[99] == bills[1]
    assert counted(stack) == [("login", IP, 100, 100)]


def test_a_shadows_denials_are_a_row_of_their_own(stack: Stack) -> None:
    send(stack, sample(stack, 1), sample(stack, 2, shadow=True, denied=5))
    stack.drain()
    assert [(x["shadow"], x["denied"]) for x in listed(stack, sort="denied")] == [
        (True, 5),
        (False, 1),
    ]


def test_everything_goes_so_many_days_after_its_own(stack: Stack) -> None:
    send(stack, sample(stack))
    stack.drain()
    # Thirty days after the end of the first of November.
    assert {item["gone_at"]["N"] for item in table(stack)} == {"1796169600"}
    stack.advance(31 * 86_400 - 1)
    assert len(listed(stack, day=DAY)) == 1
    stack.advance(1)
    # The table deletes late.
    assert table(stack) != []
    assert listed(stack, day=DAY) == []


def test_a_sample_that_comes_when_its_day_is_gone_is_not_kept(heard: Stack) -> None:
    send(heard, sample(heard, at=heard.clock.now() - 31 * 86_400_000))
    heard.drain()
    assert (table(heard), told(heard)) == ([], [])
    assert heard.logs[-1]["expired_denials"] == 1


BROKEN = [
    "null", "5", "[]", "{}", '{"schema":1}', '{"schema":1,"denials":[]}',
    '{"schema":1,"denials":5}', '{"schema":1,"denials":[5]}', '{"schema":1,"denials":[{}]}',
    '{"schema":2,"denials":[{}]}', "{", '"denials"',
]  # fmt: skip


@pytest.mark.parametrize("change", [
    {"id": 5}, {"tenant": None}, {"rule": []}, {"at": "now"}, {"at": -1}, {"at": 10**18},
    {"denied": 0}, {"denied": True}, {"denied": 1.5}, {"identity": 5}, {"shadow": "yes"},
])  # fmt: skip
def test_a_sample_that_is_none_is_given_up_whole_and_leaves_nothing(
    stack: Stack, change: dict[str, Any]
) -> None:
    broken = encode([sample(stack), sample(stack, 2)])
    broken["denials"][1].update(change)
    assert_given_up(stack, json.dumps(broken))


@pytest.mark.parametrize("body", BROKEN)
def test_a_message_that_is_none_is_given_up(stack: Stack, body: str) -> None:
    assert_given_up(stack, body)


def assert_given_up(stack: Stack, body: str) -> None:
    """The message ends where somebody looks, the one beside it does not."""
    url = stack.functions["RatelimiterCheck"].env["DENIALS_QUEUE_URL"]
    stack.client("sqs").send_message(QueueUrl=url, MessageBody=body)
    send(stack, sample(stack, 7, identity=OTHER))
    stack.drain()
    assert stack.messages("RatelimiterDenialsDlq") == [body]
    assert counted(stack) == [("login", OTHER, 1, 1)]
    assert IP not in json.dumps(stack.logs)


# ---- What others are told ---------------------------------------------------------------------


def test_others_are_told_as_the_contract_has_it_and_nobodys_name(heard: Stack) -> None:
    send(heard, sample(heard), sample(heard, 2, kind="user", identity="ada", shadow=True))
    heard.drain()
    assert len(told(heard)) == 2
    for each in told(heard):
        jsonschema.validate(each, CONTRACT)
        assert not {IP, "ada", "/api/login"} & set(json.dumps(each).split('"'))


def test_the_contracts_sample_is_what_is_published(heard: Stack) -> None:
    send(heard, sample(heard, 0x9C41D07BE2A85F3610BD77E4, denied=17))
    heard.drain()
    assert told(heard) == [SAMPLE]


def test_who_consumes_the_sample_finds_all_of_it(stack: Stack) -> None:
    found: list[Envelope] = []
    handler = consumer(
        stack.runtime("RatelimiterTally"), "notes", {"RequestsDenied": Consumed(1, found.append)}
    )
    context = type("Context", (), {"aws_request_id": "r"})()
    answer = handler({"Records": [message(1, json.dumps(SAMPLE))]}, context)
    assert answer == {"batchItemFailures": []}
    assert [json.loads(each.text()) for each in found] == [SAMPLE]


def test_an_identity_is_the_same_all_day_and_another_the_next(heard: Stack) -> None:
    send(heard, sample(heard, 1), sample(heard, 2), sample(heard, 3, tenant="acme"))
    send(heard, sample(heard, 4, at=heard.clock.now() + 86_400_000))
    heard.drain()
    one, again, other, later = (
        each["data"]["identity"] for each in sorted(told(heard), key=lambda each: each["id"])
    )
    assert one == again
    assert len({one, other, later}) == 3


def test_a_topic_that_takes_half_is_told_again(heard: Stack) -> None:
    heard.faults.partial("PublishBatch")
    send(heard, sample(heard, 1), sample(heard, 2))
    heard.drain()
    assert {each["id"] for each in told(heard)} == {f"{1:024x}", f"{2:024x}"}
    assert counted(heard) == [("login", IP, 2, 2)]


# ---- The list ---------------------------------------------------------------------------------


@pytest.fixture
def crowd(stack: Stack) -> Stack:
    """Denials of twelve addresses and two users by two rules, in this order, one a second."""
    now = stack.clock.now()
    for number in range(12):
        send(stack, sample(stack, number + 1, identity=f"10.0.0.{number}", at=now + number * 1000,
                           denied=(number * 7) % 12 + 1))  # fmt: skip
    for number, name in ((20, "ada"), (21, "bob")):
        send(stack, sample(stack, number, kind="user", identity=name, rule="search",
                           at=now + number * 1000, denied=100))  # fmt: skip
    stack.drain()
    return stack


def paged(stack: Stack, **query: Any) -> list[Any]:
    found, cursor = [], None
    while True:
        answer = denials(stack, **query, **({"cursor": cursor} if cursor else {})).json()
        found += answer["items"]
        assert len(answer["items"]) <= query.get("limit", 20)
        if (cursor := answer["next_cursor"]) is None:
            return found


@pytest.mark.parametrize("limit", [1, 3, 14, 100])
@pytest.mark.parametrize("sort", ["last_at", "denied"])
def test_a_list_is_whole_and_in_its_order_however_it_is_paged(
    crowd: Stack, sort: str, limit: int
) -> None:
    found = paged(crowd, sort=sort, limit=limit)
    assert len({each["identity"] for each in found}) == len(found) == 14
    order = [each[sort] for each in found]
    assert order == sorted(order, reverse=True)


def test_a_page_is_one_query_and_the_last_says_so(crowd: Stack) -> None:
    denials(crowd)
    with crowd.meter.operation("list") as bill:
        answer = denials(crowd, limit=14)
    assert bill.by_operation == {"dynamodb:Query": 1}
    assert answer.json()["next_cursor"] is None


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ({"rule": "search"}, 2),
        ({"rule": "login"}, 12),
        ({"rule": "nothing"}, 0),
        ({"user": "ada"}, 1),
        ({"ip": "10.0.0.3"}, 1),
        ({"ip": "10.0.0.3", "rule": "search"}, 0),
        ({"kind": "user"}, 2),
        ({"kind": "user", "user": "bob"}, 1),
        ({"kind": "tenant"}, 0),
        ({"day": "2026-10-31"}, 0),
    ],
)
def test_a_filter_lets_through_what_is_asked_for(
    crowd: Stack, query: dict[str, str], number: int
) -> None:
    assert len(paged(crowd, **query, limit=1)) == number


def test_a_user_is_found_in_any_spelling_and_told_of_as_one(heard: Stack) -> None:
    hold(heard, {**LOGIN, "identifiers": ["user"], "limit": 1})
    for name in ("\uff41da", "ada", "a\uff44a"):
        deny(heard, user=name)
        heard.cold_start()
    heard.drain()
    assert counted(heard, user="\uff41\uff44\uff41") == [("login", "ada", 3, 3)]
    assert len({each["data"]["identity"] for each in told(heard)}) == 1


def test_an_address_of_ipv6_finds_its_network(stack: Stack) -> None:
    hold(stack, LOGIN)
    deny(stack, ip="2001:db8:1:2::5")
    stack.drain()
    assert len(listed(stack, ip="2001:DB8:1:2::99")) == 1
    assert listed(stack, ip="2001:db8:1:3::5") == []


def test_a_filtered_list_looks_so_far_and_says_where_to_go_on(
    crowd: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("functions.ratelimiter.tallies.ROWS", 2)
    denials(crowd, limit=1)
    with crowd.meter.operation("list") as bill:
        answer = denials(crowd, ip="10.0.0.0").json()
    assert bill.by_operation == {"dynamodb:Query": 5}
    assert answer["items"] == []
    assert answer["next_cursor"] is not None
    assert len(paged(crowd, ip="10.0.0.0")) == 1


def test_another_tenants_denials_are_nobodys_business(crowd: Stack) -> None:
    assert denials(crowd, claims={"custom:tenant": "other"}).json()["items"] == []


def test_today_is_the_day_unless_another_is_named(crowd: Stack) -> None:
    crowd.advance(86_400)
    assert (denials(crowd).json()["day"], listed(crowd)) == ("2026-11-02", [])
    assert len(listed(crowd, day=DAY)) == 14


def test_who_pages_on_past_midnight_stays_in_the_day(crowd: Stack) -> None:
    crowd.advance(86_399)
    first = denials(crowd, limit=10).json()
    crowd.advance(2)
    rest = denials(crowd, limit=10, cursor=first["next_cursor"]).json()
    assert (rest["day"], len(rest["items"]), rest["next_cursor"]) == (DAY, 4, None)


def test_a_cursor_is_good_for_its_list_alone(crowd: Stack) -> None:
    cursor = denials(crowd, limit=1).json()["next_cursor"]
    for query in ({"sort": "denied"}, {"rule": "login"}, {"day": DAY}, {"ip": IP}):
        answer = denials(crowd, cursor=cursor, **query)
        assert (answer.status, answer.json()["type"]) == (400, "urn:millrace:problem:bad_cursor")
    assert denials(crowd, claims={"custom:tenant": "other"}, cursor=cursor).status == 400
    assert denials(crowd, cursor=cursor[:-2] + "xx").status == 400
    assert denials(crowd, cursor="root.e30.forged").status == 400
    assert denials(crowd, cursor=cursor).status == 200


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"day": "yesterday"}, "day"),
        ({"day": "2026-02-30"}, "day"),
        ({"day": "20261101"}, "day"),
        ({"day": "2026-11-01T00:00:00Z"}, "day"),
        ({"day": "2026-W44-7"}, "day"),
        ({"ip": "300.1.1.1"}, "ip"),
        ({"kind": "email"}, "kind"),
        ({"kind": "ip", "user": "ada"}, ""),
        ({"user": "ada", "ip": IP}, ""),
        ({"user": ""}, "user"),
        ({"user": "x" * 513}, "user"),
        ({"rule": ""}, "rule"),
        ({"sort": "rule"}, "sort"),
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"cursor": "x" * 513}, "cursor"),
        ({"identity": "ada"}, "identity"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused_by_name(
    stack: Stack, query: dict[str, str], field: str
) -> None:
    answer = denials(stack, **query)
    assert (answer.status, [e["field"] for e in answer.json()["errors"]]) == (422, [field])


def test_who_may_not_read_may_not(stack: Stack) -> None:
    assert denials(stack, claims={"custom:scopes": "ratelimiter:write"}).status == 403
