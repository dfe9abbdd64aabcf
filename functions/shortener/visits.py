"""Who comes by, as the request's headers tell it. Pure; the redirect imports it.

A machine that hides is counted as a person; one that says what it is, or only looks ahead, is not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from functions.shortener.policy import Kind, Visit

# Fetchers of what a message or a post shows beside a link, by the names that their operators
# document (developers.facebook.com, api.slack.com/robots, developer.x.com, and so on). The browser
# inside an app bears the app's name as well, at its end; there somebody has followed the link.
_PREVIEW = re.compile(
    r"facebookexternalhit|facebot|slackbot|slack-imgproxy|twitterbot|discordbot|telegrambot"
    r"|^whatsapp|linkedinbot|skypeuripreview|microsoftpreview|pinterestbot|^pinterest|redditbot"
    r"|embedly|iframely|vkshare|^viber|line-poker|mastodon|cardyb|snap url preview"
    r"|google-inspectiontool",
    re.IGNORECASE,
)
# Cubot makes telephones.
_BOT = re.compile(
    r"(?<!cu)bot\b|crawl|spider|slurp|archiver|monitor|uptime|masscan|zgrab|censys|curl/|wget/"
    r"|python-|httpx|aiohttp|go-http-client|^java/|okhttp|libwww|headless|phantomjs|lighthouse"
    r"|preview|fetch|googleother|meta-external|-user/",
    re.IGNORECASE,
)
_SYSTEMS = (
    ("ios", re.compile(r"iphone|ipad|ipod", re.IGNORECASE)),
    ("android", re.compile(r"android", re.IGNORECASE)),
    ("windows", re.compile(r"windows", re.IGNORECASE)),
    ("macos", re.compile(r"macintosh|mac os x", re.IGNORECASE)),
    ("linux", re.compile(r"linux|x11|cros", re.IGNORECASE)),
)
_TABLET = re.compile(r"ipad|tablet|^(?!.*mobi).*android", re.IGNORECASE)
_MOBILE = re.compile(r"mobi|iphone|ipod", re.IGNORECASE)
_COUNTRY = re.compile(r"[A-Z0-9]{2}")
_LANGUAGE = re.compile(
    r"\s*([a-z]{1,8}(?:-[a-z0-9]{1,8})*)\s*(?:;\s*q=([01](?:\.\d{0,3})?))?\s*", re.ASCII
)
# Sec-Purpose is the Fetch standard's; the others are what older browsers send.
_PURPOSES = ("sec-purpose", "purpose", "x-purpose", "x-moz")


def visit(
    method: str,
    headers: Mapping[str, str],
    query: Mapping[str, str],
    address: str,
    country_header: str,
) -> Visit:
    """The visit that a request makes. `address` is the caller's, as the gateway saw it."""
    agent = headers.get("user-agent", "")
    country = headers.get(country_header, "").upper()
    return Visit(
        kind=_kind(method, headers, agent),
        devices=_devices(agent),
        languages=_languages(headers.get("accept-language", "")),
        country=country if _COUNTRY.fullmatch(country) else None,
        query=query,
        visitor=f"{address} {agent}",
    )


def _kind(method: str, headers: Mapping[str, str], agent: str) -> Kind:
    if method == "HEAD":
        return "head"
    if any("pre" in headers.get(name, "").lower() for name in _PURPOSES):
        return "prefetch"
    if _PREVIEW.search(agent):
        return "preview"
    return "bot" if not agent or _BOT.search(agent) else "human"


def _devices(agent: str) -> frozenset[str]:
    system = next((name for name, pattern in _SYSTEMS if pattern.search(agent)), None)
    form = "mobile" if _MOBILE.search(agent) else "desktop"
    if _TABLET.search(agent):
        form = "tablet"
    return frozenset({form} if system is None else {form, system})


def _languages(accepted: str) -> tuple[str, ...]:
    """Language tags by weight (RFC 9110, 12.5.4), those of equal weight in their order. What is not
    a tag and its weight is left out, as is `*`."""
    parts = (_LANGUAGE.fullmatch(part) for part in accepted[:200].lower().split(","))
    weighted = [(float(part[2] or 1), part[1]) for part in parts if part]
    weighted.sort(key=lambda pair: -pair[0])
    return tuple(tag for weight, tag in weighted if weight > 0)
