"""What a user agent tells: browser, system and kind of device, and whether it is a machine."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from functions.analytics.tracking import MAX_AGENT

REMEMBERED = 4_000
"""Agents that a container remembers: to look at one takes milliseconds."""
_TV = re.compile(r"smart-?tv|appletv|googletv|hbbtv|bravia|roku|\btv\b|aft[a-z]\b", re.IGNORECASE)
_TABLET = re.compile(r"ipad|tablet|kindle|silk/|^(?!.*mobi).*android", re.IGNORECASE)
_MOBILE = re.compile(r"mobi|iphone|ipod|android", re.IGNORECASE)


class Agent(NamedTuple):
    """`device` is desktop, mobile, tablet or tv; a machine has none of these."""

    device: str | None = None
    browser: str | None = None
    os: str | None = None
    machine: bool = False


def read(text: str) -> Agent:
    """What an agent tells. Whoever hides what it is counts as a person; who says nothing, as a
    machine."""
    return _read(text[:MAX_AGENT])


@lru_cache(REMEMBERED)
def _read(text: str) -> Agent:
    # Thousands of patterns, by who keeps them; loaded only when there is an agent to look at.
    import crawleruseragents  # type: ignore[import-untyped]
    import ua_parser

    parsed = ua_parser.parse(text)
    spider = parsed.device is not None and parsed.device.family == "Spider"
    if not text or spider or crawleruseragents.is_crawler(text):
        return Agent(machine=True)
    return Agent(
        device=_device(text),
        browser=parsed.user_agent.family if parsed.user_agent else None,
        os=parsed.os.family if parsed.os else None,
    )


def _device(text: str) -> str:
    if _TV.search(text):
        return "tv"
    if _TABLET.search(text):
        return "tablet"
    return "mobile" if _MOBILE.search(text) else "desktop"
