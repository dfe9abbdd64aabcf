"""From a route's path to the stream that it is about."""

from __future__ import annotations

from functions.edge.http import Request
from functions.kernel.errors import NotFound
from functions.shortener.codes import is_code
from functions.shortener.decider import DEFAULT_DOMAIN, stream_id


def stream_of(request: Request) -> str:
    """The link's stream. Raises NotFound for what cannot be a code, without a look-up."""
    code = request.path["code"]
    if not is_code(code):
        raise NotFound(code)
    return stream_id(DEFAULT_DOMAIN, code)
