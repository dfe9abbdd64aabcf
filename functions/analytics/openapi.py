"""What the routes of analytics answer. For the document alone: no handler imports this."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

import functions.analytics
from functions.analytics import tracking
from functions.analytics.asking import NewExport, SpanQuery
from functions.analytics.axis import Interval
from functions.analytics.events import CODEC, Identity, Ledger, What
from functions.analytics.exports import Format
from functions.analytics.handlers.page import FILES
from functions.analytics.questions import LinkStatsQuery, StatsQuery
from functions.analytics.schemas import (
    NAME,
    SITE_ID,
    NewFunnel,
    NewGoal,
    NewSite,
    NoQuery,
    SitePageQuery,
    SitePatch,
    SiteQuery,
)
from functions.openapi import (
    CACHE_CONTROL,
    ETAG,
    JSON,
    LOCATION,
    RETRY_AFTER,
    Answer,
    Capability,
    Operation,
    history,
)

READ, WRITE = "analytics:read", "analytics:write"


class Step(BaseModel):
    """What fits: the name of an event, or the page of a page view; * stands for any text."""

    what: What
    pattern: str


class Goal(Step):
    """What is counted as reached."""

    name: Annotated[str, Field(pattern=NAME)]


class Funnel(BaseModel):
    """Steps that one visitor makes in their order, and in how many seconds at most."""

    name: Annotated[str, Field(pattern=NAME)]
    window_seconds: int
    steps: list[Step]


class Site(BaseModel):
    """A site as its owner sees it; `rollups` are all that can be asked for and filtered by."""

    id: Annotated[str, Field(pattern=SITE_ID)]
    name: str
    origins: list[str]
    timezone: str
    ledger: Ledger
    identity: Identity
    retention_days: int
    properties: list[str]
    pairs: list[list[str]]
    blocked_referrers: list[str]
    rollups: list[str]
    goals: list[Goal]
    funnels: list[Funnel]
    created_at: datetime
    deleted: bool
    version: Annotated[int, Field(ge=1)]


class ReachedGoal(Goal):
    """A goal with its numbers: `conversion` is the share of all visitors."""

    events: int
    visitors: int
    conversion: Annotated[float, Field(ge=0, le=1)]


class Goals(BaseModel):
    """A site's goals over a span, which is whole hours, and all its visitors."""

    model_config = ConfigDict(serialize_by_alias=True)

    site: str
    since: Annotated[datetime, Field(alias="from")]
    to: datetime
    visitors: int
    goals: list[ReachedGoal]


class TakenStep(Step):
    """A step with its numbers: `share` is of those who took the first step, `drop` of those who
    took the one before and not this."""

    visitors: int
    share: Annotated[float, Field(ge=0, le=1)]
    drop: Annotated[float, Field(ge=0, le=1)]


class TakenFunnel(BaseModel):
    """How many visitors took a funnel's steps, all within its window and the span."""

    model_config = ConfigDict(serialize_by_alias=True)

    site: str
    since: Annotated[datetime, Field(alias="from")]
    to: datetime
    name: Annotated[str, Field(pattern=NAME)]
    window_seconds: int
    steps: list[TakenStep]


class Export(BaseModel):
    """A file of events: `url` leads to it until `url_expires_at`, once it is ready."""

    model_config = ConfigDict(serialize_by_alias=True)

    id: Annotated[str, Field(pattern=SITE_ID)]
    status: Literal["pending", "ready", "failed"]
    since: Annotated[datetime, Field(alias="from")]
    to: datetime
    format: Format
    requested_at: datetime
    finished_at: datetime | None
    events: int
    reason: str | None
    bytes: int | None
    url: str | None
    url_expires_at: datetime | None


class SitePage(BaseModel):
    """A page of sites, newest first; `next_cursor` is null on the last."""

    items: list[Site]
    next_cursor: str | None


