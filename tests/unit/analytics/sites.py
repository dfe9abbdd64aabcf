"""A site and commands to it, as the tests of this capability use them."""

from __future__ import annotations

from typing import Any

from functions.analytics.decider import DEFAULT_PAIRS, CreateSite
from functions.analytics.events import SiteCreated, Terms
from tests.support.clock import START

NOW = START
MINUTE = NOW // 60_000
ID = "k3v9x0a2m1qz"
ORIGINS = ("https://shop.example",)


def terms(**changed: Any) -> Terms:
    """How the site is counted, but for what is `changed`."""
    return Terms(**{"timezone": "UTC", "phase": 0, "pairs": DEFAULT_PAIRS, **changed})


def create(origins: tuple[str, ...] = ORIGINS, **changed: Any) -> CreateSite:
    return CreateSite(ID, "alice", "Shop", origins, terms(**changed), NOW)


def created(origins: tuple[str, ...] = ORIGINS, **changed: Any) -> SiteCreated:
    wanted = vars(terms(**changed))
    return SiteCreated(id=ID, owner="alice", name="Shop", origins=origins, created_at=NOW, **wanted)


CREATED = created()
