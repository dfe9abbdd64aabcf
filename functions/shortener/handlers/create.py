"""POST /v1/links: gives out a code. One conditional write, and reads only where it collides."""

from __future__ import annotations

from functions.edge.command import etag
from functions.edge.http import Answer, Request, Route, http
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.settings import settings
from functions.edge.validation import parse_body
from functions.shortener.creating import Creator, Settings
from functions.shortener.routing import path
from functions.shortener.schemas import NewLink, link_body


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Settings, runtime.env)
    creator = Creator(runtime, config)

    def create(request: Request) -> Answer:
        issued = creator.create(request, parse_body(NewLink, request))
        location = f"{config.public_url}{path(issued.link)}"
        return Answer(
            201 if issued.created else 200,
            link_body(issued.link, issued.version, config.public_url),
            {**etag(issued.version), "location": location},
        )

    return http(runtime, "shortener", {"POST /v1/links": Route(create, "shortener:write")})


handler = entry(build)
