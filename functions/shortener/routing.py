"""From a link's route to its stream, and back."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from functions.edge.http import Request
from functions.kernel.errors import NotFound
from functions.shortener.codes import is_code
from functions.shortener.decider import DEFAULT_DOMAIN, Link, stream_id

_DOMAIN = re.compile(r"[a-z0-9.-]{1,253}")


def stream_of(request: Request) -> str:
    """The link's stream. Raises NotFound for what cannot be a code, without a look-up."""
    code, domain = request.path["code"], request.query.get("domain", DEFAULT_DOMAIN)
    if not is_code(code) or not _DOMAIN.fullmatch(domain):
        raise NotFound(code)
    return stream_id(domain, code)


def followed(request: Request, code: str, public_url: str) -> str:
    """The stream of the link that a visitor follows: on the stack's own host or a custom domain."""
    host = request.host.lower()
    own = is_own(host, request, public_url)
    return stream_id(DEFAULT_DOMAIN if own or "." not in host else host, code)


def is_own(host: str, request: Request, public_url: str) -> bool:
    """Whether a host, in lower case, is the stack's own: the short URLs' or the API's."""
    return host == urlsplit(public_url).hostname or is_api(host, request)


def is_api(host: str, request: Request) -> bool:
    """Whether a host is the API's endpoint, by which it goes whatever the short URLs begin with."""
    api = str(request.event["requestContext"].get("apiId", ""))
    return host.startswith(f"{api}.execute-api.")


def path(link: Link) -> str:
    """The route of a link."""
    on = "" if link.domain == DEFAULT_DOMAIN else f"?domain={link.domain}"
    return f"/v1/links/{link.code}{on}"
