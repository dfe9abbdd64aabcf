"""The site that a request is about, for its owner alone."""

from __future__ import annotations

from functions.analytics.decider import DECIDER, Site, visible
from functions.analytics.routing import stream_of
from functions.edge.http import Request
from functions.kernel.errors import Gone, NotFound
from functions.kernel.store import EventStore, Stream, load


def owned_site(store: EventStore, request: Request) -> Site:
    """One read. Raises NotFound, for another's site too, and Gone for a deleted one."""
    return owned(load(store, DECIDER, stream_of(request)), request)


def owned(stream: Stream[Site | None], request: Request) -> Site:
    """The same of a stream that is loaded."""
    site = mine(stream, request)
    if site.deleted:
        raise Gone
    return site


def mine(stream: Stream[Site | None], request: Request) -> Site:
    """The same, even if it was deleted."""
    site, caller = stream.state, request.caller
    if site is None or stream.tenant != caller.tenant or not visible(site, caller.user):
        raise NotFound(stream.id)
    return site
