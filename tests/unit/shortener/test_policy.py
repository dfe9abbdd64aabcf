from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from functions.shortener.decider import (
    DECIDER,
    GRACE_MS,
    TOMBSTONE_MS,
    Enforce,
    Link,
    Moderate,
    PassTime,
    TransferLink,
)
from functions.shortener.events import (
    Event,
    LinkBanned,
    LinkCleared,
    LinkDeleted,
    LinkDisabled,
    LinkExpired,
    LinkExpiryChanged,
    LinkPurged,
    LinkQuarantined,
    LinkTransferred,
)
from functions.shortener.policy import Visit, destination, guarded, may_be_told, stage
from tests.support.clock import START as NOW
from tests.support.given import given
from tests.unit.shortener.links import CREATED, DAY, URL, create, edit

EXPIRY = NOW + 30 * DAY
A, B = "https://a.example/", "https://b.example/"


def link(*events: Event, **terms: Any) -> Link:
    created = DECIDER.decide(create(**terms), None)
    state: Link = DECIDER.fold(None, [*created, *events])  # type: ignore[assignment]
    return state


BANNED = LinkBanned("phishing")


@pytest.mark.parametrize(
    ("events", "terms", "now", "expected"),
    [
        pytest.param([], {}, NOW, "open", id="open"),
        pytest.param([], {}, EXPIRY - 1, "open", id="last-moment"),
        pytest.param([], {}, EXPIRY, "over", id="over-to-the-millisecond"),
        pytest.param([], {"not_before": NOW + 1}, NOW, "early", id="early"),
        pytest.param([], {"not_before": NOW + 1}, NOW + 1, "open", id="begun"),
        pytest.param([LinkDisabled()], {}, NOW, "gone", id="disabled"),
        pytest.param([LinkDeleted(NOW)], {}, NOW, "gone", id="deleted"),
        pytest.param([LinkQuarantined("reported")], {}, NOW, "warning", id="quarantined"),
        pytest.param([BANNED], {}, NOW, "banned", id="banned"),
        pytest.param([BANNED, LinkCleared()], {}, NOW, "open", id="cleared"),
        pytest.param([BANNED, LinkDisabled()], {}, EXPIRY, "banned", id="a-ban-comes-first"),
        pytest.param([LinkQuarantined("x")], {}, EXPIRY, "warning", id="a-warning-before-window"),
    ],
)
def test_stages_come_in_one_order(
    events: list[Event], terms: dict[str, Any], now: int, expected: str
) -> None:
    assert stage(link(*events, **terms), now) == expected


@pytest.mark.parametrize(
    ("terms", "now", "told"),
    [
        pytest.param({}, NOW, True, id="open"),
        pytest.param({"max_clicks": 1}, NOW, True, id="capped"),
        pytest.param({"password": "hash"}, NOW, False, id="password"),
        pytest.param({"not_before": NOW + 1}, NOW, False, id="early"),
        pytest.param({"not_before": NOW + 1}, NOW + 1, True, id="begun"),
        pytest.param({}, EXPIRY, False, id="over"),
    ],
)
def test_a_warning_tells_no_more_than_the_link_would(
    terms: dict[str, Any], now: int, told: bool
) -> None:
    assert may_be_told(link(LinkQuarantined("reported"), **terms), now) is told


@pytest.mark.parametrize(
    ("terms", "held"),
    [({}, False), ({"max_clicks": 1}, True), ({"password": "hash"}, True)],
    ids=["open", "capped", "password"],
)
def test_what_machines_may_not_follow(terms: dict[str, Any], held: bool) -> None:
    assert guarded(link(**terms)) is held


def ruled(*conditions: tuple[str, ...]) -> Link:
    return link(rules=((conditions, ((A, 1),)), ((("query", "b"),), ((B, 1),))))


PERSON = Visit("human", frozenset({"ios", "mobile"}), ("de-at", "en"), "AT", {"src": "mail"})


@pytest.mark.parametrize(
    ("conditions", "leads"),
    [
        pytest.param([("device", "android", "ios")], A, id="device"),
        pytest.param([("device", "desktop")], URL, id="other-device"),
        pytest.param([("language", "de")], A, id="language-of-a-region"),
        pytest.param([("language", "de-at")], A, id="region"),
        pytest.param([("language", "de-ch")], URL, id="other-region"),
        pytest.param([("language", "en")], URL, id="second-language"),
        pytest.param([("country", "DE", "AT")], A, id="country"),
        pytest.param([("country", "DE")], URL, id="other-country"),
        pytest.param([("query", "src")], A, id="parameter"),
        pytest.param([("query", "src=mail")], A, id="parameter-and-value"),
        pytest.param([("query", "src=web")], URL, id="other-value"),
        pytest.param([("query", "x")], URL, id="no-parameter"),
        pytest.param([("country", "AT"), ("device", "desktop")], URL, id="one-of-two"),
        pytest.param([("country", "AT"), ("device", "ios")], A, id="both"),
        pytest.param([("moon", "full")], URL, id="unknown-condition"),
        pytest.param([], A, id="for-all"),
    ],
)
def test_the_first_rule_that_fits_decides(conditions: list[tuple[str, ...]], leads: str) -> None:
    assert destination(ruled(*conditions), PERSON) == leads


def test_a_later_rule_is_asked_where_an_earlier_does_not_fit() -> None:
    visit = PERSON._replace(query={"b": ""})
    assert destination(ruled(("country", "DE")), visit) == B


