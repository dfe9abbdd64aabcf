"""What the shortener's routes answer. For the document alone: no handler imports this."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

import functions.shortener
from functions.openapi import (
    CACHE_CONTROL,
    ETAG,
    LINK,
    LOCATION,
    NEXT_CURSOR,
    RETRY_AFTER,
    Answer,
    Capability,
    FieldError,
    Json,
    Operation,
    history,
)
from functions.shortener.bans import BanKind
from functions.shortener.decider import Standing
from functions.shortener.events import CODEC
from functions.shortener.exporting import FORMATS
from functions.shortener.handlers.qr import MEDIA
from functions.shortener.moderation import BanQuery, NewBan, NewDomain, NewReport, NewStanding
from functions.shortener.pages import HTML
from functions.shortener.reports import Reason
from functions.shortener.schemas import (
    CODE,
    DomainQuery,
    ExportQuery,
    HistoryQuery,
    LinkPatch,
    LinkQuery,
    ListQuery,
    NewLink,
    NewLinks,
    PageQuery,
    QrQuery,
    RedirectStatus,
    Rule,
    Transfer,
)

READ, WRITE, OPS = "shortener:read", "shortener:write", "ops"


class Warning(BaseModel):
    """What may be wrong with a URL that was accepted."""

    field: str
    reason: str


class Link(BaseModel):
    """A link as its owner sees it."""

    code: Annotated[str, Field(pattern=CODE)]
    domain: str | None
    short_url: str
    long_url: str
    title: str | None
    tags: list[str]
    created_at: datetime
    expires_at: datetime | None
    not_before: datetime | None
    fallback_url: str | None
    max_clicks: Annotated[int, Field(ge=1)] | None
    password: bool
    rules: list[Rule]
    redirect_status: RedirectStatus
    counted: bool
    disabled: bool
    standing: Standing
    reason: str | None
    deleted: bool
    version: Annotated[int, Field(ge=1)]
    warnings: list[Warning]


class Unlocking(BaseModel):
    """The password form of a link; one that asks for none is followed."""

    password: str = ""


class Pending(BaseModel):
    """A create that was accepted and not carried out yet."""

    status: Literal["pending"]


class Accepted(Pending):
    """The same, with where to ask for it."""

    status_url: str


class Concluded(BaseModel):
    """The outcome of such a create: where its link is, or the problem that it met."""

    status: Literal["created", "refused"]
    link: str | None = None
    problem: Json | None = None


class CreatedItem(BaseModel):
    """A link of many: 201 when it is new or was when the request first came, 200 when you had it
    already."""

    index: int
    status: Literal[200, 201]
    repeated: bool
    link: Link


class ItemProblem(BaseModel):
    """What stood in the way of one link of many."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


class FailedItem(BaseModel):
    """A link of many that there is not; after a 503 send it again."""

    index: int
    status: Annotated[int, Field(ge=400)]
    problem: ItemProblem


class Outcomes(BaseModel):
    """What became of each link, in their order."""

    items: list[CreatedItem | FailedItem]
    created: int
    existing: int
    failed: int


class LinkPage(BaseModel):
    """A page of links, newest first; `next_cursor` is null on the last."""

    items: list[Link]
    next_cursor: str | None


class Ban(BaseModel):
    """A ban in force, over an owner or over a host and all below it."""

    kind: BanKind
    value: str
    reason: str
    imposed_at: datetime


class BanPage(BaseModel):
    """A page of bans; `next_cursor` is null on the last."""

    items: list[Ban]
    next_cursor: str | None


class Report(BaseModel):
    """What somebody told of a link. `comment` is as it was given: show it as text alone."""

    domain: str
    code: str
    reason: Reason
    reported_at: datetime
    comment: str | None = None


class ReportPage(BaseModel):
    """A page of reports, newest first; `next_cursor` is null on the last."""

    items: list[Report]
    next_cursor: str | None


class CustomDomain(BaseModel):
    """A domain and whose it is."""

    host: str
    owner: str
    claimed_at: datetime


