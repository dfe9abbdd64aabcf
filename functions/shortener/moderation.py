"""What moderators, operators and reporters send over HTTP, and what they are shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field

from functions.edge.validation import Query, Schema, to_text
from functions.kernel.errors import Rejected
from functions.shortener import bans, targets
from functions.shortener.bans import BanKind
from functions.shortener.codes import is_code
from functions.shortener.decider import DEFAULT_DOMAIN, Standing
from functions.shortener.reports import Reason
from functions.shortener.schemas import DOMAIN, OWNER, WEB, Domain, LongUrl, Owner

Why = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
BanValue = Annotated[str, Field(min_length=1, max_length=253)]
PREVIEW = "+"


class NewStanding(Schema):
    """Body of PUT /v1/links/{code}/standing. The link's owner is shown the reason; of
    one that is clear none is kept, and none is taken."""

    standing: Standing
    reason: Why = ""


class NewBan(Schema):
    """Body of POST /v1/bans: a ban over an owner, or over a host and all hosts below it."""

    kind: BanKind
    value: BanValue
    reason: Why


class BanQuery(Query):
    """Query of DELETE /v1/bans. Not in the path: the gateway decodes that before it matches, so
    that an owner with a slash would lead to no route, and cuts it at a question mark."""

    kind: BanKind
    value: BanValue


class NewDomain(Schema):
    """Body of PUT /v1/domains/{host}: whose it is, by the subject of the owner's tokens."""

    owner: Owner


class NewReport(Schema):
    """Body of POST /v1/reports: a short URL, or a code with the custom domain that it is on."""

    url: LongUrl | None = None
    code: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    domain: Domain | None = None
    reason: Reason
    comment: Annotated[str, Field(max_length=500)] | None = None


def banned(kind: str, value: str) -> str:
    """An owner or a host in the form that links keep it in. Raises Rejected."""
    if kind == bans.HOST:
        return targets.host(value, "value")
    if not re.fullmatch(OWNER, value):
        raise Rejected("is no owner that could be banned", "value")
    return value


def custom_domain(name: str) -> str:
    """A domain in the form that links keep it in. Raises Rejected."""
    host = targets.host(name, "host")
    if not re.fullmatch(DOMAIN, host) or host.rpartition(".")[2].isdecimal():
        raise Rejected("is no domain name", "host")
    return host


def reported(
    report: NewReport, public_url: str, is_own: Callable[[str], bool]
) -> tuple[str, str] | None:
    """Domain and code of the link that is reported; None for what can be no link of ours. Short
    URLs begin with `public_url`, or have another host that `is_own` or a custom domain.

    Raises Rejected for neither a URL nor a code, for both, and for a URL without its scheme.
    """
    if (report.url is None) == (report.code is None):
        raise Rejected("or code is needed, and not both", "url")
    domain, code = report.domain or DEFAULT_DOMAIN, report.code or ""
    if report.url is not None:
        if not re.match(WEB, report.url):
            raise Rejected("must start with http:// or https://", "url")
        try:
            parts = urlsplit(report.url)
        except ValueError:
            return None
        domain, path = parts.hostname or "", parts.path
        if is_own(domain):
            domain, path = DEFAULT_DOMAIN, path.removeprefix(f"{urlsplit(public_url).path}/")
        code = path.removeprefix("/").removesuffix(PREVIEW)
    known = domain == DEFAULT_DOMAIN or re.fullmatch(DOMAIN, domain)
    return (domain, code) if known and is_code(code) else None


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the directory or of the reports as it is shown: its times as text."""
    return {
        name: to_text(value) if name.endswith("_at") else value
        for name, value in row.items()
        if name not in ("lifted", "released")
    }