@for_all(st.text(), st.lists(st.integers(1, 1000), min_size=1, max_size=10))
def test_one_visitor_is_led_to_one_place(visitor: str, weights: list[int]) -> None:
    split = link(rules=(((), tuple((f"{A}{n}", weight) for n, weight in enumerate(weights))),))
    visit = PERSON._replace(visitor=visitor)
    assert destination(split, visit) == destination(split, visit)
    assert destination(split, visit).startswith(A)


def test_shares_follow_the_weights() -> None:
    split = link(rules=(((), ((A, 3), (B, 1))),))
    led = Counter(destination(split, PERSON._replace(visitor=str(n))) for n in range(4000))
    # 4,000 draws of 3/4: a standard deviation of 27.4; five of them on either side.
    assert abs(led[A] - 3000) < 137


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"not_before": EXPIRY}, "not_before"),
        ({"counted": False, "max_clicks": 1}, "counted"),
        ({"counted": False, "password": "x"}, "counted"),
        ({"counted": False, "rules": (((), ((A, 1),)),)}, "counted"),
    ],
    ids=["window", "cap", "password", "rules"],
)
def test_terms_that_contradict_each_other_are_refused(terms: dict[str, Any], field: str) -> None:
    given(DECIDER).when(create(**terms)).rejected(field)
    given(DECIDER, CREATED).when(edit(**terms)).rejected(field)


def test_a_link_is_given_away() -> None:
    given(DECIDER, CREATED).when(TransferLink("bob")).then(LinkTransferred("bob"))
    given(DECIDER, CREATED).when(TransferLink("alice")).then()


BY_HOST = LinkBanned("phishing", "ban#host#evil.example")


@pytest.mark.parametrize(
    ("history", "command", "events"),
    [
        ([], Moderate("banned", "spam"), [LinkBanned("spam")]),
        ([], Moderate("quarantined", "look"), [LinkQuarantined("look")]),
        ([], Moderate("clear"), []),
        ([BANNED], Moderate("banned", "phishing"), []),
        ([BANNED], Moderate("banned", "again"), [LinkBanned("again")]),
        ([BANNED], Moderate("clear"), [LinkCleared()]),
        ([BY_HOST], Moderate("banned", "spam"), [LinkBanned("spam")]),
        ([], Enforce("ban#host#evil.example", "phishing"), [BY_HOST]),
        ([BY_HOST], Enforce("ban#host#evil.example", "phishing"), []),
        ([BY_HOST], Enforce(None), [LinkCleared()]),
        ([BY_HOST], Enforce("ban#owner#x", "fraud"), [LinkBanned("fraud", "ban#owner#x")]),
        ([BANNED], Enforce(None), []),
        ([BANNED], Enforce("ban#owner#x", "fraud"), []),
        ([], Enforce(None), []),
    ],
)
def test_a_links_standing_follows_moderators_first_and_bans_else(
    history: list[Event], command: Moderate | Enforce, events: list[Event]
) -> None:
    given(DECIDER, CREATED, *history).when(command).then(*events)


def test_who_clears_a_link_gives_no_reason_since_none_is_kept() -> None:
    given(DECIDER, CREATED, BANNED).when(Moderate("clear", "appeal 12")).rejected("reason")
    given(DECIDER, CREATED).when(Moderate("clear", "appeal 12")).rejected("reason")


NOTED = LinkExpired(EXPIRY)


@pytest.mark.parametrize(
    ("history", "now", "events"),
    [
        ([], EXPIRY - 1, []),
        ([], EXPIRY, [NOTED]),
        ([NOTED], EXPIRY + GRACE_MS - 1, []),
        ([NOTED], EXPIRY + GRACE_MS, [LinkPurged(EXPIRY + GRACE_MS)]),
        ([], EXPIRY + GRACE_MS, [NOTED, LinkPurged(EXPIRY + GRACE_MS)]),
        ([NOTED, LinkExpiryChanged(EXPIRY + DAY)], EXPIRY + 1, []),
        ([NOTED, LinkExpiryChanged(EXPIRY + DAY)], EXPIRY + DAY, [LinkExpired(EXPIRY + DAY)]),
        ([LinkExpiryChanged(None)], EXPIRY + GRACE_MS, []),
        ([LinkDeleted(NOW)], NOW + GRACE_MS - 1, []),
        ([LinkDeleted(NOW)], NOW + GRACE_MS, [LinkPurged(NOW + GRACE_MS)]),
        ([LinkDeleted()], NOW + 99 * GRACE_MS, []),
        ([NOTED, LinkPurged(NOW)], NOW + TOMBSTONE_MS, []),
    ],
)
def test_time_does_what_is_due_and_nothing_early(
    history: list[Event], now: int, events: list[Event]
) -> None:
    given(DECIDER, CREATED, *history).when(PassTime(now)).then(*events)


def test_a_purged_link_keeps_its_code_and_nothing_else() -> None:
    purged = link(LinkDeleted(NOW), LinkPurged(NOW + GRACE_MS), title="Mine", password="hash")
    assert (purged.code, purged.owner, purged.long_url) == (CREATED.code, "", "")
    assert (purged.title, purged.password, purged.deleted) == (None, None, True)
    assert purged.due == NOW + GRACE_MS + TOMBSTONE_MS
