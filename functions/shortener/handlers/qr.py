"""GET /{code}/qr: a short URL as a picture. Public; one eventually consistent read."""

from __future__ import annotations

import re
from hashlib import blake2b
from io import BytesIO
from typing import NamedTuple

import segno

from functions.edge.http import Answer, Request, Route, http
from functions.edge.problem import Problem, invalid
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.settings import settings
from functions.edge.validation import parse_query
from functions.kernel.dynamo import DynamoStore
from functions.kernel.store import load
from functions.shortener.codes import is_code
from functions.shortener.decider import BANNED, DECIDER, Link
from functions.shortener.routing import followed
from functions.shortener.schemas import QrQuery, short_url

MEDIA = {"svg": "image/svg+xml", "png": "image/png"}
DAY_SECONDS = 24 * 3600
HEADERS = {
    "cache-control": f"public, max-age={DAY_SECONDS}",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
}
_TAG = re.compile(r'"([^"]*)"')


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str
    public_url: str


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Settings, runtime.env)
    store = DynamoStore(runtime.client("dynamodb"), config.events_table)

    def picture(request: Request) -> Answer:
        query = parse_query(QrQuery, request.query)
        if query.dark.lower() == query.light.lower():
            raise invalid("light", "is the colour of dark")
        drawn = draw(short_url(found(request), config.public_url), query)
        tag = blake2b(drawn, digest_size=16).hexdigest()
        headers = {**HEADERS, "ETag": f'"{tag}"'}
        if _has(request.headers.get("if-none-match", ""), tag):
            return Answer(304, headers=headers)
        return Answer(200, drawn, headers, MEDIA[query.format])

    def found(request: Request) -> Link:
        """The link, also one that is not open now: its code may be in print before."""
        code = request.path["code"]
        if not is_code(code):
            raise _unknown()
        stream = followed(request, code, config.public_url)
        link = load(store, DECIDER, stream, consistent=False).state
        if link is None:
            raise _unknown()
        if link.deleted:
            raise Problem(410, "link_gone", "This link is no longer available.")
        if link.standing == BANNED:
            raise Problem(410, "link_banned", "This link was taken down.")
        return link

    return http(runtime, "shortener", {"GET /{code}/qr": Route(picture, scope=None)})


def draw(url: str, query: QrQuery) -> bytes:
    """A QR code that says `url`, as a file."""
    out = BytesIO()
    segno.make_qr(url, error=query.level).save(
        out,
        kind=query.format,
        scale=query.size,
        border=query.margin,
        dark=query.dark,
        light=query.light,
    )
    return out.getvalue()


def _has(tags: str, tag: str) -> bool:
    """Whether If-None-Match names a tag, by the weak comparison (RFC 9110, 13.1.2)."""
    return tags.strip() == "*" or tag in _TAG.findall(tags)


def _unknown() -> Problem:
    return Problem(404, "unknown_link", "There is no such link.")


handler = entry(build)
