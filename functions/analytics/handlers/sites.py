"""/v1/sites and all below that says what a site is: made, edited, and looked at, past and all."""

from __future__ import annotations

from typing import Any, NamedTuple

from functions.analytics import decider
from functions.analytics.decider import (
    DECIDER,
    CreateSite,
    DeleteSite,
    EditSite,
    RemoveFunnel,
    RemoveGoal,
    SetFunnel,
    SetGoal,
    Site,
)
from functions.analytics.naming import new_id
from functions.analytics.owning import mine, owned
from functions.analytics.routing import name_of, path, stream_of
from functions.analytics.schemas import (
    NewFunnel,
    NewGoal,
    NewSite,
    NoQuery,
    SitePageQuery,
    SitePatch,
    SiteQuery,
    site_body,
)
from functions.analytics.views import SITES, owner_list, read
from functions.edge.command import context, etag, expected_versions
from functions.edge.cursor import Cursors
from functions.edge.history import Past
from functions.edge.http import Answer, Request, Route, http
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.secrets import Secrets
from functions.edge.settings import settings
from functions.edge.validation import parse_body, parse_query
from functions.kernel.codec import to_json
from functions.kernel.commands import Commands, Context
from functions.kernel.dynamo import DynamoStore
from functions.kernel.errors import AlreadyExists, Conflict
from functions.kernel.generations import LiveViews
from functions.kernel.store import load
from functions.kernel.views import ViewTable

READ, WRITE = "analytics:read", "analytics:write"


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str
    views_table: str
    secret_arn: str
    public_url: str


