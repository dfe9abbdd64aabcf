"""A short link as a small site, which nobody had to define."""

from __future__ import annotations

from functions.analytics.decider import Definition

PREFIX = "link:"
RETENTION_DAYS = 365


def site_of(domain: str, code: str) -> str:
    """The site that a link's clicks are counted in."""
    return f"{PREFIX}{domain}/{code}"


def is_link(site: str) -> bool:
    """Whether a site is a short link."""
    return site.startswith(PREFIX)


def definition(site: str) -> Definition:
    """What is counted of a link: whole UTC days, every rollup that a site has, no pairs."""
    return Definition(id=site, created_at=0, timezone="UTC", phase=0, retention_days=RETENTION_DAYS)