class TrackedEvent(BaseModel):
    """Something that happened. A `timestamp` is RFC 3339 or epoch milliseconds, absent for now; a
    repeat of an `id` is counted once. Of `page` and `referrer` no query is kept but utm."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, Field(pattern="^[A-Za-z0-9._:-]{1,64}$")] | None = None
    event_type: Annotated[str, Field(max_length=tracking.MAX_KEY)] | None = None
    timestamp: str | int | None = None
    page: Annotated[str, Field(max_length=tracking.MAX_TEXT)] | None = None
    referrer: Annotated[str, Field(max_length=tracking.MAX_TEXT)] | None = None
    link: Annotated[str, Field(max_length=tracking.MAX_TEXT)] | None = None
    user_id: Annotated[str, Field(max_length=200)] | None = None
    metadata: (
        Annotated[dict[str, str | int | float | bool], Field(max_length=tracking.MAX_METADATA)]
        | None
    ) = None


class OwnEvent(TrackedEvent):
    """The same from a site's own server, which may tell what a visitor's browser would."""

    ip: Annotated[str, Field(max_length=45)] | None = None
    agent: Annotated[str, Field(max_length=tracking.MAX_TEXT)] | None = None
    country: Annotated[str, Field(pattern="^[A-Za-z0-9]{2}$")] | None = None


class OwnEvents(BaseModel):
    """Body of POST /v1/sites/{site}/events. `sent_at` tells how wrong the sender's clock is."""

    model_config = ConfigDict(extra="forbid")

    sent_at: str | int | None = None
    events: Annotated[list[OwnEvent], Field(min_length=1, max_length=tracking.MAX_EVENTS)]


class TrackedEvents(BaseModel):
    """Body of POST /v1/track, which may come as text/plain too."""

    model_config = ConfigDict(extra="forbid")

    site: Annotated[str, Field(pattern=SITE_ID)]
    sent_at: str | int | None = None
    events: Annotated[list[TrackedEvent], Field(min_length=1, max_length=tracking.MAX_EVENTS)]


class RejectedEvent(BaseModel):
    """An event that was not taken, by its place in the request, and why."""

    index: int
    field: str
    reason: str


class Taken(BaseModel):
    """How many events are on their way to be counted; `ignored` are those of visitors who asked not
    to be."""

    accepted: int
    ignored: int
    rejected: list[RejectedEvent]


class Numbers(BaseModel):
    """What was counted of people; machines are apart, in the rollup `machine`."""

    events: int
    pageviews: int
    visitors: int


class Place(Numbers):
    """One interval. It is `final` when its numbers are not expected to change any more; `revision`
    says how often they did all the same."""

    start: datetime
    final: bool
    revision: int


class Counted(Numbers):
    """One value of a rollup."""

    value: str


class Others(BaseModel):
    """What all values have together that are not listed."""

    events: int
    pageviews: int


class TopList(BaseModel):
    """The values that have the most events."""

    by: str
    rows: list[Counted]
    other: Others


class Earlier(BaseModel):
    """The same of the span before, or a year ago."""

    since: Annotated[datetime, Field(alias="from")]
    to: datetime
    totals: Numbers
    series: list[Place]


class SiteStats(Earlier):
    """What happened on a site. `uniques` says what `visitors` are: exact, estimated, or sums of
    days, weeks or months of UTC where the span has more than one and a visitor's id lives no
    longer."""

    site: str
    interval: Interval
    timezone: str
    uniques: Literal["exact", "estimated", "daily sums", "weekly sums", "monthly sums"]
    top: TopList | None = None
    compare: Earlier | None = None


class Present(BaseModel):
    """Who is there: visitors of so many minutes."""

    events: int
    visitors: int


class Minute(Present):
    """One minute."""

    start: datetime


class LivePage(Present):
    """A page of the last half hour."""

    value: str


class Live(BaseModel):
    """A site right now: `visitors` and `sliding` are of five minutes, the rest of thirty."""

    site: str
    visitors: int
    sliding: Present
    minutes: list[Minute]
    pages: list[LivePage]


class Clicks(BaseModel):
    """Clicks by one value."""

    value: str
    clicks: int


class ClicksOfDay(BaseModel):
    """Clicks of one day, UTC."""

    date: str
    clicks: int
    visitors: int