class Sites:
    """The routes' functions, in a given runtime."""

    def __init__(self, runtime: Runtime, config: Settings) -> None:
        client, backoff = runtime.client("dynamodb"), runtime.backoff()
        self._runtime = runtime
        self._config = config
        self._store = DynamoStore(client, config.events_table, backoff)
        self._commands = Commands(self._store, DECIDER, backoff)
        self._views = ViewTable(client, config.views_table)
        self._live = LiveViews(self._views, runtime.now)
        self._cursors = Cursors(Secrets(runtime, config.secret_arn))
        self._past = Past(self._store, DECIDER, self._cursors)

    # ---- Writes -------------------------------------------------------------------------------

    def create(self, request: Request) -> Answer:
        """POST /v1/sites"""
        parse_query(NoQuery, request.query)
        body, now = parse_body(NewSite, request), self._runtime.now()
        site = new_id(request, self._runtime)
        origins = tuple(body.origins or ())
        terms = body.terms(now)
        command = CreateSite(site, request.caller.user, body.name, origins, terms, now)
        asked = self._context(request, body.model_dump(exclude_unset=True))
        try:
            outcome = self._commands.create(decider.stream_id(site), command, asked)
        except AlreadyExists as error:
            # As good as never: the next try draws another id.
            raise Conflict(site) from error
        location = {"location": f"{self._config.public_url}{path(site)}"}
        return _show(outcome.state, outcome.version, 201, location)

    def edit(self, request: Request) -> Answer:
        """PATCH /v1/sites/{site}"""
        body = parse_body(SitePatch, request)
        given = body.model_dump(exclude_unset=True)
        return self._change(
            request, expected_versions(request), EditSite(body.changes(self._runtime.now())), given
        )

    def set_goal(self, request: Request) -> Answer:
        """PUT /v1/sites/{site}/goals/{name}"""
        name, body = name_of(request), parse_body(NewGoal, request)
        return self._change(
            request,
            expected_versions(request),
            SetGoal(name, body.what, body.pattern),
            body.model_dump(),
        )

    def remove_goal(self, request: Request) -> Answer:
        """DELETE /v1/sites/{site}/goals/{name}"""
        return self._change(request, expected_versions(request), RemoveGoal(name_of(request)), None)

    def set_funnel(self, request: Request) -> Answer:
        """PUT /v1/sites/{site}/funnels/{name}"""
        name, body = name_of(request), parse_body(NewFunnel, request)
        command = SetFunnel(name, body.window_seconds * 1000, body.kept())
        return self._change(request, expected_versions(request), command, body.model_dump())

    def remove_funnel(self, request: Request) -> Answer:
        """DELETE /v1/sites/{site}/funnels/{name}"""
        return self._change(
            request, expected_versions(request), RemoveFunnel(name_of(request)), None
        )

    def delete(self, request: Request) -> Answer:
        """DELETE /v1/sites/{site}"""
        self._change(request, expected_versions(request), DeleteSite(self._runtime.now()), None)
        return Answer(204)

    def _change(
        self,
        request: Request,
        expected: frozenset[int] | None,
        command: decider.Command,
        payload: object,
    ) -> Answer:
        parse_query(NoQuery, request.query)
        outcome = self._commands.execute(
            stream_of(request),
            command,
            self._context(request, payload),
            expected,
        )
        request.log.count("conflicts", outcome.conflicts)
        return _show(outcome.state, outcome.version)

    def _context(self, request: Request, payload: object) -> Context:
        asked = [request.event["routeKey"], sorted(request.path.items()), payload]
        return context(request, self._runtime, to_json(asked))

    # ---- Reads --------------------------------------------------------------------------------

    def one(self, request: Request) -> Answer:
        """GET /v1/sites/{site}"""
        at = parse_query(SiteQuery, request.query).at
        current = load(self._store, DECIDER, stream_of(request))
        if at is None:
            return _show(owned(current, request), current.version)
        mine(current, request)
        then = self._past.at(current, at)
        return _show(then.state, then.version)

    def history(self, request: Request) -> Answer:
        """GET /v1/sites/{site}/history"""
        query, reader = parse_query(SitePageQuery, request.query), request.caller.user
        found = self._past.history(
            stream_of(request),
            query.cursor,
            query.limit,
            reader,
            lambda stream: mine(stream, request),
        )
        return Answer(200, found)

    def listing(self, request: Request) -> Answer:
        """GET /v1/sites"""
        query, caller = parse_query(SitePageQuery, request.query), request.caller
        scope = ("sites", caller.tenant, caller.user)
        below = self._cursors.read(query.cursor, *scope) if query.cursor else None
        mine = owner_list(caller.tenant, caller.user)
        page = self._views.newest(self._live.of(SITES), mine, limit=query.limit, below=below)
        following = self._cursors.make(page.next, *scope) if page.next else None
        items = [site_body(*read(row)) for row in page.rows]
        return Answer(200, {"items": items, "next_cursor": following})


def _show(
    site: Site | None, version: int, status: int = 200, headers: dict[str, Any] | None = None
) -> Answer:
    assert site is not None
    return Answer(status, site_body(site, version), {**etag(version), **(headers or {})})


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    sites = Sites(runtime, settings(Settings, runtime.env))
    routes = {
        "POST /v1/sites": Route(sites.create, WRITE),
        "GET /v1/sites": Route(sites.listing, READ),
        "GET /v1/sites/{site}": Route(sites.one, READ),
        "PATCH /v1/sites/{site}": Route(sites.edit, WRITE),
        "DELETE /v1/sites/{site}": Route(sites.delete, WRITE),
        "GET /v1/sites/{site}/history": Route(sites.history, READ),
        "PUT /v1/sites/{site}/goals/{name}": Route(sites.set_goal, WRITE),
        "DELETE /v1/sites/{site}/goals/{name}": Route(sites.remove_goal, WRITE),
        "PUT /v1/sites/{site}/funnels/{name}": Route(sites.set_funnel, WRITE),
        "DELETE /v1/sites/{site}/funnels/{name}": Route(sites.remove_funnel, WRITE),
    }
    return http(runtime, "analytics", routes)


handler = entry(build)
