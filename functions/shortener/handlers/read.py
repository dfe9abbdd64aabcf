"""GET /v1/links, /v1/links/{code} and /v1/links/{code}/history: what an owner may see."""

from __future__ import annotations

from typing import NamedTuple

from functions.edge.command import etag
from functions.edge.cursor import Cursors
from functions.edge.http import Answer, Request, Route, http
from functions.edge.problem import invalid
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.secrets import Secrets
from functions.edge.settings import settings
from functions.edge.validation import parse_query, to_millis
from functions.kernel.dynamo import DynamoStore
from functions.kernel.errors import Gone, NotFound
from functions.kernel.generations import LiveViews
from functions.kernel.history import version_at
from functions.kernel.store import Stream, load, replay
from functions.kernel.views import ViewTable
from functions.shortener.decider import DECIDER, Link
from functions.shortener.routing import stream_of
from functions.shortener.schemas import LinkQuery, PageQuery, history_page, link_body
from functions.shortener.views import LINKS, owner_list, read


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
        return show(past(current, at))

    def past(current: Stream[Link | None], at: str) -> Stream[Link | None]:
        version = (
            int(at) if at.isascii() and at.isdecimal() else version_at(store, current, _moment(at))
        )
        if not 1 <= version <= current.version:
            raise NotFound(f"{current.id} has no version {version}")
        return (
            current
            if version == current.version
            else load(store, DECIDER, current.id, version=version)
        )

    def show(stream: Stream[Link | None]) -> Answer:
        assert stream.state is not None
        body = link_body(stream.state, stream.version, config.public_url)
        return Answer(200, body, etag(stream.version))

    def listing(request: Request) -> Answer:
        query, caller = parse_query(PageQuery, request.query), request.caller
        scope = ("links", caller.tenant, caller.user)
        below = cursors.read(query.cursor, *scope) if query.cursor else None
        page = views.newest(
            live.of(LINKS), owner_list(caller.tenant, caller.user), limit=query.limit, below=below
        )
        return Answer(
            200,
            {
                "items": [link_body(*read(row), config.public_url) for row in page.rows],
                "next_cursor": cursors.make(page.next, *scope) if page.next else None,
            },
        )

    def history(request: Request) -> Answer:
        query = parse_query(PageQuery, request.query)
        stream = stream_of(request)
        scope = ("history", stream, request.caller.user)
        place, seen = cursors.read(query.cursor, *scope) if query.cursor else (0, 0)
        commits, more = store.forward(stream, after=place, limit=query.limit)
        # A page that holds the whole history tells the owner; any other needs the newest commit.
        whole = place == 0 and commits and not more
        mine(request, replay(DECIDER, commits) if whole else load(store, DECIDER, stream))
        page = history_page(commits, seen, query.limit)
        following = page.following if more or page.cut else None
        return Answer(
            200,
            {
                "items": page.items,
                "next_cursor": cursors.make(following, *scope) if following else None,
            },
        )

    routes = {
        "GET /v1/links": Route(listing, "shortener:read"),
        "GET /v1/links/{code}": Route(one, "shortener:read"),
        "GET /v1/links/{code}/history": Route(history, "shortener:read"),
    }
    return http(runtime, "shortener", routes)


def _moment(at: str) -> int:
    try:
        return to_millis(at)
    except ValueError as error:
        raise invalid("at", "is neither a version nor an RFC 3339 time") from error


handler = entry(build)
