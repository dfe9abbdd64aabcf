"""Links and what happened to them, as the tests of this capability use them."""

from __future__ import annotations

from typing import Any

from functions.kernel.commands import Commands, Context
from functions.kernel.memory import MemoryStore
from functions.shortener.decider import DECIDER, CreateLink, EditLink, Link, stream_id
from functions.shortener.events import LinkCreated, Terms
from tests.support.clock import START as NOW

DAY = 24 * 3600 * 1000
URL = "https://example.com/a"

CREATED = LinkCreated(
    domain="default",
    code="abc1234",
    owner="alice",
    long_url=URL,
    redirect_status=302,
    created_at=NOW,
    expires_at=NOW + 30 * DAY,
)
STREAM = stream_id(CREATED.domain, CREATED.code)


def create(expires_at: int | None = CREATED.expires_at, now: int = NOW, **terms: Any) -> CreateLink:
    wanted = Terms(long_url=URL, redirect_status=302, expires_at=expires_at, **terms)
    return CreateLink("default", "abc1234", "alice", wanted, now)


def edit(now: int = NOW, **changes: Any) -> EditLink:
    return EditLink(now, changes)


def commands(store: MemoryStore) -> Commands[Link | None]:
    return Commands(store, DECIDER)


def by(actor: str = "alice", *, now: int = NOW, tenant: str = "default") -> Context:
    return Context(actor, now, f"commit-{now}", "correlation", tenant)
