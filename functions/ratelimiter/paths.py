"""From the path of a request to the path that its upstream is asked for, and back. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, unquote, urljoin

from functions.edge.problem import Problem
from functions.kernel.store import DEFAULT_TENANT

ROOT = "/gw/"
UPSTREAM = "^[a-z0-9][a-z0-9-]{0,39}$"
_NAME = re.compile(UPSTREAM, re.ASCII)
_IN_PATH = "/:@!$&'()*+,;=~-._"
_IN_QUERY = _IN_PATH + "?%[]|^{}`"
# Some servers cut a segment's parameters off before they resolve dots, and may then see two slashes
# (RFC 3986, 3.3).
_DOTS = re.compile(r"\.{1,2}([;?#]|$)")
_EMPTY = re.compile(r";|$")
_HIDDEN = re.compile(r"[\x00-\x1f\x7f\\]")


class Place(NamedTuple):
    """Whom a request is for. `tenant` is the one that the path names, None where it names none;
    `prefix` is the path up to the upstream's, as a client sees it; `rest` what follows, decoded,
    empty or with its slash."""

    tenant: str | None
    name: str
    prefix: str
    rest: str

    @property
    def endpoint(self) -> str:
        """What the tenant's rules know the request by."""
        return f"{ROOT}{self.name}{self.rest}"

    def target(self, base: str, query: str) -> str:
        """The request's target at an upstream whose base path, without its last slash, is `base`;
        `query` stays as it was sent, but for what no query has."""
        path = base + quote(self.rest, safe=_IN_PATH) or "/"
        return f"{path}?{quote(query, safe=_IN_QUERY)}" if query else path


def place_of(raw_path: str, label: str) -> Place | None:
    """The place that a decoded path names: `/gw/<label>/...`, where the label is an upstream's
    name, with its tenant and ~ before it or without. None where that can be no name. Raises a 400
    Problem for a path of tricks."""
    tenant, tilde, name = label.rpartition("~")
    before, found, rest = raw_path.partition(f"{ROOT}{label}")
    if not found or not _NAME.fullmatch(name) or (tilde and not tenant) or len(tenant) > 1000:
        return None
    # API Gateway decodes all escapes but that of the percent sign itself.
    rest = rest.replace("%25", "%")
    if _tricky(rest):
        detail = "The path has dot or empty segments, a backslash or control characters."
        raise Problem(400, "bad_path", detail)
    prefix = quote(f"{before}{found}", safe=_IN_PATH)
    return Place(tenant or None, name, prefix, rest)


def _tricky(rest: str) -> bool:
    """Whether anybody on the way could take it for another path than it is."""
    try:
        rest.encode()
    except UnicodeEncodeError:
        return True
    # As it is, and as who decodes it once more, or twice.
    for spelling in (rest, once := unquote(rest), unquote(once)):
        *inner, last = spelling.split("/")[1:] or [""]
        if any(map(_EMPTY.match, inner)) or any(map(_DOTS.match, [*inner, last])):
            return True
        if _HIDDEN.search(spelling):
            return True
    return False


def seen_from_outside(location: str, asked: str, base: str, prefix: str) -> str:
    """Where a client finds what an upstream calls `location`, in the answer to a request for the
    URL `asked`: at the gateway, if it lies below the upstream's `base` URL."""
    try:
        absolute = urljoin(asked, location)
    except ValueError:
        return location
    if absolute == base or absolute.startswith((f"{base}/", f"{base}?", f"{base}#")):
        return prefix + absolute[len(base) :]
    return absolute


def tenant_of(place: Place) -> str:
    """Whose upstream it is, where no key says so."""
    return place.tenant or DEFAULT_TENANT
