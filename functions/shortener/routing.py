"""From a link's route to its stream, and back."""

from __future__ import annotations

import re

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
    """The stream of the link that a visitor follows: on the stack's own host, which the API goes
    by too, or on a custom domain."""
    host = request.host.lower()
    api = str(request.event["requestContext"].get("apiId", ""))
    own = public_url.endswith(f"//{host}") or host.partition(".")[0] == api
    return stream_id(DEFAULT_DOMAIN if own or "." not in host else host, code)


def path(link: Link) -> str:
    """The route of a link."""
    on = "" if link.domain == DEFAULT_DOMAIN else f"?domain={link.domain}"
    return f"/v1/links/{link.code}{on}"
