from __future__ import annotations

import json
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from functions.shortener.policy import Visit
from functions.shortener.visits import visit

ROOT = Path(__file__).parents[3]
CONTRACT = json.loads((ROOT / "contracts/shortener/LinkClicked.v1.json").read_text())
FIELDS: dict[str, Any] = CONTRACT["properties"]["data"]["properties"]

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) "
)
PEOPLE = {
    "iphone-safari": (
        IPHONE + "Version/17.5 Mobile/15E148 Safari/604.1",
        {"mobile", "ios"},
    ),
    "iphone-chrome": (
        IPHONE + "CriOS/126.0.6478.54 Mobile/15E148 Safari/604.1",
        {"mobile", "ios"},
    ),
    "ipad-safari": (
        "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        "Version/16.6 Mobile/15E148 Safari/604.1",
        {"tablet", "ios"},
    ),
    "android-chrome": (
        f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/126.0.0.0 Mobile Safari/537.36",
        {"mobile", "android"},
    ),
    "android-firefox": (
        "Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0",
        {"mobile", "android"},
    ),
    "android-samsung": (
        f"Mozilla/5.0 (Linux; Android 13; SAMSUNG SM-S918B) {WEBKIT} "
        "SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36",
        {"mobile", "android"},
    ),
    "android-tablet": (
        f"Mozilla/5.0 (Linux; Android 12; SM-X906C) {WEBKIT} Chrome/126.0.0.0 Safari/537.36",
        {"tablet", "android"},
    ),
    "android-tablet-firefox": (
        "Mozilla/5.0 (Android 13; Tablet; rv:127.0) Gecko/127.0 Firefox/127.0",
        {"tablet", "android"},
    ),
    "cubot": (
        f"Mozilla/5.0 (Linux; Android 9; CUBOT Build/PPR1) {WEBKIT} "
        "Chrome/120.0.0.0 Mobile Safari/537.36",
        {"mobile", "android"},
    ),
    "cubot-model": (
        f"Mozilla/5.0 (Linux; Android 10; CUBOT_NOTE_7) {WEBKIT} "
        "Chrome/120.0.0.0 Mobile Safari/537.36",
        {"mobile", "android"},
    ),
    "in-facebook": (
        f"Mozilla/5.0 (Linux; Android 13; SM-A536B Build/TP1A; wv) {WEBKIT} Version/4.0 "
        "Chrome/126.0.0.0 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/470.0.0.38.76;]",
        {"mobile", "android"},
    ),
    "in-instagram": (
        IPHONE + "Mobile/15E148 Instagram 335.1.8.26.85 (iPhone14,5; iOS 17_5; de_AT; scale=3.00)",
        {"mobile", "ios"},
    ),
    "in-pinterest": (IPHONE + "Mobile/15E148 [Pinterest/iOS]", {"mobile", "ios"}),
    "in-pinterest-android": (
        f"Mozilla/5.0 (Linux; Android 13; SM-S918B; wv) {WEBKIT} Version/4.0 Chrome/116.0.0.0 "
        "Mobile Safari/537.36 [Pinterest/Android]",
        {"mobile", "android"},
    ),
    "in-snapchat": (
        IPHONE + "Mobile/15E148 Snapchat/12.80.0.34 (like Safari/8617.1.17.10.9, panda)",
        {"mobile", "ios"},
    ),
    "in-line": (IPHONE + "Mobile/15E148 Safari Line/14.5.0", {"mobile", "ios"}),
    "in-a-qr-scanner": (
        f"Mozilla/5.0 (Linux; Android 13; Pixel 7; wv) {WEBKIT} Version/4.0 Chrome/126.0.0.0 "
        "Mobile Safari/537.36 QRScanner/2.1",
        {"mobile", "android"},
    ),
    "windows-edge": (
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/126.0.0.0 Safari/537.36 "
        "Edg/126.0.2592.68",
        {"desktop", "windows"},
    ),
    "windows-firefox": (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0",
        {"desktop", "windows"},
    ),
    "mac-safari": (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 "
        "(KHTML, like Gecko) Version/17.5 Safari/605.1.15",
        {"desktop", "macos"},
    ),
    "linux-chrome": (
        f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} Chrome/126.0.0.0 Safari/537.36",
        {"desktop", "linux"},
    ),
    "chromebook": (
        f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {WEBKIT} Chrome/126.0.0.0 Safari/537.36",
        {"desktop", "linux"},
    ),
}
PREVIEWS = [
    "WhatsApp/2.24.11.78 A",
    "WhatsApp/2.23.20.0 i",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "Slack-ImgProxy (+https://api.slack.com/robots)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "facebookexternalhit/1.1;line-poker/1.0",
    "Twitterbot/1.0",
    "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
    "TelegramBot (like TwitterBot)",
    "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
    "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 skype-url-preview@microsoft",
    "Pinterest/0.2 (+https://www.pinterest.com/bot.html)",
    "Mozilla/5.0 (compatible; Pinterestbot/1.0; +https://www.pinterest.com/bot.html)",
    "Mozilla/5.0 (compatible; Snap URL Preview Service; bot; snapchat; https://developers.snap.com)",
    "Mozilla/5.0 (compatible; Bluesky Cardyb/1.1; mailto:support@bsky.app)",
    "Viber/20.5.0.2 CFNetwork/1408.0.4 Darwin/22.5.0",
    "http.rb/5.1.1 (Mastodon/4.2.9; +https://mastodon.social/) Bot",
]
BOTS = [
    "",
    "curl/8.5.0",
    "Wget/1.21.4",
    "python-requests/2.32.3",
    "python-httpx/0.27.0",
    "Python/3.11 aiohttp/3.9.5",
    "Go-http-client/2.0",
    "Java/17.0.2",
    "okhttp/4.12.0",
    "node-fetch/1.0 (+https://github.com/bitinn/node-fetch)",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    f"Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) {WEBKIT} Chrome/126.0.0.0 "
    "Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "AdsBot-Google (+http://www.google.com/adsbot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
    "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
    "Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/help/us/ysearch/slurp)",
    f"Mozilla/5.0 {WEBKIT}; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
    f"Mozilla/5.0 {WEBKIT}; compatible; ChatGPT-User/1.0; +https://openai.com/bot",
    "meta-externalagent/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)",
    "Mozilla/5.0 (compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
    f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} HeadlessChrome/126.0.0.0 Safari/537.36",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} Chrome/126.0.0.0 Safari/537.36 "
    "Chrome-Lighthouse",
]
CHROME = PEOPLE["linux-chrome"][0]


