"""What comes in and goes out over HTTP."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, SkipValidation
from pydantic.json_schema import SkipJsonSchema

from functions.edge.problem import invalid
from functions.edge.validation import Moment, Query, Schema, to_text
from functions.shortener.decider import DEFAULT_DOMAIN, DEFAULT_REDIRECT_STATUS, Link
from functions.shortener.listing import Filter, State
from functions.shortener.targets import MAX_URL, look_alike
from functions.shortener.terms import shown_rules, urls

CODE = "^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$"
"""A code, for the document; codes.py decides."""
DOMAIN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$"
RedirectStatus = Literal[301, 302, 307, 308]
Device = Literal["ios", "android", "windows", "macos", "linux", "mobile", "tablet", "desktop"]
CLEARED = {
    "expires_at": None,
    "not_before": None,
    "fallback_url": None,
    "max_clicks": None,
    "password": None,
    "rules": None,
    "tags": None,
    "title": None,
    "counted": True,
    "redirect_status": DEFAULT_REDIRECT_STATUS,
    "disabled": False,
}
"""What null sets a field to; a field that is not here cannot be cleared."""

WEB = "^[Hh][Tt][Tt][Pp][Ss]?://"
"""How an address in the web begins."""

# What is extra only tells readers: targets.py decides, and says why.
LongUrl = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_URL,
        json_schema_extra={
            "pattern": WEB,
            "examples": ["https://example.com/a?b=c"],
        },
    ),
]
Domain = Annotated[str, Field(max_length=253, pattern=DOMAIN)]
MaxClicks = Annotated[int, Field(ge=1, le=1_000_000_000)]
Password = Annotated[str, Field(min_length=4, max_length=128)]
Title = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
TAG = r"^[^\x00-\x20\x7f,]([^\x00-\x1f\x7f,]{0,30}[^\x00-\x20\x7f,])?$"
Tag = Annotated[str, Field(pattern=TAG)]
Colour = Annotated[str, Field(pattern="^#[0-9A-Fa-f]{6}$")]
Tags = Annotated[list[Tag], Field(max_length=20)]
Values = Annotated[list[Annotated[str, Field(min_length=1, max_length=64)]], Field(max_length=50)]
Country = Annotated[str, Field(pattern="^[A-Z]{2}$")]
Language = Annotated[str, Field(pattern="^[a-z]{2,3}(-[a-z0-9]{2,8})?$")]


OWNER = r"^[!-~]{1,128}$"
Owner = Annotated[str, Field(pattern=OWNER)]
"""The subject of a user's tokens."""


class Target(Schema):
    """Where some visitors are led: this one's share is its weight out of all weights."""

    url: LongUrl
    weight: Annotated[int, Field(ge=1, le=1000)] = 1


class Rule(Schema):
    """Visitors that fit every condition go to one of `to`, always the same for one visitor.

    `query` values are names of parameters, or name=value.
    """

    device: Annotated[list[Device], Field(min_length=1)] | None = None
    language: Annotated[list[Language], Field(min_length=1, max_length=50)] | None = None
    country: Annotated[list[Country], Field(min_length=1, max_length=250)] | None = None
    query: Annotated[Values, Field(min_length=1)] | None = None
    to: Annotated[list[Target], Field(min_length=1, max_length=10)]


Rules = Annotated[list[Rule], Field(max_length=20)]


class NewLink(Schema):
    """Body of POST /v1/links. An absent `expires_at` takes the stack's default, null is never."""

    long_url: LongUrl
    alias: Annotated[str, Field(json_schema_extra={"pattern": CODE})] | None = None
    domain: Domain | None = None
    expires_at: Moment | None = None
    not_before: Moment | None = None
    fallback_url: LongUrl | None = None
    max_clicks: MaxClicks | None = None
    password: Password | None = None
    rules: Rules | None = None
    tags: Tags | None = None
    title: Title | None = None
    counted: bool = True
    redirect_status: RedirectStatus = DEFAULT_REDIRECT_STATUS
    dedupe: bool = True


class BulkItem(NewLink):
    """One link of many, and what makes a repeat of its creation harmless."""

    idempotency_key: Annotated[str, Field(pattern="^[!-~]{1,255}$")] | None = None


class NewLinks(Schema):
    """Body of POST /v1/links/bulk. Its links are looked at one by one: a bad one harms no other."""

    links: Annotated[list[SkipValidation[BulkItem]], Field(min_length=1, max_length=500)]


