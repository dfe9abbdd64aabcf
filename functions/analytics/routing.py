"""From a site's route to its stream, and back."""

from __future__ import annotations

import re

from functions.analytics.decider import stream_id
from functions.analytics.schemas import NAME, SITE_ID
from functions.edge.http import Request
from functions.edge.problem import invalid
from functions.kernel.errors import NotFound

_SITE = re.compile(SITE_ID, re.ASCII)
_NAME = re.compile(NAME, re.ASCII)


def stream_of(request: Request) -> str:
    """The site's stream. Raises NotFound for what cannot be an id, without a look-up."""
    site = request.path["site"]
    if not _SITE.fullmatch(site):
        raise NotFound(site)
    return stream_id(site)


def name_of(request: Request) -> str:
    """The name of a goal or a funnel. Raises a 422 Problem."""
    name = request.path["name"]
    if not _NAME.fullmatch(name):
        raise invalid("name", "takes 1 to 40 of a-z, 0-9, _ and -, and starts with none of the two")
    return name


def path(site: str) -> str:
    """The route of a site."""
    return f"/v1/sites/{site}"
