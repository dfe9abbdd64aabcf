from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.kernel.store import Stream
from functions.kernel.views import Page
from functions.shortener.decider import DEFAULT_DOMAIN, Link
from functions.shortener.listing import STATES, Filter, look
from functions.shortener.views import position, render
from tests.support.clock import START as NOW
from tests.unit.shortener.links import DAY

LINK = Link(
    domain=DEFAULT_DOMAIN,
    code="Spring26",
    owner="alice",
    created_at=NOW,
    long_url="https://www.example.com/sale",
    redirect_status=302,
    tags=("news", "Q1"),
    title="Große Frühlings sale",
)


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (Filter(), True),
        (Filter(tag="news"), True),
        (Filter(tag="new"), False),
        (Filter(tag="q1"), False),
        (Filter(domain="go.example.com"), False),
        (Filter(domain=DEFAULT_DOMAIN), True),
        (Filter(state="active"), True),
        (Filter(state="expired"), False),
        (Filter(q="spr"), True),
        (Filter(q="SPRING26"), True),
        (Filter(q="ring"), False),
        (Filter(q="GROSSE FR"), True),
        (Filter(q="frühl"), True),
        (Filter(q="sale"), True),
        (Filter(q="www.exa"), True),
        (Filter(q="exam"), True),
        (Filter(q="ww.example"), False),
        (Filter(q="https"), False),
        (Filter(tag="news", state="active", q="sale"), True),
        (Filter(tag="news", state="active", q="none"), False),
    ],
    ids=repr,
)
def test_a_filter_asks_all_that_it_names(wanted: Filter, fits: bool) -> None:
    assert wanted.fits(LINK, NOW) is fits


@pytest.mark.parametrize("q", ["münch", "MÜNCHEN.example", "www.mün", "xn--mnchen", "www.xn--m"])
def test_a_host_is_found_in_its_own_letters_and_in_ascii(q: str) -> None:
    link = replace(LINK, long_url="https://www.xn--mnchen-3ya.example/")
    assert Filter(q=q).fits(link, NOW)
    assert not Filter(q=q).fits(LINK, NOW)


def test_a_host_that_cannot_be_decoded_is_found_as_it_is() -> None:
    link = replace(LINK, long_url="https://xn--a.example/")
    assert Filter(q="xn--a").fits(link, NOW)


@pytest.mark.parametrize(
    ("state", "link"),
    [
        ("active", LINK),
        ("active", replace(LINK, expires_at=NOW + 1)),
        ("expired", replace(LINK, expires_at=NOW)),
        ("scheduled", replace(LINK, not_before=NOW + 1)),
        ("disabled", replace(LINK, disabled=True, expires_at=NOW - DAY)),
        ("quarantined", replace(LINK, standing="quarantined")),
        ("banned", replace(LINK, standing="banned", disabled=True)),
    ],
)
def test_a_link_is_in_the_one_state_that_it_has_now(state: Any, link: Link) -> None:
    fitting = [each for each in STATES.values() if Filter(state=each).fits(link, NOW)]
    assert fitting == [state]


def test_links_of_one_moment_and_code_on_two_domains_have_places_of_their_own() -> None:
    other = replace(LINK, domain="go.example.com")
    assert position(LINK) != position(other)


def pages(links: list[Link], rows: int, below: str | None) -> Iterator[Page]:
    """What a list of these links gives: pages of so many rows, newest first."""
    ordered = sorted(links, key=position, reverse=True)
    left = [link for link in ordered if below is None or position(link) < below]
    for start in range(0, max(1, len(left)), rows):
        shown = left[start : start + rows]
        more = len(left) > start + rows
        yield Page(
            [dict(render(Stream("s", link, version=1)).data) for link in shown],
            position(shown[-1]) if more else None,
        )


@given(
    st.lists(st.booleans(), max_size=30),
    st.integers(1, 7),
    st.integers(1, 7),
    st.integers(1, 3),
)
def test_page_after_page_gives_every_link_that_fits_once(
    fitting: list[bool], limit: int, rows: int, reach: int
) -> None:
    links = [
        replace(LINK, code=f"c{number}", created_at=NOW + number, disabled=not fits)
        for number, fits in enumerate(fitting)
    ]
    seen: list[str] = []
    below: str | None = None
    for _ in range(len(links) + 1):
        reached = (page for page, _ in zip(pages(links, rows, below), range(reach), strict=False))
        found = look(reached, lambda link: not link.disabled, limit)
        assert len(found.links) <= limit
        seen += [link.code for link, _ in found.links]
        if (below := found.next) is None:
            break
    assert below is None
    assert seen == [link.code for link in links[::-1] if not link.disabled]