class LinkPatch(Schema):
    """Body of PATCH /v1/links/{code}: absent keeps, null clears, `expires_at` to never,
    `redirect_status` to 302, `disabled` to false."""

    long_url: LongUrl | SkipJsonSchema[None] = None
    expires_at: Moment | None = None
    not_before: Moment | None = None
    fallback_url: LongUrl | None = None
    max_clicks: MaxClicks | None = None
    password: Password | None = None
    rules: Rules | None = None
    tags: Tags | None = None
    title: Title | None = None
    counted: bool | None = None
    redirect_status: RedirectStatus | None = None
    disabled: bool | None = None

    def changes(self) -> dict[str, Any]:
        """The given fields, null as what it clears to. Raises a 422 Problem."""
        given = self.model_dump(exclude_unset=True)
        for name, value in given.items():
            if value is None and name not in CLEARED:
                raise invalid(name, "cannot be cleared")
        return {n: CLEARED[n] if value is None else value for n, value in given.items()}


class Transfer(Schema):
    """Body of POST /v1/links/{code}/transfer: the subject of another user's tokens."""

    owner: Owner


class PageQuery(Query):
    """Query of the lists: at most `limit` items, going on after `cursor`."""

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: Annotated[str, Field(max_length=512)] | None = None


class DomainQuery(Query):
    """Query of a link's routes: the custom domain that its code is on, absent for the stack's."""

    domain: Domain | None = None


class LinkQuery(DomainQuery):
    """Query of GET /v1/links/{code}: `at` is a version or an RFC 3339 time."""

    at: Annotated[str, Field(min_length=1, max_length=40)] | None = Field(
        None, description="A version, or an RFC 3339 time."
    )


class ListQuery(PageQuery):
    """Query of GET /v1/links: only links to which all of this applies."""

    tag: Annotated[str, Field(pattern=TAG)] | None = None
    domain: Domain | None = Field(None, description="A custom domain.")
    state: State | None = None
    q: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        None,
        description="What the code, the title, a word of it or the target's host starts with, in"
        " any case; the host with or without www, in its own letters or in ASCII.",
    )

    @property
    def filter(self) -> Filter:
        """What it asks of a link."""
        return Filter(self.tag, self.domain, self.state, self.q)


class ExportQuery(ListQuery):
    """Query of GET /v1/links/export."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 1000
    format: Literal["csv", "ndjson"] = "csv"


class QrQuery(Query):
    """Query of GET /{code}/qr: `size` is a module's pixels, `margin` counts modules."""

    format: Literal["svg", "png"] = "svg"
    size: Annotated[int, Field(ge=1, le=40)] = Field(8, description="Pixels of a module.")
    margin: Annotated[int, Field(ge=0, le=10)] = Field(4, description="Modules around the code.")
    dark: Colour = "#000000"
    light: Colour = "#ffffff"
    level: Literal["l", "m", "q", "h"] = Field(
        "m", description="How much of it may be damaged: 7, 15, 25 or 30 % at least."
    )


class HistoryQuery(DomainQuery, PageQuery):
    """Query of GET /v1/links/{code}/history."""


def link_body(link: Link, version: int, public_url: str) -> dict[str, Any]:
    """A link as its owner sees it."""
    return {
        "code": link.code,
        "domain": None if link.domain == DEFAULT_DOMAIN else link.domain,
        "short_url": short_url(link, public_url),
        "long_url": link.long_url,
        "title": link.title,
        "tags": list(link.tags or ()),
        "created_at": to_text(link.created_at),
        "expires_at": _moment(link.expires_at),
        "not_before": _moment(link.not_before),
        "fallback_url": link.fallback_url,
        "max_clicks": link.max_clicks,
        "password": link.password is not None,
        "rules": shown_rules(link.rules),
        "redirect_status": link.redirect_status,
        "counted": link.counted,
        "disabled": link.disabled,
        "standing": link.standing,
        "reason": link.reason,
        "deleted": link.deleted,
        "version": version,
        "warnings": _warnings(link),
    }


def short_url(link: Link, public_url: str) -> str:
    """The URL to give away."""
    base = public_url if link.domain == DEFAULT_DOMAIN else f"https://{link.domain}"
    return f"{base}/{link.code}"


def _moment(millis: int | None) -> str | None:
    return None if millis is None else to_text(millis)


def _warnings(link: Link) -> list[dict[str, str]]:
    return [
        {"field": field, "reason": warning}
        for field, url in urls(link)
        if (warning := look_alike(url))
    ]


def shown(name: str, value: Any) -> Any:
    """A field of an event as its link's owner sees it."""
    match name:
        case "password":
            return True
        case "rules":
            return shown_rules(value)
        case "not_before":
            return to_text(value)
        case _:
            return to_text(value) if name.endswith("_at") else value