class CustomDomains(BaseModel):
    """All domains that there are to see, by name."""

    items: list[CustomDomain]


class Received(BaseModel):
    """Nothing: the answer is the same whether or not there is such a link."""


History = history(
    "History",
    *CODEC.types.values(),
    shown={"not_before": datetime, "password": Literal[True], "rules": list[Rule]},
)

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
PAGE = Answer("A page: for people, asking for the password, a preview or a warning.", media=(HTML,))
FOLLOWED = {200: PAGE, **REDIRECTS}
UNLESS_OPEN = {404: ("unknown_link", "link_not_yet"), 410: ("link_gone", "link_banned")}
CHANGED = {404: ("not_found",), 409: ("conflict",), 410: ("gone",)}
BY_OWNER = {403: ("owner_banned",)}

SHORTENER = Capability(
    name="shortener",
    about=functions.shortener.__doc__ or "",
    parameters={
        "code": {"schema": {"type": "string", "pattern": CODE}},
        "id": {"schema": {"type": "string"}},
        "host": {"schema": {"type": "string", "minLength": 1, "maxLength": 253}},
    },
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
                202: Answer(
                    "Accepted while the store is down; its status_url tells what becomes of it.",
                    Accepted,
                    (LOCATION, RETRY_AFTER),
                ),
            },
            problems={**BY_OWNER, 409: ("alias_taken", "conflict")},
        ),
        "POST /v1/links/bulk": Operation(
            id="createLinks",
            summary="Give out codes for up to 500 URLs, in at most 1 MB; each link for itself. The"
            " Idempotency-Key of one without its own is the request's, a dot and its index.",
            scope=WRITE,
            body=NewLinks,
            batch=True,
            answers={200: Answer("What became of each.", Outcomes)},
        ),
        "GET /v1/commands/{id}": Operation(
            id="getCommand",
            summary="What became of a create that was accepted while the store was down.",
            scope=READ,
            answers={
                200: Answer("The outcome.", Concluded),
                202: Answer("Not carried out yet.", Pending, (RETRY_AFTER,)),
            },
            problems={404: ("not_found",)},
        ),
        "GET /v1/links": Operation(
            id="listLinks",
            summary="Your links, newest first. With a filter a page may be short, even empty, and"
            " not the last: one request looks at 1,000 links at most.",
            scope=READ,
            query=ListQuery,
            answers={200: Answer("A page of links.", LinkPage)},
            problems={400: ("bad_cursor",)},
        ),
        "GET /v1/links/export": Operation(
            id="exportLinks",
            summary="Your links as a file, a thousand at a time: CSV, or a line of JSON each.",
            scope=READ,
            query=ExportQuery,
            answers={
                200: Answer(
                    "A page of links.",
                    headers=(LINK, NEXT_CURSOR),
                    media=tuple(each.media for each in FORMATS.values()),
                )
            },
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
            query=HistoryQuery,
            answers={200: Answer("A page of events.", History)},
            problems={400: ("bad_cursor",), 404: ("not_found",)},
        ),
        "PATCH /v1/links/{code}": Operation(
            id="editLink",
            summary="Change what is given: absent keeps, null clears.",
            scope=WRITE,
            body=LinkPatch,
            query=DomainQuery,
            command=True,
            conditional=True,
            answers={200: Answer("The link as it is now.", Link, (ETAG,))},
            problems={**BY_OWNER, **CHANGED},
        ),
        "DELETE /v1/links/{code}": Operation(
            id="deleteLink",
            summary="Take the link down for good; its history stays for a time.",
            scope=WRITE,
            query=DomainQuery,
            command=True,
            conditional=True,
            answers={204: Answer("It is gone.")},
            problems=CHANGED,
        ),
        "POST /v1/links/{code}/transfer": Operation(
            id="transferLink",
            summary="Give the link to another user of your tenant; you have it no longer then.",
            scope=WRITE,
            body=Transfer,
            query=DomainQuery,
            command=True,
            conditional=True,
            answers={200: Answer("The link, which is theirs now.", Link, (ETAG,))},
            problems={**BY_OWNER, **CHANGED},
        ),
        "PUT /v1/links/{code}/standing": Operation(
            id="moderateLink",
            summary="Quarantine a link, ban it, or put it up again.",
            scope=OPS,
            body=NewStanding,
            query=DomainQuery,
            command=True,
            answers={200: Answer("The link as it is now.", Link, (ETAG,))},
            problems=CHANGED,
        ),
        "POST /v1/bans": Operation(
            id="imposeBan",
            summary="Ban an owner, or a host and all below it; links follow within minutes.",
            scope=OPS,
            body=NewBan,
            command=True,
            answers={200: Answer("The ban, in force.", Ban)},
            problems={409: ("conflict",)},
        ),
        "GET /v1/bans": Operation(
            id="listBans",
            summary="The bans in force.",
            scope=OPS,
            query=PageQuery,
            answers={200: Answer("A page of bans.", BanPage)},
            problems={400: ("bad_cursor",)},
        ),
        "DELETE /v1/bans": Operation(
            id="liftBan",
            summary="End a ban; links that only it took down are put up again.",
            scope=OPS,
            query=BanQuery,
            command=True,
            answers={204: Answer("It is over.")},
            problems={404: ("not_found",), 409: ("conflict",), 422: ("invalid",)},
        ),
        "POST /v1/reports": Operation(
            id="reportLink",
            summary="Tell of a link that does harm, by its short URL or its code.",
            body=NewReport,
            answers={202: Answer("Received.", Received)},
            problems={409: ("conflict",)},
        ),
        "GET /v1/reports": Operation(
            id="listReports",
            summary="What was told of links, newest first.",
            scope=OPS,
            query=PageQuery,
            answers={200: Answer("A page of reports.", ReportPage)},
            problems={400: ("bad_cursor",)},
        ),
        "PUT /v1/domains/{host}": Operation(
            id="claimDomain",
            summary="Say whose a custom domain is.",
            scope=OPS,
            body=NewDomain,
            command=True,
            answers={200: Answer("The domain and its owner.", CustomDomain)},
            problems={409: ("domain_taken", "conflict")},
        ),
        "GET /v1/domains": Operation(
            id="listDomains",
            summary="Your custom domains; with the scope ops everybody's.",
            scope=READ,
            answers={200: Answer("The domains.", CustomDomains)},
        ),
        "DELETE /v1/domains/{host}": Operation(
            id="releaseDomain",
            summary="Take a domain from its owner; links that are on it stay.",
            scope=OPS,
            command=True,
            answers={204: Answer("It is nobody's.")},
            problems={404: ("not_found",), 409: ("conflict",), 422: ("invalid",)},
        ),
        "GET /{code}/qr": Operation(
            id="drawLink",
            summary="The short URL as a QR code.",
            query=QrQuery,
            answers={
                200: Answer("The picture.", headers=(CACHE_CONTROL,), media=tuple(MEDIA.values())),
                304: Answer("You have it, says If-None-Match.", headers=(CACHE_CONTROL,)),
            },
            problems={404: ("unknown_link",), 410: ("link_gone", "link_banned")},
        ),
        "GET /{code}": Operation(
            id="followLink",
            summary="Where the link leads; with a + behind the code, without going there.",
            answers=FOLLOWED,
            problems=UNLESS_OPEN,
        ),
        "HEAD /{code}": Operation(
            id="peekLink",
            summary="The same, without following.",
            answers=FOLLOWED,
            problems=UNLESS_OPEN,
        ),
        "POST /{code}": Operation(
            id="unlockLink",
            summary="Where a link with a password leads.",
            form=Unlocking,
            answers={
                200: PAGE,
                302: Answer("Where the link leads now that it is over.", headers=(LOCATION,)),
                303: REDIRECTS[302],
                403: Answer("A page that asks again.", media=(HTML,)),
            },
            problems={
                **UNLESS_OPEN,
                400: ("bad_body",),
                413: ("too_large",),
                429: ("too_many_attempts",),
            },
        ),
    },
)
