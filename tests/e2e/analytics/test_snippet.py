"""The snippet on a site of its own, in a real browser."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.analytics.stub import SITE, Stub

WAITING = (
    "window.millrace=window.millrace||function(){(millrace.q=millrace.q||[]).push(arguments)};"
)
STUB = f"{WAITING}millrace('early', {{step: 1}})"
KEY = f"millrace:{SITE}"
HIDE = """() => {
    Object.defineProperty(document, 'hidden', {value: true, configurable: true});
    document.dispatchEvent(new Event('visibilitychange'));
}"""
"""What a browser does to a page that is left or covered."""


@pytest.fixture
def stack() -> Iterator[Stub]:
    """Whom the snippet is of, on another origin than the site."""
    with Stub() as stack:
        stack.html["/fence"] = ""
        yield stack


@pytest.fixture
def site(stub: Stub, stack: Stub) -> Stub:
    """A site with three pages."""
    tag = f'<script defer data-site="{SITE}" src="{stack.url}/static/track.js"></script>'
    head = f'<!doctype html><link rel="icon" href="data:,"><script>{STUB}</script>'
    stub.html["/"] = f"{head}{tag}<title>Home</title><a href='/two'>Two</a>"
    stub.html["/two"] = f'<!doctype html><link rel="icon" href="data:,">{tag}<title>Two</title>'
    stub.html["/out"] = (
        f'<!doctype html><link rel="icon" href="data:,">{tag.replace(" src", " data-outbound src")}'
        f"<a href='{stack.url}/v1/elsewhere?secret=1#x'>Out</a> <a href='/two'>In</a>"
    )
    stub.html["/waiting"] = f"{head.replace(STUB, WAITING)}{tag}"
    stub.html["/framed"] = (
        "<!doctype html><link rel='icon' href='data:,'>"
        "<iframe sandbox='allow-scripts' src='/two'></iframe>"
    )
    return stub


@pytest.fixture
def visitor(context: BrowserContext, complaints: list[str]) -> Iterator[Page]:
    """A page of somebody who visits the site; nothing may complain to the end."""
    page = context.new_page()
    yield page
    assert complaints == []


def names(stack: Stub) -> list[str]:
    return [event["event_type"] for event in stack.tracked]


def views(stack: Stub) -> list[str]:
    return [event["page"] for event in stack.tracked if event["event_type"] == "pageview"]


@pytest.fixture
def flushed(visitor: Page, stack: Stub) -> Callable[[], None]:
    """Lets the snippet send what it has, and waits until all that the browser was given to send has
    come: a beacon comes when it comes, not before what is asked after it."""
    sent: list[str] = []
    visitor.on("request", lambda asked: sent.extend([asked.url] * asked.url.endswith("/v1/track")))

    def flush() -> None:
        visitor.evaluate(HIDE)
        visitor.evaluate("url => fetch(url, {mode: 'no-cors'})", f"{stack.url}/fence")
        stack.until(lambda: len(stack.of("/v1/track")) == len(sent))

    return flush


def test_a_view_tells_where_from_and_where_and_no_more(
    visitor: Page, site: Stub, stack: Stub
) -> None:
    visitor.goto(f"{site.url}/two?utm_source=news&mail=a@b.example#top", referer=f"{site.url}/?q=x")
    stack.until(lambda: bool(stack.tracked))
    [sent] = stack.of("/v1/track")
    assert sent.headers["content-type"] == "text/plain;charset=UTF-8"
    assert sent.headers["origin"] == site.url
    assert "cookie" not in sent.headers
    body = json.loads(sent.body)
    [event] = body.pop("events")
    assert body == {"site": SITE, "sent_at": body["sent_at"]}
    assert len(event.pop("id")) == 36
    assert 0 <= body["sent_at"] - event.pop("timestamp") < 60_000
    assert event == {
        "event_type": "pageview",
        "page": "/two?utm_source=news",
        "referrer": f"{site.url}/",
    }
    assert visitor.evaluate("[document.cookie, localStorage.length, sessionStorage.length]") == [
        "",
        0,
        0,
    ]


def test_events_before_and_after_it_is_there(visitor: Page, site: Stub, stack: Stub) -> None:
    visitor.goto(site.url)
    visitor.evaluate("millrace('signup', {plan: 'pro', seats: 3, trial: true})")
    stack.until(lambda: len(stack.tracked) == 3)
    assert names(stack) == ["pageview", "early", "signup"]
    assert [event.get("metadata") for event in stack.tracked] == [
        None,
        {"step": 1},
        {"plan": "pro", "seats": 3, "trial": True},
    ]
    assert len({event["id"] for event in stack.tracked}) == 3


def test_a_page_that_is_left_sends_at_once(visitor: Page, site: Stub, stack: Stub) -> None:
    visitor.clock.install()
    visitor.clock.pause_at("2030-01-01")
    visitor.goto(site.url)
    visitor.evaluate(HIDE)
    stack.until(lambda: names(stack) == ["pageview", "early"])


def test_views_within_one_load(
    visitor: Page, site: Stub, stack: Stub, flushed: Callable[[], None]
) -> None:
    visitor.goto(f"{site.url}/two", referer=f"{site.url}/")
    visitor.evaluate("history.pushState({}, '', '/three')")
    visitor.evaluate("history.pushState({}, '', '/three?tab=2')")
    visitor.evaluate("history.replaceState({}, '', '/three?tab=3')")
    visitor.evaluate("location.hash = 'part'")
    visitor.evaluate("history.go(-3)")
    visitor.wait_for_url(f"{site.url}/two")
    flushed()
    assert views(stack) == ["/two", "/three", "/two"]
    assert [event.get("referrer") for event in stack.tracked] == [f"{site.url}/", None, None]


def test_a_page_out_of_the_back_forward_cache_is_seen_again_once(
    visitor: Page, site: Stub, stack: Stub, flushed: Callable[[], None]
) -> None:
    visitor.goto(site.url)
    visitor.evaluate("window.kept = true")
    stack.until(lambda: len(views(stack)) == 1)
    visitor.goto(f"{site.url}/two")
    stack.until(lambda: len(views(stack)) == 2)
    visitor.evaluate("setTimeout(() => history.back())")
    visitor.wait_for_url(f"{site.url}/", wait_until="commit")
    expect(visitor).to_have_title("Home")
    if not visitor.evaluate("window.kept"):
        pytest.skip("this Chromium keeps no page for the way back")
    stack.until(lambda: len(views(stack)) == 3)
    flushed()
    assert views(stack) == ["/", "/two", "/"]
    assert names(stack).count("early") == 1


def test_a_page_that_is_said_to_come_back_is_seen_again_once(
    visitor: Page, site: Stub, stack: Stub, flushed: Callable[[], None]
) -> None:
    visitor.goto(f"{site.url}/two")
    for persisted in ("true", "false"):
        visitor.evaluate(
            f"dispatchEvent(new PageTransitionEvent('pageshow', {{persisted: {persisted}}}))"
        )
    flushed()
    assert views(stack) == ["/two", "/two"]


@pytest.mark.parametrize(("path", "early"), [("/", ["early"]), ("/waiting", [])])
def test_a_page_that_is_only_prepared_is_not_seen(
    visitor: Page,
    site: Stub,
    stack: Stub,
    flushed: Callable[[], None],
    path: str,
    early: list[str],
) -> None:
    visitor.add_init_script(
        "Object.defineProperty(document, 'prerendering', {value: true, configurable: true})"
    )
    visitor.goto(site.url + path)
    visitor.evaluate("millrace('while waiting')")
    flushed()
    assert stack.tracked == []
    visitor.evaluate("document.dispatchEvent(new Event('prerenderingchange'))")
    visitor.evaluate(HIDE)
    stack.until(lambda: names(stack) == ["pageview", *early, "while waiting"])


@pytest.mark.parametrize(
    "wish", ["globalPrivacyControl', {get: () => true", "doNotTrack', {get: () => '1'"]
)
def test_who_asks_not_to_be_counted_is_not(
    visitor: Page, site: Stub, stack: Stub, wish: str, flushed: Callable[[], None]
) -> None:
    visitor.add_init_script(f"Object.defineProperty(Navigator.prototype, '{wish}}})")
    visitor.goto(site.url)
    visitor.evaluate("millrace('signup')")
    visitor.evaluate("history.pushState({}, '', '/three')")
    flushed()
    assert stack.of("/v1/track") == []
    assert visitor.evaluate("localStorage.length") == 0


def test_what_happens_offline_is_sent_when_online(
    visitor: Page, site: Stub, stack: Stub, context: BrowserContext
) -> None:
    visitor.goto(f"{site.url}/two")
    stack.until(lambda: names(stack) == ["pageview"])
    context.set_offline(True)
    visitor.evaluate("millrace('offline')")
    visitor.wait_for_function(f"localStorage['{KEY}']")
    kept = json.loads(visitor.evaluate(f"localStorage['{KEY}']"))
    assert [event["event_type"] for event in kept] == ["offline"]
    assert len(stack.tracked) == 1
    context.set_offline(False)
    stack.until(lambda: names(stack) == ["pageview", "offline"])
    assert stack.tracked[1] == kept[0]
    visitor.wait_for_function("localStorage.length === 0")


def test_what_was_not_sent_before_the_page_went_is_sent_by_the_next(
    visitor: Page, site: Stub, stack: Stub, context: BrowserContext
) -> None:
    visitor.goto(f"{site.url}/two")
    stack.until(lambda: names(stack) == ["pageview"])
    context.set_offline(True)
    visitor.evaluate("millrace('lost?')")
    visitor.wait_for_function(f"localStorage['{KEY}']")
    visitor.close()
    context.set_offline(False)
    other = context.new_page()
    other.goto(f"{site.url}/two")
    stack.until(lambda: names(stack) == ["pageview", "lost?", "pageview"])
    assert other.evaluate("localStorage.length") == 0


@pytest.mark.parametrize("refusal", ["return false", "throw new Error('no')"])
def test_a_refused_beacon_is_fetched(visitor: Page, site: Stub, stack: Stub, refusal: str) -> None:
    visitor.add_init_script(f"Navigator.prototype.sendBeacon = () => {{ {refusal} }}")
    visitor.clock.install()
    visitor.clock.pause_at("2030-01-01")
    visitor.goto(f"{site.url}/two")
    visitor.evaluate(HIDE)
    stack.until(lambda: names(stack) == ["pageview"])
    assert visitor.evaluate("localStorage.length") == 0


def test_what_a_stack_could_not_take_is_sent_again_under_the_same_id(
    visitor: Page, site: Stub, stack: Stub, complaints: list[str]
) -> None:
    stack.broken["/v1/track"] = 503
    visitor.goto(f"{site.url}/two")
    visitor.wait_for_function(f"localStorage['{KEY}']")
    stack.broken.clear()
    visitor.evaluate("millrace('next')")
    stack.until(lambda: names(stack) == ["pageview", "pageview", "next"])
    assert stack.tracked[0] == stack.tracked[1]
    visitor.wait_for_function("localStorage.length === 0")
    assert "503" in complaints.pop()


def test_what_a_stack_refused_is_not_sent_again(
    visitor: Page, site: Stub, stack: Stub, complaints: list[str]
) -> None:
    stack.broken["/v1/track"] = 422
    with visitor.expect_response("**/v1/track"):
        visitor.goto(f"{site.url}/two")
    visitor.evaluate("millrace('next')")
    stack.until(lambda: names(stack) == ["pageview", "next"])
    assert visitor.evaluate("localStorage.length") == 0
    assert "422" in complaints[0]
    complaints.clear()


def test_what_cannot_be_told_is_left_out_and_nothing_else(
    visitor: Page, site: Stub, stack: Stub, flushed: Callable[[], None]
) -> None:
    visitor.goto(f"{site.url}/two")
    visitor.evaluate(
        "() => { const round = {}; round.self = round;"
        " millrace('one'); millrace('round', round); millrace('two'); }"
    )
    flushed()
    assert names(stack) == ["pageview", "one", "two"]


def test_events_too_large_to_outlive_the_page_are_sent_while_it_is_there(
    visitor: Page, site: Stub, stack: Stub
) -> None:
    visitor.goto(f"{site.url}/two")
    visitor.evaluate(
        "() => { const large = {}; for (let i = 0; i < 20; i++) large[i] = 'é'.repeat(1900);"
        " millrace('one', large); millrace('two', large); }"
    )
    stack.until(lambda: names(stack) == ["pageview", "one", "two"])
    visitor.evaluate("millrace('three')")
    stack.until(lambda: names(stack) == ["pageview", "one", "two", "three"])


def test_blocked_storage_stops_nothing(visitor: Page, site: Stub, stack: Stub) -> None:
    visitor.goto(f"{site.url}/framed")
    frame = visitor.frames[1]
    blocked = "() => { try { return !localStorage } catch { return true } }"
    assert frame.evaluate(blocked)
    frame.evaluate("millrace('inside')")
    stack.until(lambda: names(stack) == ["pageview", "inside"])


def test_blocked_storage_keeps_in_memory_what_could_not_be_sent(
    visitor: Page, site: Stub, stack: Stub, context: BrowserContext
) -> None:
    visitor.goto(f"{site.url}/framed")
    frame = visitor.frames[1]
    stack.until(lambda: names(stack) == ["pageview"])
    context.set_offline(True)
    frame.evaluate("millrace('inside')")
    frame.evaluate(HIDE)
    assert names(stack) == ["pageview"]
    context.set_offline(False)
    stack.until(lambda: names(stack) == ["pageview", "inside"])


def test_ids_without_a_source_of_uuids(visitor: Page, site: Stub, stack: Stub) -> None:
    visitor.add_init_script("Crypto.prototype.randomUUID = undefined")
    visitor.goto(site.url)
    stack.until(lambda: len(stack.tracked) == 2)
    ids: list[Any] = [event["id"] for event in stack.tracked]
    assert len(set(ids)) == 2
    assert all(id.isalnum() and 20 <= len(id) <= 64 for id in ids)


def test_links_that_lead_away_are_counted_where_it_is_declared(
    visitor: Page, site: Stub, stack: Stub, flushed: Callable[[], None]
) -> None:
    visitor.goto(f"{site.url}/out")
    visitor.evaluate(
        "for (const kind of ['click', 'auxclick'])"
        " addEventListener(kind, event => event.preventDefault())"
    )
    visitor.get_by_role("link", name="In").click()
    visitor.get_by_role("link", name="Out").click()
    visitor.get_by_role("link", name="Out").click(button="right")
    visitor.get_by_role("link", name="Out").click(button="middle")
    flushed()
    assert names(stack) == ["pageview", "outbound", "outbound"]
    assert stack.tracked[1]["metadata"] == {"url": f"{stack.url}/v1/elsewhere"}
