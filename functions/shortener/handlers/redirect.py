"""GET and HEAD /{code}: from a code to where it leads. Public, one read, no more imports than that.

The read is eventually consistent: half the price, and a link that is a second old is found.
"""

from __future__ import annotations

from typing import NamedTuple

from functions.edge.http import Answer, Request, Route, http
from functions.edge.problem import Problem
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.settings import settings
from functions.kernel.dynamo import DynamoStore
from functions.kernel.store import load
from functions.shortener.codes import is_code
from functions.shortener.decider import DECIDER, DEFAULT_DOMAIN, Link, stream_id

PERMANENT = (301, 308)
PERMANENT_SECONDS = 90
"""How long a browser may keep a permanent redirect: edits bind within this time."""


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Settings, runtime.env)
    store = DynamoStore(runtime.client("dynamodb"), config.events_table)

    def redirect(request: Request) -> Answer:
        code = request.path["code"]
        if not is_code(code):
            raise _unknown()
        link = load(store, DECIDER, stream_id(DEFAULT_DOMAIN, code), consistent=False).state
        if link is None:
            raise _unknown()
        now = runtime.now()
        if not link.live(now):
            raise Problem(410, "link_gone", "This link is no longer available.")
        headers = {"location": link.long_url, "cache-control": _cache(link, now)}
        return Answer(link.redirect_status, headers=headers)

    public = Route(redirect, scope=None)
    return http(runtime, "shortener", {"GET /{code}": public, "HEAD /{code}": public})


def _unknown() -> Problem:
    return Problem(404, "unknown_link", "There is no such link.")


def _cache(link: Link, now: int) -> str:
    if link.redirect_status not in PERMANENT:
        return "no-store"
    left = PERMANENT_SECONDS
    if link.expires_at is not None:
        left = min(left, (link.expires_at - now) // 1000)
    return f"private, max-age={left}"


handler = entry(build)
