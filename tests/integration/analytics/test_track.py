"""POST /v1/track on the deployed wiring: who may send, what is answered, what it costs."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from functions.analytics.hotsites import CAPACITY, FRESH_MS, STALE_MS
from functions.analytics.salts import GRACE_MS, delete_old
from functions.analytics.tracking import MAX_BODY_BYTES, MAX_EVENTS
from tests.integration.analytics.sites import OWNER, UNKNOWN, ask, change, make
from tests.integration.analytics.tracking import (
    CHROME,
    DAY,
    HOUR,
    MINUTE,
    ORIGIN,
    counted,
    facts,
    queued,
    send,
    send_text,
    settle,
)
from tests.support.handlers import ROOT
from tests.support.http_api import Response
from tests.support.interleave import seeded
from tests.support.pump import Stack


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


def kind(answer: Response) -> str:
    found: str = answer.json()["type"].rpartition(":")[2]
    return found


# ---- Who may send ----------------------------------------------------------------------------


def test_a_browser_on_one_of_the_sites_pages_sends_events(stack: Stack, site: str) -> None:
    answer = send(stack, site, {"page": "/a"}, {"event_type": "signup"})
    assert answer.json() == {"accepted": 2, "ignored": 0, "rejected": []}
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["vary"] == "origin"
    settle(stack)
    assert {fact.name for fact in facts(stack)} == {"pageview", "signup"}


@pytest.mark.parametrize("media", ["application/json", "text/plain;charset=UTF-8", ""])
def test_json_comes_as_what_a_browser_calls_it(stack: Stack, site: str, media: str) -> None:
    assert send(stack, site, {}, content_type=media).json()["accepted"] == 1


@pytest.mark.parametrize(
    "origin",
    [
        *("", "null", "https://evil.example", "http://shop.example", "https://shop.example:8443"),
        *("https://shop.example.evil.example", "https://a.shop.example", f"{ORIGIN}, {ORIGIN}"),
    ],
)
def test_a_page_of_another_origin_sends_nothing(stack: Stack, site: str, origin: str) -> None:
    assert kind(send(stack, site, {}, status=403, origin=origin)) == "foreign_origin"
    assert queued(stack) == []


@pytest.mark.parametrize("id", [UNKNOWN, "zzzzzzzzzzzz"])
def test_what_is_no_site_is_not_found(stack: Stack, id: str) -> None:
    assert kind(send(stack, id, {}, status=404)) == "not_found"


def test_a_deleted_site_takes_nothing_after_a_minute(stack: Stack, site: str) -> None:
    send(stack, site, {})
    ask(stack, "DELETE", f"/{site}", 204, headers={"if-match": "*"})
    stack.advance(FRESH_MS / 1000)
    send(stack, site, {}, status=404)


def test_changed_origins_bind_within_a_minute(stack: Stack, site: str) -> None:
    send(stack, site, {}, origin="https://new.example", status=403)
    change(stack, site, json={"origins": ["https://new.example"]})
    stack.advance(FRESH_MS / 1000)
    send(stack, site, {}, origin="https://new.example")
    send(stack, site, {}, status=403)


def test_a_page_asks_before_it_sends_json(stack: Stack) -> None:
    answer = stack.request("OPTIONS", "/v1/track", headers={"origin": ORIGIN})
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert answer.headers["access-control-allow-headers"] == "content-type"


@pytest.mark.parametrize("headers", [{"sec_gpc": "1"}, {"dnt": "1"}])
def test_of_whoever_asks_for_it_nothing_is_kept(
    stack: Stack, site: str, headers: dict[str, Any]
) -> None:
    answer = send(stack, site, {"user_id": "u"}, {}, **headers)
    assert answer.json() == {"accepted": 0, "ignored": 2, "rejected": []}
    assert queued(stack) == []


# ---- What may be sent ------------------------------------------------------------------------

BODIES = {
    "nothing": ("", 400, "bad_json"),
    "cut": ('{"site"', 400, "bad_json"),
    "deep": ("[" * 100_000, 400, "bad_json"),
    "not a number": ('{"site":NaN}', 400, "bad_json"),
    "binary": (b"\x00\xff\xfe", 400, "bad_body"),
    "list": ("[]", 422, "invalid"),
    "no events": (f'{{"site":"{UNKNOWN}"}}', 422, "invalid"),
    "no site": ('{"events":[{}]}', 422, "invalid"),
    "too many": (json.dumps({"site": UNKNOWN, "events": [{}] * 501}), 422, "invalid"),
    "too much": ("x" * (MAX_BODY_BYTES + 1), 413, "too_large"),
    "a megabyte": (json.dumps({"metadata": "x" * 2**20}), 413, "too_large"),
}


@pytest.mark.parametrize(("body", "status", "name"), BODIES.values(), ids=BODIES)
def test_what_makes_no_sense_is_a_named_problem(
    stack: Stack, body: str | bytes, status: int, name: str
) -> None:
    answer = send_text(stack, body, status)
    assert kind(answer) == name
    assert answer.headers["access-control-allow-origin"] == ORIGIN


def test_what_is_compressed_is_refused_unread(stack: Stack, site: str) -> None:
    bomb = gzip.compress(b" " * 10**7)
    for encoding in ("gzip", "br", "gzip, identity"):
        answer = send_text(stack, bomb, 415, content_encoding=encoding)
        assert kind(answer) == "unsupported_encoding"
    send(stack, site, {}, content_encoding="identity")


def test_what_is_no_json_by_its_own_word_is_refused(stack: Stack) -> None:
    assert kind(send_text(stack, "{}", 415, content_type="text/xml")) == "unsupported_media_type"


def test_bad_events_keep_no_good_ones_out(stack: Stack, site: str) -> None:
    bad = [
        {"timestamp": -1},
        {"timestamp": 1.5},
        {"page": "/a\u0000"},
        {"metadata": {"a": {"b": 1}}},
        {"tint": "red"},
        5,
    ]
    answer = send(stack, site, {"id": "a"}, *bad, {"id": "b"}).json()
    assert answer["accepted"] == 2
    assert [(each["index"], each["field"]) for each in answer["rejected"]] == [
        *((1, "timestamp"), (2, "timestamp"), (3, "page"), (4, "metadata.a")),
        *((5, "tint"), (6, "")),
    ]
    assert [event["id"] for event in queued(stack)[0]["events"]] == ["a", "b"]
    assert (counted(stack, "accepted_events"), counted(stack, "rejected_events")) == (2, 6)


def test_where_every_event_is_bad_nothing_is_sent_on(stack: Stack, site: str) -> None:
    assert send(stack, site, 5, 6).json()["accepted"] == 0
    assert queued(stack) == []


def test_events_older_than_the_site_keeps_are_refused(stack: Stack) -> None:
    site, now = make(stack, retention_days=30), stack.clock.now()
    answer = send(stack, site, {"timestamp": now - 29 * DAY}, {"timestamp": now - 31 * DAY}).json()
    assert (answer["accepted"], answer["rejected"][0]["index"]) == (1, 1)


def test_the_largest_request_there_may_be_fits_into_a_message(stack: Stack, site: str) -> None:
    page = "/?utm_term=" + "é" * 240
    events = [{"page": page} for _ in range(MAX_EVENTS)]
    body = json.dumps({"site": site, "events": events}, ensure_ascii=False)
    assert MAX_BODY_BYTES * 0.9 < len(body.encode()) <= MAX_BODY_BYTES
    assert json.loads(send_text(stack, body).text)["accepted"] == MAX_EVENTS
    assert len(queued(stack)[0]["events"]) == MAX_EVENTS


def test_a_body_may_come_in_base64(stack: Stack, site: str) -> None:
    event = {
        "version": "2.0",
        "routeKey": "POST /v1/track",
        "headers": {"origin": ORIGIN, "user-agent": CHROME},
        "requestContext": {"requestId": "r", "http": {"method": "POST", "sourceIp": "192.0.2.1"}},
        "body": base64.b64encode(json.dumps({"site": site, "events": [{}]}).encode()).decode(),
        "isBase64Encoded": True,
    }
    assert stack.invoke("AnalyticsTrack", event)["statusCode"] == 202


# ---- What is sent on -------------------------------------------------------------------------


def test_neither_address_nor_user_nor_query_goes_further(stack: Stack, site: str) -> None:
    page = "/a?token=secret-token&utm_source=mail"
    referrer = "https://news.example/x?q=secret-query"
    send(stack, site, {"page": page, "referrer": referrer, "user_id": "secret-user"}, {})
    [message] = stack.messages("AnalyticsTracked")
    told = message + json.dumps(stack.logs)
    assert not [word for word in ("secret", "203.0.113", "127.0.0.1") if word in told]
    assert "utm_source=mail" in message


def test_the_country_is_what_the_edge_says(stack: Stack, site: str) -> None:
    send(stack, site, {}, cloudfront_viewer_country="AT")
    send(stack, site, {}, cloudfront_viewer_country="<script>")
    assert [message["country"] for message in queued(stack)] == ["AT", None]


def test_a_page_that_is_only_looked_ahead_at_is_a_machines(stack: Stack, site: str) -> None:
    send(stack, site, {}, sec_purpose="prefetch;prerender")
    settle(stack)
    assert [fact.machine for fact in facts(stack)] == ["prefetch"]


# ---- Visitors --------------------------------------------------------------------------------


def visitors(stack: Stack) -> list[Any]:
    return [event.get("visitor") for message in queued(stack) for event in message["events"]]


def salts(stack: Stack) -> list[str]:
    table = stack.functions["AnalyticsTrack"].env["SALTS_TABLE"]
    found = stack.client("dynamodb").scan(TableName=table)["Items"]
    return sorted(item["pk"]["S"] for item in found)


def test_a_visitor_is_another_on_another_site_and_another_day(stack: Stack, site: str) -> None:
    other = make(stack, name="Other")
    for each in (site, site, other):
        send(stack, each, {})
    send(stack, site, {}, user_agent="Opera")
    stack.advance(DAY / 1000)
    send(stack, site, {})
    first, again, elsewhere, another, tomorrow = visitors(stack)
    assert first == again
    assert len({first, elsewhere, another, tomorrow}) == 4


def test_a_visitor_stays_the_same_for_as_long_as_the_site_says(stack: Stack) -> None:
    site = make(stack, identity="month")
    for _ in range(3):
        send(stack, site, {})
        stack.advance(DAY / 1000)
    assert len(set(visitors(stack))) == 1


def test_a_user_who_is_named_stays_the_same_for_ever(stack: Stack, site: str) -> None:
    send(stack, site, {"user_id": "u1"}, {"user_id": "u2"})
    stack.advance(40 * DAY / 1000)
    stack.cold_start()
    send(stack, site, {"user_id": "u1"}, user_agent="Opera")
    one, two, again = visitors(stack)
    assert one == again != two


@pytest.mark.parametrize("seed", range(6))
def test_containers_at_once_make_one_salt(stack: Stack, site: str, seed: int) -> None:
    def visit() -> None:
        send(stack, site, {})

    run = seeded(lambda: {f"visitor {number}": visit for number in range(3)}, seed)
    assert set(run.results().values()) == {None}
    assert len(set(visitors(stack))) == 1
    assert len(salts(stack)) == 1


def test_a_salt_whose_answer_was_lost_is_the_one_that_is_there(stack: Stack, site: str) -> None:
    stack.faults.lose_response("dynamodb", "PutItem", resource="AnalyticsSalts")
    send(stack, site, {})
    stack.cold_start()
    send(stack, site, {})
    assert len(set(visitors(stack))) == 1


def test_a_salt_is_deleted_an_hour_after_its_period_and_never_made_again(
    stack: Stack, site: str
) -> None:
    monthly = make(stack, name="Monthly", identity="month")
    send(stack, site, {})
    send(stack, monthly, {})
    day, month = salts(stack)
    table = stack.functions["AnalyticsTrack"].env["SALTS_TABLE"]
    client, midnight = stack.client("dynamodb"), (stack.clock.now() // DAY + 1) * DAY

    assert delete_old(client, table, midnight + GRACE_MS - 1) == 0
    assert delete_old(client, table, midnight + GRACE_MS) == 1
    assert salts(stack) == [month]
    assert day.startswith("day#")
    stack.advance((midnight + GRACE_MS - stack.clock.now()) / 1000)
    send(stack, site, {})
    assert day not in salts(stack)


def test_without_salts_and_secrets_events_are_kept_without_visitors(
    stack: Stack, site: str
) -> None:
    stack.faults.fail("dynamodb", "*", "InternalServerError", times=-1, resource="AnalyticsSalts")
    stack.faults.fail("secretsmanager", "*", "InternalServiceError", times=-1)
    assert send(stack, site, {}, {"user_id": "u1"}).json()["accepted"] == 2
    assert visitors(stack) == [None, None]
    assert counted(stack, "events_without_visitor") == 2


# ---- A store that fails ----------------------------------------------------------------------


def test_a_known_site_outlives_a_failing_store_and_an_unknown_one_is_503(
    stack: Stack, site: str
) -> None:
    send(stack, site, {})
    stack.faults.fail(
        "dynamodb", "Query", "InternalServerError", status=500, times=-1, resource="AnalyticsEvents"
    )
    stack.advance(STALE_MS / 1000 - 1)
    send(stack, site, {})
    assert kind(send(stack, UNKNOWN, {}, status=503)) == "unavailable"
    stack.advance(2)
    send(stack, site, {}, status=503)


def test_a_queue_that_fails_is_503(stack: Stack, site: str) -> None:
    stack.faults.fail("sqs", "SendMessage", "InternalError", status=500, times=-1)
    assert kind(send(stack, site, {}, status=503)) == "unavailable"


# ---- Bills -----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 50, MAX_EVENTS])
def test_whatever_the_number_of_events_they_are_one_message(
    stack: Stack, site: str, number: int
) -> None:
    send(stack, site, {"user_id": "u"}, {})
    with stack.meter.operation("track") as bill:
        send(stack, site, *({"page": f"/{n}", "user_id": "u"} for n in range(number)))
    assert bill.by_operation == {"sqs:SendMessage": 1}


def test_the_first_request_reads_site_and_salt(stack: Stack, site: str) -> None:
    with stack.meter.operation("cold") as bill:
        send(stack, site, {})
    assert bill.by_operation == {
        "dynamodb:Query": 1,
        "dynamodb:GetItem": 1,
        "dynamodb:PutItem": 1,
        "sqs:SendMessage": 1,
    }
    assert bill.rcu <= 1.5


def test_a_made_up_id_is_looked_for_once_and_what_is_no_id_never(stack: Stack) -> None:
    with stack.meter.operation("flood") as bill:
        for _ in range(5):
            send(stack, UNKNOWN, {}, status=404)
            send(stack, "' OR 1=1", {}, status=422)
    assert bill.by_operation == {"dynamodb:Query": 1}
    assert bill.rcu == 0.5


def test_a_flood_of_made_up_ids_pushes_no_site_out(
    stack: Stack, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert CAPACITY > 100
    monkeypatch.setattr("functions.analytics.hotsites.CAPACITY", 5)
    send(stack, site, {})
    for number in range(10):
        send(stack, f"{number:012}", {}, status=404)
    with stack.meter.operation("after") as bill:
        send(stack, site, {})
    assert bill.by_operation == {"sqs:SendMessage": 1}


# ---- From a site's own server ----------------------------------------------------------------


def submit(
    stack: Stack, site: str, *events: Any, status: int = 202, user: str = OWNER, **rest: Any
) -> Response:
    body = {"events": list(events)}
    path = f"/v1/sites/{site}/events"
    answer = stack.request("POST", path, user=user, json=body, **rest)
    assert answer.status == status, answer.text
    return answer


def test_a_sites_server_tells_of_its_visitors(stack: Stack, site: str) -> None:
    visitor = {"ip": "192.0.2.7", "agent": CHROME, "country": "at"}
    submit(stack, site, {"id": "a", **visitor}, {"id": "b", **visitor}, {"id": "c"})
    settle(stack)
    first, second, alone = facts(stack)
    assert first.visitor == second.visitor is not None
    assert (first.country, first.browser, first.device) == ("AT", "Chrome", "desktop")
    assert (alone.visitor, alone.device, alone.machine) == (None, None, None)


def test_a_browser_and_its_server_tell_of_the_same_visitor(stack: Stack, site: str) -> None:
    address = "203.0.113.7"
    submit(stack, site, {"ip": address, "agent": CHROME})
    event = {
        "version": "2.0",
        "routeKey": "POST /v1/track",
        "headers": {"origin": ORIGIN, "user-agent": CHROME},
        "requestContext": {"requestId": "r", "http": {"method": "POST", "sourceIp": address}},
        "body": json.dumps({"site": site, "events": [{}]}),
    }
    assert stack.invoke("AnalyticsTrack", event)["statusCode"] == 202
    assert len(set(visitors(stack))) == 1


@pytest.mark.parametrize(
    ("user", "claims"),
    [("somebody else", {}), (OWNER, {"custom:tenant": "other"})],
    ids=["user", "tenant"],
)
def test_nobody_but_its_owner_tells_of_a_site(
    stack: Stack, site: str, user: str, claims: dict[str, str]
) -> None:
    submit(stack, site, {}, status=404, user=user, claims=claims)
    assert queued(stack) == []


def test_a_server_needs_token_and_scope(stack: Stack, site: str) -> None:
    submit(stack, site, {}, status=403, claims={"custom:scopes": "analytics:read"})
    path = f"/v1/sites/{site}/events"
    assert stack.request("POST", path, json={"events": [{}]}).status == 401


@pytest.mark.parametrize("event", [{"ip": "x" * 50}, {"country": "AUT"}, {"agent": "a\u0000"}])
def test_what_a_server_tells_is_looked_at_as_well(
    stack: Stack, site: str, event: dict[str, str]
) -> None:
    rejected = submit(stack, site, event).json()["rejected"]
    assert [each["field"] for each in rejected] == list(event)


def test_late_events_of_a_visitor_keep_their_time(stack: Stack, site: str) -> None:
    now = stack.clock.now()
    submit(stack, site, {"id": "a", "timestamp": now - 3 * HOUR - MINUTE})
    settle(stack)
    assert [fact.at for fact in facts(stack)] == [now - 3 * HOUR - MINUTE]
