"""The redirect on the deployed wiring: its policies, its cache, its counters, its clicks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import jsonschema
import pytest

from functions.edge.validation import to_text
from functions.kernel.codec import to_json
from functions.kernel.ring import Signature
from functions.shortener.hotlinks import FRESH_MS, STALE_MS
from tests.support.cloud.replacing_moto import dynamodb_in_memory
from tests.support.handlers import ROOT
from tests.support.http_api import Response
from tests.support.interleave import Actor, seeded
from tests.support.pump import Stack

URL, OVER = "https://example.com/page", "https://example.com/over"
CONTRACT = json.loads((ROOT / "contracts/shortener/LinkClicked.v1.json").read_text())
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Mobile/15E148"
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36"
SHO, API = "sho.example", "c0ffee00.execute-api.us-east-1.amazonaws.com"
SLACK = "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"


def create(stack: Stack, **body: Any) -> Any:
    answer = stack.request("POST", "/v1/links", user="alice", json={"long_url": URL, **body})
    assert answer.status == 201, answer.text
    return answer.json()


def patch(stack: Stack, code: str, **body: Any) -> None:
    answer = stack.request(
        "PATCH", f"/v1/links/{code}", user="alice", json=body, headers={"if-match": "*"}
    )
    assert answer.status == 200, answer.text


def follow(
    stack: Stack, code: str, method: str = "GET", agent: str = CHROME, **headers: str
) -> Response:
    return stack.request(method, f"/{code}", headers={"user-agent": agent, **headers})


def unlock(stack: Stack, code: str, password: str) -> Response:
    form = {"content-type": "application/x-www-form-urlencoded", "user-agent": CHROME}
    body = urlencode({"password": password})
    return stack.request("POST", f"/{code}", body=body, headers=form)


def clicks(stack: Stack) -> list[Any]:
    return [json.loads(body) for body in stack.messages("ShortenerClicks")]


def location(answer: Response) -> tuple[int, str | None]:
    return answer.status, answer.headers.get("location")


def after(stack: Stack, seconds: float) -> str:
    return to_text(stack.clock.now() + round(seconds * 1000))


# ---- Policy -----------------------------------------------------------------------------------


def test_before_its_window_a_link_leads_nowhere_and_after_it_to_its_fallback(stack: Stack) -> None:
    code = create(
        stack, not_before=after(stack, 60), expires_at=after(stack, 120), fallback_url=OVER
    )["code"]
    early = follow(stack, code)
    assert (early.status, early.json()["type"]) == (404, "urn:millrace:problem:link_not_yet")
    stack.advance(60)
    assert location(follow(stack, code)) == (302, URL)
    stack.advance(60)
    assert location(follow(stack, code)) == (302, OVER)


def test_without_a_fallback_what_is_over_is_gone_and_not_unknown(stack: Stack) -> None:
    code = create(stack, expires_at=after(stack, 60))["code"]
    assert follow(stack, code).status == 302
    stack.advance(60)
    assert follow(stack, code).status == 410


def test_rules_lead_by_device_language_country_and_query(stack: Stack) -> None:
    rules = [
        {"device": ["ios"], "to": [{"url": "https://example.com/ios"}]},
        {"language": ["de"], "country": ["AT"], "to": [{"url": "https://example.com/at"}]},
        {"query": ["src=mail"], "to": [{"url": "https://example.com/mail"}]},
    ]
    code = create(stack, rules=rules)["code"]
    german = {"accept-language": "fr;q=0.3, de-AT", "cloudfront-viewer-country": "AT"}
    assert location(follow(stack, code, agent=PHONE)) == (302, "https://example.com/ios")
    assert location(follow(stack, code, **german)) == (302, "https://example.com/at")
    assert location(follow(stack, f"{code}?src=mail")) == (302, "https://example.com/mail")
    assert location(follow(stack, code)) == (302, URL)
    assert [click["data"]["url"] for click in clicks(stack)][-1] == URL


def test_a_user_agent_that_is_no_unicode_is_led_by_rules_too(stack: Stack) -> None:
    code = create(stack, rules=[{"to": [{"url": OVER}]}])["code"]
    assert location(follow(stack, code, agent="Mozilla/5.0 \ud800")) == (302, OVER)
    assert len(clicks(stack)) == 1


def test_a_password_is_asked_for_and_its_link_leads_on_by_a_get(stack: Stack) -> None:
    code = create(stack, password="open sesame", redirect_status=307)["code"]
    asked = follow(stack, code)
    assert (asked.status, asked.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert URL not in asked.text
    assert unlock(stack, code, "wrong").status == 403
    assert clicks(stack) == []
    assert location(unlock(stack, code, "open sesame")) == (303, URL)
    assert len(clicks(stack)) == 1


def test_a_password_is_nowhere_to_be_seen(stack: Stack) -> None:
    made = create(stack, password="open sesame")
    history = stack.request("GET", f"/v1/links/{made['code']}/history", user="alice")
    assert made["password"] is True
    assert history.json()["items"][0]["data"]["password"] is True
    assert "sesame" not in json.dumps(stack.logs)


@pytest.mark.parametrize(
    ("terms", "told"), [({"title": "Mine"}, True), ({"password": "4711"}, False)]
)
def test_the_digest_of_a_command_does_not_give_its_password_away(
    stack: Stack, terms: Mapping[str, Any], told: bool
) -> None:
    def is_kept(payload: list[Any]) -> bool:
        signature = Signature.of(actor="alice", key="once", payload=to_json(payload))
        table = stack.functions["ShortenerCreate"].env["EVENTS_TABLE"]
        items = stack.client("dynamodb").scan(TableName=table)["Items"]
        kept = [value["B"] for item in items for value in item.values() if "B" in value]
        return any(signature.payload in each for each in kept)

    key = {"idempotency-key": "once"}
    made = stack.request(
        "POST", "/v1/links", user="alice", json={"long_url": URL, **terms}, headers=key
    )
    assert is_kept(["POST /v1/links", {"long_url": URL, **terms}]) == told
    code, edit = create(stack, dedupe=False)["code"], {"if-match": "*", **key}
    path = f"/v1/links/{code}"
    stack.request("PATCH", path, user="alice", json=terms, headers=edit)
    assert is_kept(["PATCH /v1/links/{code}", code, terms]) == told
    assert made.status == 201


def test_a_key_stands_for_one_password(stack: Stack) -> None:
    def ask(password: str) -> Response:
        body = {"long_url": URL, "password": password}
        key = {"idempotency-key": "once"}
        return stack.request("POST", "/v1/links", user="alice", json=body, headers=key)

    first = ask("open sesame")
    assert ask("open sesame").json() == first.json()
    assert ask("open barley").status == 422


def test_passwords_cannot_be_tried_without_end(stack: Stack) -> None:
    code = create(stack, password="open sesame")["code"]
    tries = [unlock(stack, code, f"guess {n}").status for n in range(7)]
    assert tries == [403] * 5 + [429] * 2
    refused = unlock(stack, code, "open sesame")
    assert refused.status == 429
    stack.advance(int(refused.headers["retry-after"]))
    assert unlock(stack, code, "open sesame").status == 303


def test_a_forged_forwarding_header_gains_no_attempt(stack: Stack) -> None:
    code = create(stack, password="open sesame")["code"]
    form = {"content-type": "application/x-www-form-urlencoded", "user-agent": CHROME}
    statuses = [
        stack.request(
            "POST", f"/{code}", body="password=x", headers={**form, "x-forwarded-for": f"9.9.9.{n}"}
        ).status
        for n in range(6)
    ]
    assert statuses == [403] * 5 + [429]


# ---- Caps -------------------------------------------------------------------------------------


def test_a_cap_lets_exactly_so_many_through_and_then_leads_elsewhere(stack: Stack) -> None:
    code = create(stack, max_clicks=3, fallback_url=OVER)["code"]
    led = [location(follow(stack, code)) for _ in range(5)]
    assert led == [(302, URL)] * 3 + [(302, OVER)] * 2
    assert len(clicks(stack)) == 3


def test_two_one_time_links_to_a_url_are_two_and_neither_is_the_answer_to_a_plain_create(
    stack: Stack,
) -> None:
    codes = [create(stack, **terms)["code"] for terms in ({"max_clicks": 1}, {"max_clicks": 1}, {})]
    assert [follow(stack, code).status for code in codes * 2] == [302] * 3 + [410, 410, 302]


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("HEAD", {}),
        ("GET", {"agent": SLACK}),
        ("GET", {"agent": "Googlebot/2.1"}),
        ("GET", {"agent": ""}),
        ("GET", {"sec-purpose": "prefetch;prerender"}),
        ("GET", {"x-moz": "prefetch"}),
        ("POST", {"agent": "Googlebot/2.1"}),
    ],
    ids=["head", "preview", "bot", "nameless", "prefetch", "old-prefetch", "form"],
)
def test_machines_never_use_up_a_cap_nor_learn_where_it_leads(
    stack: Stack, method: str, headers: dict[str, str]
) -> None:
    code = create(stack, max_clicks=1)["code"]
    machine = follow(stack, code, method, **headers)
    assert (machine.status, machine.headers.get("location")) == (200, None)
    assert URL not in machine.text
    assert location(follow(stack, code)) == (302, URL)


def test_a_raised_cap_lets_more_through(stack: Stack) -> None:
    code = create(stack, max_clicks=1)["code"]
    assert [follow(stack, code).status for _ in range(2)] == [302, 410]
    patch(stack, code, max_clicks=2)
    stack.advance(FRESH_MS / 1000)
    assert [follow(stack, code).status for _ in range(2)] == [302, 410]


def test_a_wrong_password_uses_up_nothing(stack: Stack) -> None:
    code = create(stack, max_clicks=1, password="open sesame")["code"]
    assert unlock(stack, code, "wrong").status == 403
    assert unlock(stack, code, "open sesame").status == 303
    assert follow(stack, code).status == 410


@pytest.mark.parametrize("most", [1, 2])
def test_a_lost_answer_costs_no_click_and_grants_none(stack: Stack, most: int) -> None:
    code = create(stack, max_clicks=most)["code"]
    stack.faults.lose_response("dynamodb", "UpdateItem")
    statuses = Counter(follow(stack, code).status for _ in range(4))
    assert statuses == {302: most, 410: 4 - most}


@pytest.mark.parametrize("seed", range(6))
def test_racing_visitors_never_exceed_a_cap(stack: Stack, seed: int) -> None:
    def scenario() -> Mapping[str, Actor]:
        stack.reset()
        code = create(stack, alias="prize", max_clicks=5)["code"]
        return {
            f"visitor-{n}": lambda: [follow(stack, code).status for _ in range(2)] for n in range(6)
        }

    results = seeded(scenario, seed).results().values()
    answered = Counter(status for each in results for status in each)  # type: ignore[attr-defined]
    assert answered == {302: 5, 410: 7}
    stack.faults.clear()


# ---- Cache and a failing store ------------------------------------------------------------------


def test_a_hot_link_costs_no_read(stack: Stack) -> None:
    code = create(stack)["code"]
    follow(stack, code)
    with stack.meter.operation("redirect, hot") as bill:
        follow(stack, code)
    assert bill.by_operation == {"sqs:SendMessage": 1}


def test_an_edit_binds_within_the_caches_time(stack: Stack) -> None:
    code = create(stack)["code"]
    follow(stack, code)
    patch(stack, code, long_url=OVER)
    stack.advance(FRESH_MS / 1000)
    assert location(follow(stack, code)) == (302, OVER)


def test_an_expiry_binds_at_once_whatever_the_cache_holds(stack: Stack) -> None:
    code = create(stack, expires_at=after(stack, 1))["code"]
    assert follow(stack, code).status == 302
    stack.advance(1)
    assert follow(stack, code).status == 410


def test_while_the_store_fails_hot_links_lead_on_and_others_say_so(stack: Stack) -> None:
    hot, cold = create(stack, alias="hot")["code"], create(stack, alias="cold")["code"]
    follow(stack, hot)
    stack.advance(FRESH_MS / 1000)
    stack.faults.fail("dynamodb", "Query", "InternalServerError", status=500, times=10_000)
    assert location(follow(stack, hot)) == (302, URL)
    assert follow(stack, cold).status == 503
    stack.advance(STALE_MS / 1000)
    assert follow(stack, hot).status == 503
    stack.faults.clear()
    assert follow(stack, cold).status == 302


def test_a_failing_store_is_left_alone_for_a_while(stack: Stack) -> None:
    code = create(stack)["code"]
    follow(stack, code)
    stack.advance(FRESH_MS / 1000)
    stack.faults.fail("dynamodb", "Query", "InternalServerError", status=500, times=10_000)
    follow(stack, code)
    with stack.meter.operation("redirect, store down") as bill:
        assert follow(stack, code).status == 302
    assert bill.by_operation == {"sqs:SendMessage": 1}


# ---- Clicks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "agent", "kind"),
    [
        ("GET", CHROME, "human"),
        ("GET", PHONE, "human"),
        ("GET", SLACK, "preview"),
        ("GET", "Mozilla/5.0 (compatible; bingbot/2.0)", "bot"),
        ("GET", "curl/8.5.0", "bot"),
        ("HEAD", CHROME, "head"),
    ],
)
def test_a_click_tells_what_made_it(stack: Stack, method: str, agent: str, kind: str) -> None:
    code = create(stack)["code"]
    follow(stack, code, method, agent, referer="https://news.example.com/a?user=bob")
    [click] = clicks(stack)
    jsonschema.validate(click, CONTRACT)
    assert (click["data"]["kind"], click["data"]["referrer"]) == (kind, "news.example.com")
    assert click["time"] == stack.clock.now()


def test_the_sample_of_a_click_fits_its_contract() -> None:
    sample = ROOT / "contracts/shortener/LinkClicked.v1.sample.json"
    jsonschema.validate(json.loads(sample.read_text()), CONTRACT)


def test_scans_of_codes_that_are_not_there_flood_nothing(stack: Stack) -> None:
    assert {follow(stack, f"scan{n}").status for n in range(20)} == {404}
    assert clicks(stack) == []


def test_a_click_that_cannot_be_sent_is_in_the_log_and_the_visitor_gone_on(stack: Stack) -> None:
    code = create(stack)["code"]
    stack.faults.fail("sqs", "SendMessage", "InternalError", status=500, times=10_000)
    assert [follow(stack, code).status for _ in range(2)] == [302, 302]
    lost = [line["lost_click"] for line in stack.logs if "lost_click" in line]
    assert clicks(stack) == []
    assert [click["data"]["code"] for click in lost] == [code, code]
    for click in lost:
        jsonschema.validate(click, CONTRACT)


def test_a_queue_that_is_down_is_asked_ever_less_and_after_a_success_anew(stack: Stack) -> None:
    code = create(stack)["code"]
    down = stack.faults.fail("sqs", "SendMessage", "InternalError", status=500, times=10_000)

    def tries(seconds: int) -> int:
        before = down.fired
        for _ in range(seconds):
            follow(stack, code)
            stack.advance(1)
        # A patient client's, which tries each three times.
        return (down.fired - before) // 3

    assert 5 <= tries(16) <= 6
    assert 2 <= tries(16) <= 4
    stack.faults.clear()
    stack.advance(8)
    follow(stack, code)
    assert len(clicks(stack)) == 1
    down = stack.faults.fail("sqs", "SendMessage", "InternalError", status=500, times=10_000)
    assert tries(4) >= 2


def visitor(stack: Stack, code: str, **headers: str) -> Any:
    assert follow(stack, code, **headers).status == 302
    return clicks(stack)[-1]["data"].get("visitor")


def test_a_visitor_is_the_same_for_one_link_and_one_day(stack: Stack) -> None:
    code, other = create(stack)["code"], create(stack, alias="other")["code"]
    first = visitor(stack, code)
    assert visitor(stack, code) == first
    stack.cold_start()
    assert visitor(stack, code) == first
    assert len({first, visitor(stack, other), visitor(stack, code, agent=PHONE)}) == 3
    stack.advance(86_400)
    assert visitor(stack, code) != first
    for click in clicks(stack):
        jsonschema.validate(click, CONTRACT)


@pytest.mark.parametrize("headers", [{"sec-gpc": "1"}, {"dnt": "1"}])
def test_whoever_asks_not_to_be_followed_is_not(stack: Stack, headers: dict[str, str]) -> None:
    assert visitor(stack, create(stack)["code"], **headers) is None


def test_the_secret_is_read_once_and_after_a_failure_not_for_a_minute(stack: Stack) -> None:
    code = create(stack)["code"]
    failing = stack.faults.fail("secretsmanager", "*", "InternalServiceError", status=500, times=-1)
    with stack.meter.operation("failing") as bill:
        assert [visitor(stack, code) for _ in range(3)] == [None] * 3
    assert failing.fired == bill.by_operation["secretsmanager:GetSecretValue"]
    tried = failing.fired
    stack.faults.clear()
    stack.advance(59)
    assert visitor(stack, code) is None
    stack.advance(1)
    with stack.meter.operation("healed") as bill:
        assert visitor(stack, code) is not None
        stack.advance(86_400)
        assert visitor(stack, code) is not None
    assert bill.by_operation["secretsmanager:GetSecretValue"] == 1
    assert tried <= 3


def test_a_lost_clicks_line_does_not_tell_its_visitor(stack: Stack) -> None:
    code = create(stack)["code"]
    known = visitor(stack, code)
    stack.faults.fail("sqs", "SendMessage", "InternalError", status=500, times=10_000)
    assert follow(stack, code).status == 302
    [lost] = [line["lost_click"] for line in stack.logs if "lost_click" in line]
    assert "visitor" not in lost["data"]
    assert known not in json.dumps(stack.logs)


def test_a_link_that_is_not_counted_may_be_kept_by_anybody_and_tells_nothing(stack: Stack) -> None:
    code = create(stack, counted=False)["code"]
    answer = follow(stack, code)
    assert answer.headers["cache-control"] == "public, max-age=60"
    assert clicks(stack) == []


# ---- Preview and domains ------------------------------------------------------------------------


def test_a_preview_shows_where_a_link_leads_and_counts_nothing(stack: Stack) -> None:
    code = create(stack, long_url="https://example.com/?a=<b>&c=1")["code"]
    page = follow(stack, f"{code}+")
    assert page.status == 200
    assert "https://example.com/?a=%3Cb%3E&amp;c=1" in page.text
    assert "<script" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert clicks(stack) == []


def test_a_preview_of_a_link_that_is_over_shows_its_fallback(stack: Stack) -> None:
    code = create(stack, expires_at=after(stack, 10), fallback_url=OVER)["code"]
    assert OVER not in follow(stack, f"{code}+").text
    stack.advance(10)
    page = follow(stack, f"{code}+")
    assert (location(page), OVER in page.text, URL in page.text) == ((200, None), True, False)


@pytest.mark.parametrize("fallback", [None, OVER])
def test_a_preview_of_a_link_that_is_used_up_shows_what_its_visitors_get(
    stack: Stack, fallback: str | None
) -> None:
    code = create(stack, max_clicks=1, fallback_url=fallback)["code"]
    assert [URL in follow(stack, f"{code}+").text for _ in range(2)] == [True, True]
    assert location(follow(stack, code)) == (302, URL)
    page = follow(stack, f"{code}+")
    assert (page.status, URL in page.text) == (200 if fallback else 410, False)
    assert (fallback or "link_gone") in page.text


def test_a_preview_keeps_a_passwords_secret(stack: Stack) -> None:
    code = create(stack, password="open sesame")["code"]
    assert URL not in follow(stack, f"{code}+").text


def test_a_code_of_the_stack_is_unknown_on_another_host(stack: Stack) -> None:
    code = create(stack)["code"]
    assert follow(stack, code, host="go.example.org").status == 404


@pytest.fixture(params=["https://Sho.Example", "https://sho.example/in"])
def own(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A stack with a host of its own for its short URLs."""
    with (
        dynamodb_in_memory(),
        Stack([ROOT / "template.yaml"], {"PublicUrl": request.param}) as stack,
    ):
        yield stack


@pytest.mark.parametrize("host", [SHO, API, "SHO.example"])
def test_short_urls_begin_with_any_base_and_the_api_goes_by_its_own_name_too(
    own: Stack, host: str
) -> None:
    code = create(own)["code"]
    assert location(follow(own, code, host=host)) == (302, URL)
    assert follow(own, f"{code}/qr", host=host).status == 200
    assert follow(own, code, host="c0ffee00.example").status == 404


@pytest.mark.parametrize("host", [SHO, API])
def test_a_link_to_the_stack_by_any_of_its_names_is_refused(own: Stack, host: str) -> None:
    """Or two links could lead to each other for ever."""
    body = {"long_url": f"https://{host}/b", "alias": "a"}
    made = own.request("POST", "/v1/links", user="alice", json=body, headers={"host": "x.example"})
    assert made.json()["errors"] == [{"field": "long_url", "reason": "leads back to this service"}]
    body["long_url"] = "https://c0ffee01.execute-api.us-east-1.amazonaws.com/b"
    assert own.request("POST", "/v1/links", user="alice", json=body).status == 201
