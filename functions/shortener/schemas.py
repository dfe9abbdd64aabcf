"""What comes in and goes out over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from functions.edge.problem import invalid
from functions.edge.validation import Moment, Query, Schema, to_text
from functions.kernel.codec import to_data
from functions.kernel.store import Commit
from functions.shortener.decider import DEFAULT_REDIRECT_STATUS, Link
from functions.shortener.events import CODEC
from functions.shortener.targets import MAX_URL

CODE = "^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$"
"""A code, for the document; codes.py decides."""
RedirectStatus = Literal[301, 302, 307, 308]
CLEARED = {"expires_at": None, "redirect_status": DEFAULT_REDIRECT_STATUS, "disabled": False}
"""What null sets a field to; a field that is not here cannot be cleared."""

# What is extra only tells readers: targets.py decides, and says why.
LongUrl = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_URL,
        json_schema_extra={
            "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://",
            "examples": ["https://example.com/a?b=c"],
        },
    ),
]


class NewLink(Schema):
    """Body of POST /v1/links. An absent `expires_at` takes the stack's default, null is never."""

    long_url: LongUrl
    alias: Annotated[str, Field(json_schema_extra={"pattern": CODE})] | None = None
    expires_at: Moment | None = None
    redirect_status: RedirectStatus = DEFAULT_REDIRECT_STATUS
    dedupe: bool = True


class LinkPatch(Schema):
    """Body of PATCH /v1/links/{code}: absent keeps, null clears, `expires_at` to never,
    `redirect_status` to 302, `disabled` to false."""

    long_url: LongUrl | SkipJsonSchema[None] = None
    expires_at: Moment | None = None
    redirect_status: RedirectStatus | None = None
    disabled: bool | None = None

    def changes(self) -> dict[str, Any]:
        """The given fields, null as what it clears to. Raises a 422 Problem."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        for name, value in given.items():
            if value is None and name not in CLEARED:
                raise invalid(name, "cannot be cleared")
        return {n: CLEARED[n] if value is None else value for n, value in given.items()}


class PageQuery(Query):
    """Query of the lists: at most `limit` items, going on after `cursor`."""

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: Annotated[str, Field(max_length=512)] | None = None


class LinkQuery(Query):
    """Query of GET /v1/links/{code}: `at` is a version or an RFC 3339 time."""

    at: Annotated[str, Field(min_length=1, max_length=40)] | None = Field(
        None, description="A version, or an RFC 3339 time."
    )


def link_body(link: Link, version: int, public_url: str) -> dict[str, Any]:
    """A link as its owner sees it."""
    return {
        "code": link.code,
        "short_url": f"{public_url}/{link.code}",
        "long_url": link.long_url,
        "created_at": to_text(link.created_at),
        "expires_at": None if link.expires_at is None else to_text(link.expires_at),
        "redirect_status": link.redirect_status,
        "disabled": link.disabled,
        "deleted": link.deleted,
        "version": version,
    }


@dataclass(frozen=True)
class HistoryPage:
    """Some of a link's events. `cut`: the commits held more than fit. `following` tells where the
    next page starts: the place of a commit, and the version that was shown last."""

    items: list[dict[str, Any]]
    cut: bool
    following: tuple[int, int]


def history_page(commits: list[Commit], seen: int, limit: int) -> HistoryPage:
    """At most `limit` events of `commits` beyond version `seen`, oldest first."""
    items = [item for commit in commits for item in _events(commit) if item["version"] > seen]
    shown = items[:limit]
    last = shown[-1]["version"] if shown else seen
    place = next((commit.before for commit in commits if commit.after > last), last)
    return HistoryPage(shown, cut=len(items) > limit, following=(place, last))


def _events(commit: Commit) -> list[dict[str, Any]]:
    events = CODEC.decode(commit.events)
    return [
        {
            "version": version,
            "type": type(event).__name__,
            "at": to_text(commit.metadata.at),
            "actor": commit.metadata.actor,
            "data": {name: _shown(name, value) for name, value in to_data(event).items()},
        }
        for version, event in enumerate(events, commit.before + 1)
    ]


def _shown(name: str, value: Any) -> Any:
    return to_text(value) if name.endswith("_at") else value
