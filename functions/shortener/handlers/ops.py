"""What moderators and operators do: standings, bans, reports, domains."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from functions.edge.command import context, etag
from functions.edge.cursor import Cursors
from functions.edge.http import Answer, Request, Route, http
from functions.edge.problem import Problem
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.secrets import Secrets
from functions.edge.settings import settings
from functions.edge.validation import parse_body, parse_query
from functions.kernel.codec import to_data, to_json
from functions.kernel.commands import Commands, Context, Outcome
from functions.kernel.dynamo import DynamoStore
from functions.kernel.errors import AlreadyExists, Rejected
from functions.kernel.generations import LiveViews
from functions.kernel.views import View, ViewTable
from functions.shortener import bans, decider, directory, domains, enforcement, reports
from functions.shortener.bans import ImposeBan, LiftBan
from functions.shortener.decider import Moderate
from functions.shortener.directory import DIRECTORY, Directory
from functions.shortener.domains import ClaimDomain, ReleaseDomain, Taken
from functions.shortener.moderation import (
    BanQuery,
    NewBan,
    NewDomain,
    NewStanding,
    banned,
    custom_domain,
    shown,
)
from functions.shortener.reports import REPORTS
from functions.shortener.routing import is_own, stream_of
from functions.shortener.schemas import DomainQuery, PageQuery, link_body

OPS, READ = "ops", "shortener:read"
BANS_END = f"{bans.KIND}$"
"""The first position beyond all bans in the directory."""


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str
    views_table: str
    secret_arn: str
    public_url: str
    enforcement_queue_url: str


class Operations:
    """The routes' functions, in a given runtime."""

    def __init__(self, runtime: Runtime, config: Settings) -> None:
        client, backoff = runtime.client("dynamodb"), runtime.backoff()
        store = DynamoStore(client, config.events_table, backoff)
        self._runtime = runtime
        self._config = config
        self._links = Commands(store, decider.DECIDER, backoff)
        self._bans = Commands(store, bans.DECIDER, backoff)
        self._domains = Commands(store, domains.DECIDER, backoff)
        self._views = ViewTable(client, config.views_table)
        self._live = LiveViews(self._views, runtime.now)
        self._cursors = Cursors(Secrets(runtime, config.secret_arn))

    # ---- Links --------------------------------------------------------------------------------

    def moderate(self, request: Request) -> Answer:
        """PUT /v1/links/{code}/standing"""
        parse_query(DomainQuery, request.query)
        body = parse_body(NewStanding, request)
        outcome = self._links.execute(
            stream_of(request),
            Moderate(body.standing, body.reason),
            self._acting(request, body.model_dump()),
        )
        assert outcome.state is not None
        shown_link = link_body(outcome.state, outcome.version, self._config.public_url)
        return Answer(200, shown_link, etag(outcome.version))

    # ---- Bans ---------------------------------------------------------------------------------

    def impose(self, request: Request) -> Answer:
        """POST /v1/bans"""
        body = parse_body(NewBan, request)
        value = banned(body.kind, body.value)
        ban = bans.stream_id(body.kind, value)
        self._check_room(ban, "value")
        command = ImposeBan(body.kind, value, body.reason, self._runtime.now())
        outcome = self._settle(self._bans, ban, command, request, body.model_dump())
        # Even where it was in force: the sends may be what failed the last time.
        self._order(ban)
        return Answer(200, shown(to_data(outcome.state)))

    def lift(self, request: Request) -> Answer:
        """DELETE /v1/bans"""
        named = parse_query(BanQuery, request.query)
        ban = bans.stream_id(named.kind, banned(named.kind, named.value))
        self._bans.execute(ban, LiftBan(), self._acting(request, named.model_dump()))
        self._order(ban)
        return Answer(204)

    def bans(self, request: Request) -> Answer:
        """GET /v1/bans"""
        return self._page(request, DIRECTORY, directory.LIST, BANS_END)

    def reports(self, request: Request) -> Answer:
        """GET /v1/reports"""
        return self._page(request, REPORTS, reports.LIST, None)

    # ---- Domains ------------------------------------------------------------------------------

    def claim(self, request: Request) -> Answer:
        """PUT /v1/domains/{host}"""
        body, host = parse_body(NewDomain, request), custom_domain(request.path["host"])
        if is_own(host, request, self._config.public_url):
            raise Rejected("is this service's own", "host")
        self._check_room(host, "host")
        command = ClaimDomain(host, body.owner, self._runtime.now())
        stream = domains.stream_id(host)
        try:
            outcome = self._settle(self._domains, stream, command, request, body.model_dump())
        except Taken as error:
            raise Problem(409, "domain_taken", "Another owner has this domain.") from error
        return Answer(200, shown(to_data(outcome.state)))

    def release(self, request: Request) -> Answer:
        """DELETE /v1/domains/{host}"""
        stream = domains.stream_id(custom_domain(request.path["host"]))
        self._domains.execute(stream, ReleaseDomain(), self._acting(request, None))
        return Answer(204)

    def domains(self, request: Request) -> Answer:
        """GET /v1/domains: the caller's own, an operator's all."""
        caller = request.caller
        items = [
            shown(to_data(domain))
            for _, domain in sorted(self._directory().domains.items())
            if OPS in caller.scopes or domain.owner == caller.user
        ]
        return Answer(200, {"items": items})

    # ---- What they share ----------------------------------------------------------------------

    def _context(self, request: Request, payload: object) -> Context:
        asked = [request.event["routeKey"], sorted(request.path.items()), payload]
        return context(request, self._runtime, to_json(asked))

    def _acting(self, request: Request, payload: object) -> Context:
        """As the service, whose every stream is."""
        return replace(self._context(request, payload), tenant=None)

    def _settle(
        self, commands: Commands[Any], stream: str, command: Any, request: Request, payload: object
    ) -> Outcome[Any]:
        """Starts a stream, or changes the one that is there."""
        try:
            return commands.create(stream, command, self._context(request, payload))
        except AlreadyExists:
            return commands.execute(stream, command, self._acting(request, payload))

    def _order(self, ban: str) -> None:
        enforcement.order(self._runtime.client("sqs"), self._config.enforcement_queue_url, ban)

    def _directory(self) -> Directory:
        return directory.read(self._views, self._live)

    def _check_room(self, entry: str, field: str) -> None:
        """Raises Rejected where a ban or a host would be one entry too many."""
        known = self._directory()
        entries = {*known.bans, *known.domains}
        if entry not in entries and len(entries) >= directory.MAX_ENTRIES:
            raise Rejected("does not fit: the directory of bans and domains is full", field)

    def _page(self, request: Request, view: View[Any], name: str, end: str | None) -> Answer:
        query = parse_query(PageQuery, request.query)
        scope = (view.name, request.caller.user)
        below = self._cursors.read(query.cursor, *scope) if query.cursor else end
        page = self._views.newest(self._live.of(view), name, limit=query.limit, below=below)
        items = [shown(row) for row in page.rows]
        following = self._cursors.make(page.next, *scope) if page.next else None
        return Answer(200, {"items": items, "next_cursor": following})


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    operations = Operations(runtime, settings(Settings, runtime.env))
    routes = {
        "PUT /v1/links/{code}/standing": Route(operations.moderate, OPS),
        "POST /v1/bans": Route(operations.impose, OPS),
        "GET /v1/bans": Route(operations.bans, OPS),
        "DELETE /v1/bans": Route(operations.lift, OPS),
        "GET /v1/reports": Route(operations.reports, OPS),
        "PUT /v1/domains/{host}": Route(operations.claim, OPS),
        "GET /v1/domains": Route(operations.domains, READ),
        "DELETE /v1/domains/{host}": Route(operations.release, OPS),
    }
    return http(runtime, "shortener", routes)


handler = entry(build)
