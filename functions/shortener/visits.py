"""Who comes by, as the request's headers tell it. Pure; the redirect imports it.

A machine that hides is counted as a person; one that says what it is, or only looks ahead, is not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from functions.shortener.policy import Kind, Visit

# Fetchers of what a message or a post shows beside a link, by the names that their operators
# document (developers.facebook.com, api.slack.com/robots, developer.x.com, and so on).
_PREVIEW = re.compile(
    r"facebookexternalhit|facebot|slackbot|slack-imgproxy|twitterbot|discordbot|telegrambot"
    r"|whatsapp|linkedinbot|skypeuripreview|microsoftpreview|pinterest|redditbot|embedly|iframely"
    r"|vkshare|viber|line-poker|mastodon|bluesky|snapchat|google-inspectiontool|applebot-extended",
    re.IGNORECASE,
)
_BOT = re.compile(
    r"bot\b|bot/|crawl|spider|slurp|archiver|monitor|uptime|scan|curl/|wget/|python-|httpx|aiohttp"
    r"|go-http-client|java/|okhttp|libwww|headless|phantomjs|lighthouse|feedfetcher|preview|fetch",
    re.IGNORECASE,
)
_SYSTEMS = (
    ("ios", re.compile(r"iphone|ipad|ipod", re.IGNORECASE)),
    ("android", re.compile(r"android", re.IGNORECASE)),
    ("windows", re.compile(r"windows", re.IGNORECASE)),
    ("macos", re.compile(r"macintosh|mac os x", re.IGNORECASE)),
    ("linux", re.compile(r"linux|x11|cros", re.IGNORECASE)),
)
_TABLET = re.compile(r"ipad|tablet|android(?!.*mobi)", re.IGNORECASE)
_MOBILE = re.compile(r"mobi|iphone|ipod", re.IGNORECASE)
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
        country=country if len(country) == 2 and country.isascii() else None,
        query=query,
        visitor=f"{address} {agent}",
    )


def _kind(method: str, headers: Mapping[str, str], agent: str) -> Kind:
    if method == "HEAD":
        return "head"
    if any("pre" in headers.get(name, "") for name in _PURPOSES):
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
    """Language tags by weight (RFC 9110, 12.5.4), those of equal weight in their order."""
    weighted = []
    for part in accepted[:200].split(","):
        tag, _, weight = part.strip().lower().partition(";q=")
        try:
            weighted.append((float(weight or 1), tag))
        except ValueError:
            continue
    weighted.sort(key=lambda pair: -pair[0])
    return tuple(tag for weight, tag in weighted if tag and weight > 0)
