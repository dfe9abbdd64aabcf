"""Links and what happened to them, as the tests of this capability use them."""

from __future__ import annotations

from functions.kernel.commands import Commands, Context
from functions.kernel.memory import MemoryStore
from functions.shortener.decider import DECIDER, CreateLink, Link, stream_id
from functions.shortener.events import LinkCreated
from tests.support.clock import START as NOW

DAY = 24 * 3600 * 1000
URL = "https://example.com/a"

CREATED = LinkCreated("default", "abc1234", "alice", URL, 302, NOW, NOW + 30 * DAY)
STREAM = stream_id(CREATED.domain, CREATED.code)


def create(expires_at: int | None = CREATED.expires_at, now: int = NOW) -> CreateLink:
    return CreateLink("default", "abc1234", "alice", URL, 302, expires_at, now)


def commands(store: MemoryStore) -> Commands[Link | None]:
    return Commands(store, DECIDER)


def by(actor: str = "alice", *, now: int = NOW, tenant: str = "default") -> Context:
    return Context(actor, now, f"commit-{now}", "correlation", tenant)
