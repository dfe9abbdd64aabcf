"""What is sent, field by field: what is refused and why, and what is taken out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.analytics.tracking import (
    MAX_EVENTS,
    SKEW_MS,
    Fault,
    Tracked,
    campaign,
    country_of,
    envelope,
    event,
    redact,
    window,
)

SITE = "abcdefghijkl"
NOW = 1_795_219_200_000
MINUTE, DAY = 60_000, 86_400_000
TIMES = window(NOW, NOW, 30)


def body(**given: Any) -> str:
    return json.dumps({"site": SITE, "events": [{}], **given})


def tracked(given: Any, sent_at: int | None = NOW, own: bool = False) -> Tracked:
    return event(given, window(NOW, sent_at, 30), own)


def test_an_envelope_is_read() -> None:
    read = envelope(body(sent_at="2026-11-21T00:00:00+01:00", events=[{}, 1]))
    assert read == (SITE, NOW - 3_600_000, [{}, 1])
    assert envelope('{"events":[{}]}', site=SITE) == (SITE, None, [{}])


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("[]", ""),
        ("null", ""),
        ('"site"', ""),
        ("{}", "site"),
        (body(site=5), "site"),
        (body(site="short"), "site"),
        (body(site="ABCDEFGHIJKL"), "site"),
        (body(site="abcdefghijk\n"), "site"),
        (body(site="link:default/a"), "site"),
        (body(events={}), "events"),
        (body(events=[]), "events"),
        (body(events=[{}] * (MAX_EVENTS + 1)), "events"),
        (body(sent_at=1.5), "sent_at"),
        (body(sent_at=True), "sent_at"),
        (body(sent_at=-1), "sent_at"),
        (body(sent_at="yesterday"), "sent_at"),
        (body(sent_at=[]), "sent_at"),
        (body(tint="red"), "tint"),
    ],
)
def test_an_envelope_of_which_nothing_can_be_made_is_refused(text: str, field: str) -> None:
    with pytest.raises(Fault) as fault:
        envelope(text)
    assert fault.value.field == field


@pytest.mark.parametrize(
    "text",
    ["", "{", "NaN", body(sent_at=float("inf")), "[" * 100_000, '{"a":' * 50_000, "1" * 5_000],
    ids=["nothing", "cut", "nan", "infinity", "deep", "deep object", "long number"],
)
def test_what_is_no_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        envelope(text)


def test_an_event_is_read() -> None:
    given = {
        "id": "a-1",
        "event_type": "signup",
        "timestamp": NOW - MINUTE,
        "page": "https://shop.example/a%20b?utm_source=mail&token=secret#part",
        "referrer": "https://news.example/story?id=7",
        "user_id": "u1",
        "metadata": {"plan": "pro", "seats": 5, "trial": True, "price": 2.5},
        "link": "https://other.example/x?y=1",
    }
    assert tracked(given) == Tracked(
        id="a-1",
        at=NOW - MINUTE,
        sent_as=NOW - MINUTE,
        name="signup",
        page="/a b?utm_source=mail",
        referrer="news.example",
        link="other.example/x",
        user="u1",
        props=(("plan", "pro"), ("price", "2.5"), ("seats", "5"), ("trial", "true")),
    )


def test_nothing_is_a_page_view_now() -> None:
    assert tracked({}) == Tracked(id=None, at=NOW, sent_as=NOW, name="pageview")


# ---- What people and machines send that should not be ---------------------------------------

LONG = "x" * 3_000
FAULTS: dict[str, tuple[str, Any]] = {
    "no object": ("", 5),
    "list": ("", []),
    "unknown field": ("tint", {"tint": "red"}),
    "unknown field with controls": ("ab", {"a\x00b": 1}),
    "server's field": ("ip", {"ip": "192.0.2.1"}),
    "float time": ("timestamp", {"timestamp": 1.5}),
    "whole float time": ("timestamp", {"timestamp": 1e12}),
    "negative time": ("timestamp", {"timestamp": -1}),
    "time of truth": ("timestamp", {"timestamp": True}),
    "huge time": ("timestamp", {"timestamp": 10**30}),
    "year 9999": ("timestamp", {"timestamp": "9999-12-31T23:59:59Z"}),
    "no such day": ("timestamp", {"timestamp": "2026-02-30T00:00:00Z"}),
    "no zone": ("timestamp", {"timestamp": "2026-11-21T00:00:00"}),
    "seconds": ("timestamp", {"timestamp": NOW // 1000}),
    "future": ("timestamp", {"timestamp": NOW + SKEW_MS + 1}),
    "years ahead": ("timestamp", {"timestamp": NOW + 3_650 * DAY}),
    "older than kept": ("timestamp", {"timestamp": NOW - 30 * DAY - 1}),
    "null byte in page": ("page", {"page": "/a\x00b"}),
    "newline in page": ("page", {"page": "/a\nb"}),
    "half a surrogate": ("page", {"page": "/\ud83d"}),
    "long page": ("page", {"page": LONG}),
    "page of no text": ("page", {"page": 5}),
    "broken address": ("page", {"page": "http://[::1"}),
    "broken referrer": ("referrer", {"referrer": "http://[::1"}),
    "null byte in name": ("event_type", {"event_type": "a\x00"}),
    "empty name": ("event_type", {"event_type": "  "}),
    "long name": ("event_type", {"event_type": LONG}),
    "empty id": ("id", {"id": ""}),
    "long id": ("id", {"id": LONG}),
    "id with #": ("id", {"id": "a#b"}),
    "number for id": ("id", {"id": 5}),
    "long user": ("user_id", {"user_id": LONG}),
    "metadata list": ("metadata", {"metadata": []}),
    "deep metadata": ("metadata.a", {"metadata": {"a": {"b": 1}}}),
    "list in metadata": ("metadata.a", {"metadata": {"a": []}}),
    "null in metadata": ("metadata.a", {"metadata": {"a": None}}),
    "much metadata": ("metadata", {"metadata": {str(n): 1 for n in range(21)}}),
    "big metadata": ("metadata.a", {"metadata": {"a": "x" * 100_000}}),
    "huge number": ("metadata.a", {"metadata": {"a": 10**18}}),
    "infinite number": ("metadata.a", {"metadata": {"a": float("inf")}}),
    "long key": ("metadata", {"metadata": {LONG: 1}}),
    "empty key": ("metadata", {"metadata": {"": 1}}),
    "key with a tab": ("metadata", {"metadata": {"a\tb": 1}}),
}


@pytest.mark.parametrize(("field", "given"), FAULTS.values(), ids=FAULTS)
def test_a_bad_event_is_refused_by_name(field: str, given: Any) -> None:
    with pytest.raises(Fault) as fault:
        tracked(given)
    assert fault.value.field == field
    assert fault.value.reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ["id", "event_type", "timestamp", "page", "referrer", "user_id", "metadata", "link"]


@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4) | JSON)
def test_whatever_is_sent_is_taken_or_refused(given: Any) -> None:
    try:
        taken = tracked(given)
    except Fault:
        return
    assert NOW - 30 * DAY <= taken.at <= NOW + SKEW_MS


# ---- Times -----------------------------------------------------------------------------------


@pytest.mark.parametrize("skew", [SKEW_MS + 1, -SKEW_MS - 1, 400 * DAY, -400 * DAY])
def test_a_clock_that_is_wrong_is_corrected(skew: int) -> None:
    said = NOW - skew
    taken = tracked({"timestamp": said - MINUTE}, sent_at=said)
    assert (taken.at, taken.sent_as) == (NOW - MINUTE, said - MINUTE)


@pytest.mark.parametrize("skew", [SKEW_MS, -SKEW_MS, 1, 0])
def test_a_clock_that_is_nearly_right_is_believed(skew: int) -> None:
    taken = tracked({"timestamp": NOW - 60 * MINUTE}, sent_at=NOW - skew)
    assert (taken.at, taken.sent_as) == (NOW - 60 * MINUTE, NOW - 60 * MINUTE)


def test_without_a_time_of_its_own_an_event_is_as_old_as_its_sending() -> None:
    assert tracked({}, sent_at=NOW - MINUTE).at == NOW - MINUTE
    late = tracked({}, sent_at=NOW - 60 * MINUTE)
    assert (late.at, late.sent_as) == (NOW, NOW - 60 * MINUTE)


@pytest.mark.parametrize("sent_at", [None, NOW], ids=["no time", "a sending's time"])
def test_an_id_without_a_time_of_its_own_is_looked_for_where_its_repeat_will_be(
    sent_at: int | None,
) -> None:
    first = event({"id": "a"}, window(NOW, sent_at, 30))
    again = event({"id": "a"}, window(NOW + DAY, sent_at and sent_at + DAY, 30))
    assert (first.at, again.at) == (NOW, NOW + DAY)
    assert first.sent_as == again.sent_as != NOW
    assert first.sent_as < 20 * 365 * DAY


# ---- Persons ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("/user/bob@example.com/x", "/user/[redacted]/x"),
        ("/user/bob%40example.com", "/user/[redacted]"),
        ("mail=Bob.B+x@mail.example.co.uk;", "mail=[redacted];"),
        ("a@b.cc a@b.cc", "[redacted] [redacted]"),
        ("write to bob@example.com!", "write to [redacted]"),
        ("[bob@example.com]", "[redacted]"),
        ("{bob@example.com}", "[redacted]"),
        ("“bob@example.com”…", "[redacted]"),
        ("bob@example.com#2", "[redacted]"),
        ("bob@example.com-1", "[redacted]"),
        ("bob@example.com%20x", "[redacted]"),
        ("who=bob%2540example.com", "who=[redacted]"),
        ("bob%252540example.com", "[redacted]"),
        ("bob@@example.com", "[redacted]"),
        ("bob@xn--mnchen-3ya.xn--p1ai", "[redacted]"),
        ("bob@उदाहरण.भारत", "[redacted]"),
        ("/@bob", "/@bob"),
        ("/npm/lib@3.6.0/x.js", "/npm/lib@3.6.0/x.js"),
        ("a@b", "a@b"),
        ("no address", "no address"),
        ("x@" * 50_000, "x@" * 50_000),
        ("x%" + "25" * 50_000, "x%" + "25" * 50_000),
        ("x@" + "a." * 50_000 + "@", "x@" + "a." * 50_000 + "@"),
        ("x@" + "a" * 50_000 + "@" * 50_000, "x@" + "a" * 50_000 + "@" * 50_000),
    ],
)
def test_what_looks_like_an_address_is_taken_out(text: str, kept: str) -> None:
    assert redact(text) == kept


@pytest.mark.parametrize(
    ("field", "given", "kept"),
    [
        ("page", "/u/bob@example.com", "/u/[redacted]"),
        ("page", "/u/bob%40example.com", "/u/[redacted]"),
        ("page", "/u/bob%2540example.com", "/u/[redacted]"),
        ("page", "/a?email=bob@example.com&password=x", "/a"),
        ("page", "/a?utm_term=bob@example.com", "/a?utm_term=%5Bredacted%5D"),
        ("page", "/a?utm_source=x%00y&utm_medium=z", "/a?utm_medium=z"),
        ("page", "/a%00%0ab", "/a  b"),
        ("page", "https://bob:secret@shop.example/a", "/a"),
        ("page", "https://shop.example", "/"),
        ("page", "//blog/post?utm_source=x", "//blog/post?utm_source=x"),
        ("page", "/a%3Futm_source=x", "/a%3Futm_source=x"),
        ("referrer", "https://bob:secret@news.example/x?token=1", "news.example"),
        ("referrer", "android-app://com.mail.example/", "com.mail.example"),
        ("link", "https://bob:secret@other.example/x?token=1#a", "other.example/x"),
        ("link", "mailto:bob@example.com", "[redacted]"),
        ("event_type", "bob@example.com", "[redacted]"),
        ("metadata", {"who": "bob@example.com"}, (("who", "[redacted]"),)),
        ("metadata", {"bob@example.com": 1}, (("[redacted]", "1"),)),
    ],
)
def test_no_event_keeps_what_is_a_persons(field: str, given: Any, kept: Any) -> None:
    name = {"event_type": "name", "metadata": "props"}.get(field, field)
    assert getattr(tracked({field: given}), name) == kept


def test_a_campaign_is_read_off_a_page() -> None:
    page = tracked({"page": "/a?utm_source=mail&utm_campaign=Spr%C3%BCng+1&x=2"}).page
    assert page is not None
    assert campaign(page) == ("/a", ("mail", None, "Sprüng 1", None, None))


def test_a_server_tells_of_its_visitor() -> None:
    told = {"ip": "192.0.2.1", "agent": "Mozilla/5.0", "country": "at"}
    taken = tracked(told, own=True)
    assert (taken.ip, taken.agent, taken.country) == ("192.0.2.1", "Mozilla/5.0", "AT")
    with pytest.raises(Fault, match="country"):
        tracked({"country": "?!"}, own=True)


@pytest.mark.parametrize(
    ("header", "country"), [("at", "AT"), ("", None), ("AUT", None), ("é", None)]
)
def test_a_country_is_two_letters(header: str, country: str | None) -> None:
    assert country_of(header) == country