def come(agent: str = CHROME, method: str = "GET", **headers: str) -> Visit:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return visit(method, {"user-agent": agent, **named}, {}, "192.0.2.1", "x-country")


@pytest.mark.parametrize(("agent", "devices"), PEOPLE.values(), ids=PEOPLE)
def test_a_browser_is_a_person_with_a_device(agent: str, devices: AbstractSet[str]) -> None:
    assert (come(agent).kind, come(agent).devices) == ("human", devices)


@pytest.mark.parametrize("agent", PREVIEWS)
def test_what_fetches_a_preview_says_so(agent: str) -> None:
    assert come(agent).kind == "preview"


@pytest.mark.parametrize("agent", BOTS)
def test_what_says_that_it_is_a_machine_is_one(agent: str) -> None:
    assert come(agent).kind == "bot"


def test_who_says_nothing_is_a_machine() -> None:
    assert visit("GET", {}, {}, "192.0.2.1", "x-country").kind == "bot"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sec-purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("sec-purpose", "prefetch;anonymous-client-ip"),
        ("purpose", "prefetch"),
        ("purpose", "preview"),
        ("x-purpose", "preview"),
        ("x-moz", "prefetch"),
        ("x-moz", "Prefetch"),
    ],
)
def test_a_browser_that_looks_ahead_says_so(name: str, value: str) -> None:
    headers = {"user-agent": CHROME, name: value}
    assert visit("GET", headers, {}, "192.0.2.1", "x-country").kind == "prefetch"


@pytest.mark.parametrize("value", ["", "navigate", "fetch"])
def test_another_purpose_is_a_visit(value: str) -> None:
    assert come(sec_purpose=value).kind == "human"


def test_a_head_is_a_head_whoever_sends_it() -> None:
    assert {come(agent, "HEAD").kind for agent in (CHROME, "Twitterbot/1.0", "")} == {"head"}


@pytest.mark.parametrize(
    ("accepted", "languages"),
    [
        ("", ()),
        ("de", ("de",)),
        ("de-AT,de;q=0.9,en;q=0.8", ("de-at", "de", "en")),
        ("en;q=0.3, fr", ("fr", "en")),
        ("en ; q=0.5 , de", ("de", "en")),
        ("a;q=0.5,b;q=0.5", ("a", "b")),
        ("de;Q=0.5,en", ("en", "de")),
        ("zh-Hant-TW", ("zh-hant-tw",)),
        ("en;q=0,de", ("de",)),
        ("*", ()),
        ("en,*;q=0.1", ("en",)),
        (",,;,;q=1, ", ()),
        ("en;q=nan,de", ("de",)),
        ("en;q=inf,de;q=0.1", ("de",)),
        ("en;q=2,de;q=0.1", ("de",)),
        ("en;q=,de", ("de",)),
        ("en;q=-1,de", ("de",)),
        ("<script>,de", ("de",)),
        ("verylongsubtag,de", ("de",)),
        ("dé,de", ("de",)),
    ],
)
def test_languages_come_best_first_without_what_is_none(
    accepted: str, languages: tuple[str, ...]
) -> None:
    assert come(accept_language=accepted).languages == languages


@pytest.mark.parametrize(
    ("told", "country"),
    [
        ("AT", "AT"),
        ("at", "AT"),
        ("T1", "T1"),
        ("", None),
        ("AUT", None),
        ("<>", None),
        ("ÄÖ", None),
    ],
)
def test_a_country_is_two_characters(told: str, country: str | None) -> None:
    assert come(x_country=told).country == country


@for_all(st.text(), st.text(), st.text())
def test_whatever_headers_say_a_visit_fits_the_contract(
    agent: str, accepted: str, country: str
) -> None:
    made = come(agent, accept_language=accepted, x_country=country)
    jsonschema.validate(made.kind, FIELDS["kind"])
    if made.country is not None:
        jsonschema.validate(made.country, FIELDS["country"])
    assert all(tag == tag.lower() and tag.isascii() for tag in made.languages)


def test_a_visitor_is_told_by_address_and_agent() -> None:
    assert come().visitor == come(accept_language="de").visitor
    assert come().visitor != come(PEOPLE["mac-safari"][0]).visitor