class LinkStats(BaseModel):
    """The clicks on a short link by people; `bots` are all others."""

    code: str
    domain: str
    since: Annotated[datetime, Field(alias="from")]
    to: datetime
    created_at: datetime
    clicks: int
    bots: int
    by_day: list[ClicksOfDay]
    referrers: list[Clicks]
    locations: list[Clicks]
    devices: list[Clicks]


SiteHistory = history("SiteHistory", *CODEC.types.values())

THIS = {"site": "$response.body#/id"}
THIS_VERSION = {**THIS, "If-Match": "$response.header.ETag"}
NEXT = {
    "getSite": THIS,
    "getSiteHistory": THIS,
    "editSite": THIS_VERSION,
    "deleteSite": THIS_VERSION,
}
"""What can be done with a site that was made."""

FILE_MEDIA = (JSON, *sorted({media for _, media in FILES.values()}))

NOW = {200: Answer("The site as it is now.", Site, (ETAG,))}
CHANGED = {404: ("not_found",), 409: ("conflict",), 410: ("gone",)}

ANALYTICS = Capability(
    name="analytics",
    about=functions.analytics.__doc__ or "",
    parameters={
        "site": {"schema": {"type": "string", "pattern": SITE_ID}},
        "name": {"schema": {"type": "string", "pattern": NAME}},
        "file": {"schema": {"type": "string"}},
        "code": {"schema": {"type": "string"}},
        "export": {"schema": {"type": "string", "pattern": SITE_ID}},
    },
    operations={
        # ---- Sites ----------------------------------------------------------------------------
        "POST /v1/sites": Operation(
            id="createSite",
            summary="Make a site. Its ledger is for ever.",
            scope=WRITE,
            body=NewSite,
            query=NoQuery,
            command=True,
            answers={201: Answer("A new site.", Site, (ETAG, LOCATION), NEXT)},
            problems={409: ("conflict",)},
        ),
        "GET /v1/sites": Operation(
            id="listSites",
            summary="Your sites, newest first.",
            scope=READ,
            query=SitePageQuery,
            answers={200: Answer("A page of sites.", SitePage)},
            problems={400: ("bad_cursor",)},
        ),
        "GET /v1/sites/{site}": Operation(
            id="getSite",
            summary="Your site, now or as it was.",
            scope=READ,
            query=SiteQuery,
            answers={200: Answer("The site.", Site, (ETAG,))},
            problems={404: ("not_found",), 410: ("gone",)},
        ),
        "GET /v1/sites/{site}/history": Operation(
            id="getSiteHistory",
            summary="What happened to your site, oldest first; of a deleted one too.",
            scope=READ,
            query=SitePageQuery,
            answers={200: Answer("A page of events.", SiteHistory)},
            problems={400: ("bad_cursor",), 404: ("not_found",)},
        ),
        "PATCH /v1/sites/{site}": Operation(
            id="editSite",
            summary="Change what is given: absent keeps, null sets what a new site has. A time zone"
            " can change to one whose hours begin at the same minutes.",
            scope=WRITE,
            body=SitePatch,
            query=NoQuery,
            command=True,
            conditional=True,
            answers=NOW,
            problems=CHANGED,
        ),
        "DELETE /v1/sites/{site}": Operation(
            id="deleteSite",
            summary="Take the site down for good; its history stays.",
            scope=WRITE,
            query=NoQuery,
            command=True,
            conditional=True,
            answers={204: Answer("It is gone.")},
            problems=CHANGED,
        ),
        "PUT /v1/sites/{site}/goals/{name}": Operation(
            id="setGoal",
            summary="Count a goal from now on.",
            scope=WRITE,
            body=NewGoal,
            query=NoQuery,
            command=True,
            conditional=True,
            answers=NOW,
            problems=CHANGED,
        ),
        "DELETE /v1/sites/{site}/goals/{name}": Operation(
            id="removeGoal",
            summary="Count it no longer.",
            scope=WRITE,
            query=NoQuery,
            command=True,
            conditional=True,
            answers=NOW,
            problems=CHANGED,
        ),
        "PUT /v1/sites/{site}/funnels/{name}": Operation(
            id="setFunnel",
            summary="Have a funnel.",
            scope=WRITE,
            body=NewFunnel,
            query=NoQuery,
            command=True,
            conditional=True,
            answers=NOW,
            problems=CHANGED,
        ),
        "DELETE /v1/sites/{site}/funnels/{name}": Operation(
            id="removeFunnel",
            summary="Have it no longer.",
            scope=WRITE,
            query=NoQuery,
            command=True,
            conditional=True,
            answers=NOW,
            problems=CHANGED,
        ),
        # ---- Events in ------------------------------------------------------------------------
        "POST /v1/track": Operation(
            id="track",
            summary="What happens on a site, from a page of one of its origins.",
            body=TrackedEvents,
            answers={202: Answer("Taken; counted within seconds.", Taken)},
            problems={
                403: ("foreign_origin",),
                404: ("not_found",),
                415: ("unsupported_encoding",),
            },
        ),
        "OPTIONS /v1/track": Operation(
            id="mayTrack",
            summary="Any page may ask.",
            answers={204: Answer("It may send events.")},
        ),
        "POST /v1/sites/{site}/events": Operation(
            id="submitEvents",
            summary="What happens on your site, from its own server.",
            scope=WRITE,
            body=OwnEvents,
            answers={202: Answer("Taken; counted within seconds.", Taken)},
            problems={404: ("not_found",), 415: ("unsupported_encoding",)},
        ),
        # ---- Statistics -----------------------------------------------------------------------
        "GET /v1/stats/{site}": Operation(
            id="getStats",
            summary="What happened on your site: totals, a series, a list, a comparison.",
            scope=READ,
            query=StatsQuery,
            answers={200: Answer("The numbers.", SiteStats)},
            problems={404: ("not_found",), 410: ("gone",)},
        ),
        "GET /v1/stats/{site}/live": Operation(
            id="getLive",
            summary="Who is on your site right now.",
            scope=READ,
            query=NoQuery,
            answers={200: Answer("The last half hour.", Live)},
            problems={404: ("not_found",), 410: ("gone",)},
        ),
        "GET /v1/links/{code}/stats": Operation(
            id="getLinkStats",
            summary="The clicks on your short link.",
            scope=READ,
            query=LinkStatsQuery,
            answers={200: Answer("The clicks.", LinkStats)},
            problems={404: ("not_found",)},
        ),
        # ---- Goals, funnels, exports ----------------------------------------------------------
        "GET /v1/sites/{site}/goals": Operation(
            id="getGoals",
            summary="Your site's goals: how often and by how many visitors each was reached.",
            scope=READ,
            query=SpanQuery,
            answers={200: Answer("The goals.", Goals)},
            problems={404: ("not_found",), 410: ("gone",)},
        ),
        "GET /v1/sites/{site}/funnels/{name}": Operation(
            id="getFunnel",
            summary="How many visitors took each of a funnel's steps, in their order and within its"
            " window. A span with too many events to follow is a 422.",
            scope=READ,
            query=SpanQuery,
            answers={200: Answer("The funnel.", TakenFunnel)},
            problems={404: ("not_found",), 410: ("gone",)},
        ),
        "POST /v1/sites/{site}/exports": Operation(
            id="createExport",
            summary="Ask for a file of all events of a span of time.",
            scope=READ,
            body=NewExport,
            query=NoQuery,
            command=True,
            answers={202: Answer("It is being written.", Export, (LOCATION, RETRY_AFTER))},
            problems={404: ("not_found",), 409: ("conflict",), 410: ("gone",)},
        ),
        "GET /v1/sites/{site}/exports/{export}": Operation(
            id="getExport",
            summary="What became of an export. Its file is kept for a week, a URL of it good for a"
            " quarter of an hour.",
            scope=READ,
            query=NoQuery,
            answers={200: Answer("The export.", Export)},
            problems={404: ("not_found",), 410: ("gone",)},
        ),
        # ---- Dashboard ------------------------------------------------------------------------
        "GET /static/{file}": Operation(
            id="getFile",
            summary="A file of the dashboard, or the snippet.",
            answers={
                200: Answer("The file.", headers=(CACHE_CONTROL,), media=FILE_MEDIA),
                304: Answer("You have it, says If-None-Match.", headers=(CACHE_CONTROL,)),
            },
            problems={404: ("unknown_file",)},
        ),
    },
)
