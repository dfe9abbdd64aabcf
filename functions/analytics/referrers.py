"""Where a visit came from: a host, unless it is the site's own or a spammer's."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

SPAMMERS = Path(__file__).with_name("referrer_spam.txt")
"""Hosts that visit in order to be seen in statistics, one on a line. Replace it by a longer one,
such as Matomo's referrer-spam-list, which is public domain and has the same form."""


def host_of(referrer: str) -> str | None:
    """The host of a referrer, without `www.`; of an app its package name. None where there is
    none. A host alone is taken as well."""
    try:
        host = urlsplit(referrer if "//" in referrer else f"//{referrer}").hostname
    except ValueError:
        return None
    return (host or "").rstrip(".").removeprefix("www.") or None


def is_spam(host: str, blocked: Collection[str] = ()) -> bool:
    """Whether a host, or one above it, is a known spammer or one of those that a site blocked."""
    known, own = _spammers(), {host_of(each) for each in blocked}
    return any(each in known or each in own for each in _upwards(host))


def is_own(host: str, origins: Collection[str]) -> bool:
    """Whether a host is that of one of the origins."""
    return host in {host_of(origin) for origin in origins}


def _upwards(host: str) -> Iterator[str]:
    while host:
        yield host
        host = host.partition(".")[2]


@cache
def _spammers() -> frozenset[str]:
    lines = SPAMMERS.read_text().splitlines()
    return frozenset(line.strip() for line in lines if line and not line.startswith("#"))
