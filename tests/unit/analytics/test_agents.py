"""Agents, and where visits come from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.analytics import agents, referrers
from functions.analytics.agents import Agent

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
PEOPLE = {
    "windows": (
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/140.0.0.0 Safari/537.36",
        Agent("desktop", "Chrome", "Windows"),
    ),
    "iphone": (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
        "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
        Agent("mobile", "Mobile Safari", "iOS"),
    ),
    "android phone named Cubot": (
        f"Mozilla/5.0 (Linux; Android 9; CUBOT X19) {WEBKIT} Chrome/140.0.0.0 Mobile Safari/537.36",
        Agent("mobile", "Chrome Mobile", "Android"),
    ),
    "android tablet": (
        f"Mozilla/5.0 (Linux; Android 12; SM-X906C) {WEBKIT} Chrome/140.0.0.0 Safari/537.36",
        Agent("tablet", "Chrome", "Android"),
    ),
    "television": (
        f"Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) {WEBKIT} Version/6.0 TV Safari/537.36",
        Agent("tv", "Safari", "Tizen"),
    ),
    "unheard of": ("something/1.0 of my own", Agent("desktop")),
}
MACHINES = [
    "",
    "curl/8.9.1",
    "python-requests/2.32",
    "Go-http-client/1.1",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} HeadlessChrome/140.0.0.0 Safari/537.36",
    "Mozilla/5.0 (compatible; UptimeRobot/2.0)",
    "Mozilla/5.0 (compatible; GPTBot/1.2)",
    "facebookexternalhit/1.1",
]


@pytest.mark.parametrize(("text", "told"), PEOPLE.values(), ids=PEOPLE)
def test_an_agent_tells_device_browser_and_system(text: str, told: Agent) -> None:
    assert agents.read(text) == told


@pytest.mark.parametrize("text", MACHINES)
def test_a_machine_that_says_so_is_one(text: str) -> None:
    assert agents.read(text) == Agent(machine=True)


@given(st.text(max_size=600))
def test_whatever_is_sent_for_an_agent_can_be_looked_at(text: str) -> None:
    told = agents.read(text)
    assert told.machine == (told.device is None)


@pytest.mark.parametrize(
    ("referrer", "host"),
    [
        ("https://www.news.example:8443/a?b", "news.example"),
        ("news.example", "news.example"),
        ("NEWS.example.", "news.example"),
        ("android-app://com.mail.example/", "com.mail.example"),
        ("", None),
        ("/path", None),
        ("http://[::1", None),
    ],
)
def test_a_referrer_is_a_host(referrer: str, host: str | None) -> None:
    assert referrers.host_of(referrer) == host


@pytest.mark.parametrize(
    ("host", "spam"),
    [
        ("semalt.com", True),
        ("42.semalt.com", True),
        ("notsemalt.com", False),
        ("news.example", False),
        ("bad.example", True),
        ("deep.bad.example", True),
        ("example", False),
    ],
)
def test_spam_is_known_by_its_host(host: str, spam: bool) -> None:
    assert referrers.is_spam(host, ("bad.example",)) == spam


def test_a_site_does_not_refer_to_itself() -> None:
    origins = ("https://www.shop.example", "http://localhost:8080")
    assert referrers.is_own("shop.example", origins)
    assert referrers.is_own("localhost", origins)
    assert not referrers.is_own("news.example", origins)
