"""GET /v1/stats/{site}, /v1/stats/{site}/live and /v1/links/{code}/stats: what was counted."""

from __future__ import annotations

from typing import NamedTuple

from functions.analytics import links
from functions.analytics.audience import find
from functions.analytics.axis import DAY_MS, local_date
from functions.analytics.decider import Site
from functions.analytics.definitions import Definitions
from functions.analytics.hours import Hours
from functions.analytics.linkstats import link_stats
from functions.analytics.live import Live
from functions.analytics.owning import owned
from functions.analytics.questions import LinkStatsQuery, asked
from functions.analytics.routing import stream_of
from functions.analytics.rows import Rows
from functions.analytics.schemas import NoQuery
from functions.analytics.spans import span
from functions.analytics.stats import Stats
from functions.edge.http import Answer, Request, Route, http
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.settings import settings
from functions.edge.validation import parse_query
from functions.kernel.dynamo import DynamoStore
from functions.kernel.errors import NotFound
from functions.kernel.views import ViewTable

READ = "analytics:read"
MAX_CODE = 100
"""Characters that no code comes near."""


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str
    views_table: str
    rollups_table: str


class Queries:
    """The routes' functions, in a given runtime."""

    def __init__(self, runtime: Runtime, config: Settings) -> None:
        client = runtime.client("dynamodb")
        self._now = runtime.now
        backoff = runtime.backoff()
        store = DynamoStore(client, config.events_table, backoff)
        self._views = ViewTable(client, config.views_table, backoff)
        self._definitions = Definitions(store, runtime.now)
        self._rows = Rows(client, config.rollups_table, backoff)
        # Nothing is sent from here.
        hours = Hours(client, config.rollups_table, None, "", backoff)
        self._live = Live(hours)
        self._stats = Stats(self._rows, hours, runtime.now)

    def stats(self, request: Request) -> Answer:
        """GET /v1/stats/{site}"""
        site = self._mine(request)
        return Answer(200, self._stats.answer(site, asked(request, site, self._now())))

    def live(self, request: Request) -> Answer:
        """GET /v1/stats/{site}/live"""
        parse_query(NoQuery, request.query)
        return Answer(200, self._live.answer(self._mine(request), self._now()))

    def link(self, request: Request) -> Answer:
        """GET /v1/links/{code}/stats"""
        query: LinkStatsQuery = parse_query(LinkStatsQuery, request.query)
        code, caller = request.path["code"], request.caller
        whose = find(self._views, query.domain, code) if len(code) <= MAX_CODE else None
        if whose is None or (whose.owner, whose.tenant) != (caller.user, caller.tenant):
            raise NotFound(code)
        link = links.definition(links.site_of(query.domain, code))
        kept = self._now() - link.retention_days * DAY_MS
        since = local_date(max(kept, whose.created_at), link.timezone)
        until = local_date(self._now(), link.timezone)
        wanted = span(query.first or since, query.to or until, link.timezone)
        found = link_stats(self._rows, link, whose, wanted)
        return Answer(200, {"code": code, "domain": query.domain, **found})

    def _mine(self, request: Request) -> Site:
        stream_of(request)
        return owned(self._definitions.stream(request.path["site"]), request)


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    queries = Queries(runtime, settings(Settings, runtime.env))
    routes = {
        "GET /v1/stats/{site}": Route(queries.stats, READ),
        "GET /v1/stats/{site}/live": Route(queries.live, READ),
        "GET /v1/links/{code}/stats": Route(queries.link, READ),
    }
    return http(runtime, "analytics", routes)


handler = entry(build)
