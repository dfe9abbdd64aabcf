"""GET /static/{file}: the dashboard and the snippet, from the package. Public; calls nothing."""

from __future__ import annotations

import re
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from functions.edge.http import Answer, Request, Route, http
from functions.edge.problem import Problem
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.settings import settings

FOLDER = Path(__file__).parent.parent / "static"
HTML = "text/html; charset=utf-8"
_SCRIPT = "text/javascript; charset=utf-8"
_STYLE = "text/css; charset=utf-8"
_UPLOT = "vendor/uPlot-1.6.32"
FILES = {
    "track.js": ("track.js", _SCRIPT),
    "dashboard.html": ("dashboard.html", HTML),
    "dashboard.css": ("dashboard.css", _STYLE),
    "login.js": ("login.js", _SCRIPT),
    "chart.js": ("chart.js", _SCRIPT),
    "dashboard.js": ("dashboard.js", _SCRIPT),
    "uplot.js": (f"{_UPLOT}/uPlot.iife.min.js", _SCRIPT),
    "uplot.css": (f"{_UPLOT}/uPlot.min.css", _STYLE),
    "uplot.txt": (f"{_UPLOT}/LICENSE", "text/plain; charset=utf-8"),
}
"""What there is to read: a name, where its file lies, and what it is."""
CONFIG = "config.json"

SHORT = "public, max-age=300"
FOR_EVER = "public, max-age=31536000, immutable"
_LINKED = re.compile(r'\b(href|src)="([\w.]+)"')
_TAG = re.compile(r'"([^"]*)"')


class Settings(NamedTuple):
    """What the function is told by its environment.

    `client_id` is the page's own at the issuer, the audience unless told. `login_origins` are
    those that a login with another issuer than Cognito may speak to besides the issuer's own,
    separated by blanks. `aws_endpoint_url` is set on an emulator alone.
    """

    issuer: str
    audience: str
    client_id: str = ""
    login_origins: str = ""
    aws_endpoint_url: str = ""


class File(NamedTuple):
    """Something to send: `tag` is the content's hash."""

    content: bytes
    media: str
    tag: str


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Settings, runtime.env)
    policy = page_policy(config)

    def send(request: Request) -> Answer:
        name = request.path["file"]
        if name == CONFIG:
            return Answer(200, login(config), {"cache-control": SHORT, **_guarded(name, policy)})
        if name not in FILES:
            raise Problem(404, "unknown_file", "There is no such file.")
        file = read(name)
        headers = {"etag": f'"{file.tag}"', **_guarded(name, policy)}
        # Only what the hash in the query is the hash of may be kept for ever: while a deployment
        # goes on, the new page may ask an old container.
        asked = request.query.get("v") == file.tag
        headers["cache-control"] = FOR_EVER if asked else SHORT
        if _has(request.headers.get("if-none-match", ""), file.tag):
            return Answer(304, headers=headers)
        return Answer(200, file.content.decode(), headers, file.media)

    return http(runtime, "analytics", {"GET /static/{file}": Route(send, scope=None)})


@cache
def read(name: str) -> File:
    """One of FILES; what the page links is named with its hash."""
    path, media = FILES[name]
    content = (FOLDER / path).read_bytes()
    if media == HTML:
        content = _LINKED.sub(_versioned, content.decode()).encode()
    return File(content, media, blake2b(content, digest_size=8).hexdigest())


def _versioned(link: re.Match[str]) -> str:
    return f'{link[1]}="{link[2]}?v={read(link[2]).tag}"'


def login(config: Settings) -> dict[str, str]:
    """What the page must know to log somebody in; `cognito` is empty for another issuer."""
    return {
        "issuer": config.issuer,
        "audience": config.audience,
        "client_id": config.client_id or config.audience,
        "cognito": cognito(config),
    }


def cognito(config: Settings) -> str:
    """Where Cognito answers, if the issuer is one of its pools. It has the pool's own host."""
    host = urlsplit(config.issuer).hostname or ""
    if not host.startswith("cognito-idp."):
        return ""
    return config.aws_endpoint_url or f"https://{host}"


def page_policy(config: Settings) -> str:
    """The page's Content-Security-Policy: our own files, and whom a login speaks to."""
    issuer = urlsplit(config.issuer)
    home = cognito(config) or f"{issuer.scheme}://{issuer.netloc}"
    connected = " ".join(filter(None, ["'self'", home, config.login_origins]))
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        f"connect-src {connected}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _guarded(name: str, policy: str) -> dict[str, str]:
    if name == "dashboard.html":
        return {
            "content-security-policy": policy,
            "cross-origin-opener-policy": "same-origin",
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
            "x-robots-tag": "noindex",
        }
    return {
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        # Sites embed the snippet, also those that ask for both of these.
        "access-control-allow-origin": "*",
        "cross-origin-resource-policy": "cross-origin",
        "x-content-type-options": "nosniff",
    }


def _has(tags: str, tag: str) -> bool:
    """Whether If-None-Match names a tag, by the weak comparison (RFC 9110, 13.1.2)."""
    return tags.strip() == "*" or tag in _TAG.findall(tags)


handler = entry(build)
