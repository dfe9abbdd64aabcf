"""/v1/upstreams: where the gateway forwards to, by the names that a tenant gives."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from functions.edge.command import context, etag, expected_versions
from functions.edge.http import Answer, Request, Route, http
from functions.edge.problem import invalid
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.secrets import Secrets
from functions.edge.settings import settings
from functions.edge.validation import parse_body, parse_query
from functions.kernel.codec import to_json
from functions.kernel.commands import Commands, Context, Outcome
from functions.kernel.dynamo import DynamoStore
from functions.kernel.errors import AlreadyExists, Gone, NotFound, VersionMismatch
from functions.kernel.store import load
from functions.ratelimiter import upstreams
from functions.ratelimiter.pages import Lists
from functions.ratelimiter.paths import UPSTREAM
from functions.ratelimiter.registering import NewUpstream, shown
from functions.ratelimiter.schemas import NoQuery
from functions.ratelimiter.targets import target
from functions.ratelimiter.upstreams import UPSTREAMS, RemoveUpstream, SetUpstream, Upstream
from functions.ratelimiter.views import UPSTREAMS_VIEW, upstream_data

READ, OPS = "ratelimiter:read", "ops"
_NAME = re.compile(UPSTREAM, re.ASCII)


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str
    views_table: str
    secret_arn: str
    allow_private_upstreams: str


class Upstreams:
    """The routes' functions, in a given runtime."""

    def __init__(self, runtime: Runtime, config: Settings) -> None:
        backoff = runtime.backoff()
        self._runtime = runtime
        self._private = config.allow_private_upstreams == "yes"
        self._store = DynamoStore(runtime.client("dynamodb"), config.events_table, backoff)
        self._commands = Commands(self._store, UPSTREAMS, backoff)
        self._lists = Lists(runtime, config.views_table, Secrets(runtime, config.secret_arn))

    def put(self, request: Request) -> Answer:
        """PUT /v1/upstreams/{name}: one that is there needs an If-Match, one that is not none."""
        parse_query(NoQuery, request.query)
        body, stream = parse_body(NewUpstream, request), _stream(request)
        command = SetUpstream(
            request.path["name"],
            target(body.url, self._private).url,
            body.timeout_ms,
            body.authentication,
            body.fixed(),
            self._runtime.now(),
        )
        asked = self._context(request, body.model_dump())
        if "if-match" in request.headers:
            expected = expected_versions(request)
            outcome = self._commands.execute(stream, command, asked, expected)
        else:
            outcome = self._first(stream, command, asked, request)
        request.log.count("conflicts", outcome.conflicts)
        return _show(outcome.state, outcome.version)

    def remove(self, request: Request) -> Answer:
        """DELETE /v1/upstreams/{name}"""
        parse_query(NoQuery, request.query)
        expected, asked = expected_versions(request), self._context(request, None)
        command = RemoveUpstream(self._runtime.now())
        outcome = self._commands.execute(_stream(request), command, asked, expected)
        request.log.count("conflicts", outcome.conflicts)
        return Answer(204)

    def one(self, request: Request) -> Answer:
        """GET /v1/upstreams/{name}"""
        parse_query(NoQuery, request.query)
        found = load(self._store, UPSTREAMS, _stream(request))
        if found.state is None:
            raise NotFound(found.id)
        if found.state.removed_at is not None:
            raise Gone
        return _show(found.state, found.version)

    def listing(self, request: Request) -> Answer:
        """GET /v1/upstreams"""
        return self._lists.page(UPSTREAMS_VIEW, request)

    def _first(
        self, stream: str, command: SetUpstream, asked: Context, request: Request
    ) -> Outcome[Upstream | None]:
        """Sets what is not there, or was removed. Raises a 428 Problem for what is there."""
        try:
            return self._commands.create(stream, command, asked)
        except AlreadyExists:
            standing = load(self._store, UPSTREAMS, stream)
        assert standing.state is not None
        removed = standing.state.removed_at is not None
        # No version is the one expected of what is there, but a repeat is told before that.
        expected = {standing.version} if removed else set()
        try:
            return self._commands.execute(stream, command, asked, expected)
        except VersionMismatch:
            expected_versions(request)
            raise

    def _context(self, request: Request, payload: object) -> Context:
        asked = [request.event["routeKey"], sorted(request.path.items()), payload]
        return context(request, self._runtime, to_json(asked))


def _stream(request: Request) -> str:
    """The upstream's stream. Raises NotFound for what cannot be a name, without a look-up, and for
    one that is to be set a 422 Problem."""
    name = request.path["name"]
    if not _NAME.fullmatch(name):
        if request.event["routeKey"].startswith("PUT"):
            raise invalid("name", "takes 1 to 40 of a-z, 0-9 and -, and starts with no -")
        raise NotFound(name)
    return upstreams.stream_id(request.caller.tenant, name)


def _show(upstream: Upstream | None, version: int) -> Answer:
    assert upstream is not None
    body: dict[str, Any] = {**shown(upstream_data(upstream)), "version": version}
    return Answer(200, body, etag(version))


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    made = Upstreams(runtime, settings(Settings, runtime.env))
    routes = {
        "PUT /v1/upstreams/{name}": Route(made.put, OPS),
        "GET /v1/upstreams": Route(made.listing, READ),
        "GET /v1/upstreams/{name}": Route(made.one, READ),
        "DELETE /v1/upstreams/{name}": Route(made.remove, OPS),
    }
    return http(runtime, "ratelimiter", routes)


handler = entry(build)
