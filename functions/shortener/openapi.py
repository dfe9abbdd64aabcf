"""What the shortener's routes answer. For the document alone: no handler imports this."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

import functions.shortener
from functions.openapi import (
    CACHE_CONTROL,
    ETAG,
    LOCATION,
    Answer,
    Capability,
    Operation,
    history,
)
from functions.shortener.events import CODEC
from functions.shortener.schemas import (
    CODE,
    LinkPatch,
    LinkQuery,
    NewLink,
    PageQuery,
    RedirectStatus,
)

READ, WRITE = "shortener:read", "shortener:write"


class Link(BaseModel):
    """A link as its owner sees it."""

    code: Annotated[str, Field(pattern=CODE)]
    short_url: str
    long_url: str
    created_at: datetime
    expires_at: datetime | None
    redirect_status: RedirectStatus
    disabled: bool
    deleted: bool
    version: Annotated[int, Field(ge=1)]


class LinkPage(BaseModel):
    """A page of links, newest first; `next_cursor` is null on the last."""

    items: list[Link]
    next_cursor: str | None


History = history("History", *CODEC.types.values())

THIS = {"code": "$response.body#/code"}
THIS_VERSION = {**THIS, "If-Match": "$response.header.ETag"}
NEXT = {
    "getLink": THIS,
    "getHistory": THIS,
    "followLink": THIS,
    "editLink": THIS_VERSION,
    "deleteLink": THIS_VERSION,
}
"""What can be done with a link that was given out."""

REDIRECTS = {
    status: Answer("Where the link leads.", headers=(LOCATION, CACHE_CONTROL))
    for status in (301, 302, 307, 308)
}
UNLESS_LIVE = {404: ("unknown_link",), 410: ("link_gone",)}
CHANGED = {404: ("not_found",), 409: ("conflict",), 410: ("gone",)}

SHORTENER = Capability(
    name="shortener",
    about=functions.shortener.__doc__ or "",
    parameters={"code": {"schema": {"type": "string", "pattern": CODE}}},
    operations={
        "POST /v1/links": Operation(
            id="createLink",
            summary="Give out a code for a URL.",
            scope=WRITE,
            body=NewLink,
            command=True,
            answers={
                200: Answer("A link that you had already.", Link, (ETAG, LOCATION), NEXT),
                201: Answer("A new link.", Link, (ETAG, LOCATION), NEXT),
            },
            problems={409: ("alias_taken", "conflict")},
        ),
        "GET /v1/links": Operation(
            id="listLinks",
            summary="Your links, newest first.",
            scope=READ,
            query=PageQuery,
            answers={200: Answer("A page of links.", LinkPage)},
            problems={400: ("bad_cursor",)},
        ),
        "GET /v1/links/{code}": Operation(
            id="getLink",
            summary="Your link, now or as it was.",
            scope=READ,
            query=LinkQuery,
            answers={200: Answer("The link.", Link, (ETAG,))},
            problems={404: ("not_found",), 410: ("gone",)},
        ),
        "GET /v1/links/{code}/history": Operation(
            id="getHistory",
            summary="What happened to your link, oldest first; of a deleted one too.",
            scope=READ,
            query=PageQuery,
            answers={200: Answer("A page of events.", History)},
            problems={400: ("bad_cursor",), 404: ("not_found",)},
        ),
        "PATCH /v1/links/{code}": Operation(
            id="editLink",
            summary="Change what is given: absent keeps, null clears.",
            scope=WRITE,
            body=LinkPatch,
            command=True,
            conditional=True,
            answers={200: Answer("The link as it is now.", Link, (ETAG,))},
            problems=CHANGED,
        ),
        "DELETE /v1/links/{code}": Operation(
            id="deleteLink",
            summary="Take the link down for good; its history stays.",
            scope=WRITE,
            command=True,
            conditional=True,
            answers={204: Answer("It is gone.")},
            problems=CHANGED,
        ),
        "GET /{code}": Operation(
            id="followLink",
            summary="Where the link leads.",
            answers=REDIRECTS,
            problems=UNLESS_LIVE,
        ),
        "HEAD /{code}": Operation(
            id="peekLink",
            summary="The same, without following.",
            answers=REDIRECTS,
            problems=UNLESS_LIVE,
        ),
    },
)
