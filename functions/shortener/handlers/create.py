"""POST /v1/links: gives out a code. One conditional write, and reads only where it collides."""

from __future__ import annotations

from functions.edge.command import etag
from functions.edge.cursor import Cursors
from functions.edge.http import Answer, Request, Route, http
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.secrets import Secrets
from functions.edge.settings import settings
from functions.edge.validation import parse_body
from functions.shortener.creating import Creator, Settings
from functions.shortener.deferring import Deferred
from functions.shortener.routing import path
from functions.shortener.schemas import NewLink, link_body
from functions.shortener.tickets import RETRY_SECONDS, status_path


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Settings, runtime.env)
    creator = Creator(runtime, config)
    cursors = Cursors(Secrets(runtime, config.secret_arn))

    def create(request: Request) -> Answer:
        issued = creator.create_or_defer(request, parse_body(NewLink, request))
        if isinstance(issued, Deferred):
            return accepted(request, issued)
        location = f"{config.public_url}{path(issued.link)}"
        return Answer(
            201 if issued.created else 200,
            link_body(issued.link, issued.version, config.public_url),
            {**etag(issued.version), "location": location},
        )

    def accepted(request: Request, deferred: Deferred) -> Answer:
        caller, command = request.caller, deferred.context.commit_id
        place = f"{config.public_url}{status_path(cursors, caller, command)}"
        headers = {"location": place, "Retry-After": RETRY_SECONDS}
        return Answer(202, {"status": "pending", "status_url": place}, headers)

    return http(runtime, "shortener", {"POST /v1/links": Route(create, "shortener:write")})


handler = entry(build)
