"""GET /v1/links, its export, /v1/links/{code} and its history: what an owner may see."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any, NamedTuple
from urllib.parse import urlencode

from functions.edge.command import etag
from functions.edge.cursor import Cursors
from functions.edge.history import Past
from functions.edge.http import Answer, Request, Route, http
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.secrets import Secrets
from functions.edge.settings import settings
from functions.edge.validation import parse_query
from functions.kernel.codec import to_json
from functions.kernel.dynamo import DynamoStore
from functions.kernel.errors import Gone, NotFound
from functions.kernel.generations import LiveViews
from functions.kernel.store import Stream, load
from functions.kernel.views import ViewTable
from functions.shortener.decider import DECIDER, Link
from functions.shortener.exporting import FORMATS
from functions.shortener.listing import Filter, Reach, look, pages
from functions.shortener.routing import stream_of
from functions.shortener.schemas import (
    ExportQuery,
    HistoryQuery,
    LinkQuery,
    ListQuery,
    link_body,
    shown,
)
from functions.shortener.views import LINKS, owner_list

LIST_REACH = Reach(rows=200, queries=5)
EXPORT_REACH = Reach(rows=1000, queries=1)
"""Of a filtered list. At 1 MB an answer stays under the 6 MB that Lambda returns."""


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str
    views_table: str
    secret_arn: str
    public_url: str


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Settings, runtime.env)
    client = runtime.client("dynamodb")
    store = DynamoStore(client, config.events_table, runtime.backoff())
    views = ViewTable(client, config.views_table)
    live = LiveViews(views, runtime.now)
    cursors = Cursors(Secrets(runtime, config.secret_arn))
    past = Past(store, DECIDER, cursors, shown)

    def mine(request: Request, stream: Stream[Link | None]) -> Link:
        caller, link = request.caller, stream.state
        if link is None or stream.tenant != caller.tenant or link.owner != caller.user:
            raise NotFound(stream.id)
        return link

    def one(request: Request) -> Answer:
        at = parse_query(LinkQuery, request.query).at
        current = load(store, DECIDER, stream_of(request))
        link = mine(request, current)
        if at is None:
            if link.deleted:
                raise Gone
            return show(current)
        return show(past.at(current, at))

    def show(stream: Stream[Link | None]) -> Answer:
        assert stream.state is not None
        body = link_body(stream.state, stream.version, config.public_url)
        return Answer(200, body, etag(stream.version))

    def listing(request: Request) -> Answer:
        items, following = found(request, parse_query(ListQuery, request.query), LIST_REACH)
        return Answer(200, {"items": items, "next_cursor": following})

    def export(request: Request) -> Answer:
        query = parse_query(ExportQuery, request.query)
        links, following = found(request, query, EXPORT_REACH)
        form = FORMATS[query.format]
        headers = {"content-disposition": f'attachment; filename="links.{query.format}"'}
        if following:
            rest = urlencode({**request.query, "cursor": following})
            headers["link"] = f'<{config.public_url}/v1/links/export?{rest}>; rel="next"'
            headers["x-next-cursor"] = following
        return Answer(200, form.written(links), headers, form.media)

    def found(
        request: Request, query: ListQuery, reach: Reach
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Links as they are shown, and the cursor of what follows."""
        caller, wanted, now = request.caller, query.filter, runtime.now()
        scope = ("links", caller.tenant, caller.user, to_json(astuple(wanted)))
        below = cursors.read(query.cursor, *scope) if query.cursor else None
        if wanted == Filter():
            reach = reach._replace(rows=query.limit)
        mine = owner_list(caller.tenant, caller.user)
        links, following = look(
            pages(views, live.of(LINKS), mine, reach, below),
            lambda link: wanted.fits(link, now),
            query.limit,
        )
        bodies = [link_body(link, version, config.public_url) for link, version in links]
        return bodies, cursors.make(following, *scope) if following else None

    def history(request: Request) -> Answer:
        query = parse_query(HistoryQuery, request.query)
        found = past.history(
            stream_of(request),
            query.cursor,
            query.limit,
            request.caller.user,
            lambda stream: mine(request, stream),
        )
        return Answer(200, found)

    routes = {
        "GET /v1/links": Route(listing, "shortener:read"),
        "GET /v1/links/export": Route(export, "shortener:read"),
        "GET /v1/links/{code}": Route(one, "shortener:read"),
        "GET /v1/links/{code}/history": Route(history, "shortener:read"),
    }
    return http(runtime, "shortener", routes)


handler = entry(build)
