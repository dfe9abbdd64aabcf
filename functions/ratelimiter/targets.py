"""Base URLs of upstreams. Pure.

What two parsers could read differently is refused, so that the host that is looked at is the host
that is connected to.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from functions.kernel.errors import Rejected
from functions.ratelimiter.addresses import connectable

MAX_URL = 500
PORTS = {"http": 80, "https": 443}
_LABEL = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*", re.ASCII)
# Such a host is an IPv4 address to resolvers, whatever its form (inet_aton, WHATWG URL, 3.5).
_ENDS_IN_NUMBER = re.compile(r"(.*\.)?(0x[0-9a-f]*|[0-9]+)", re.ASCII)
_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@-]+)*/?", re.ASCII)
_LOCAL = (".localhost", ".local", ".internal")


class Target(NamedTuple):
    """Where an upstream is. `path` ends without a slash, and is empty where there is none."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The host as a Host header and a URL have it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The base URL, as it is kept."""
        return f"{self.scheme}://{self.authority}{self.path}"


def target(url: str, private: bool) -> Target:
    """Where a base URL leads; `private` allows http, and hosts that are not public. Raises Rejected
    on `url` with the reason."""
    if len(url) > MAX_URL:
        raise _refused(f"is longer than {MAX_URL} characters")
    parts = _split(url)
    host = _host(parts, private)
    if parts.scheme not in PORTS or (parts.scheme == "http" and not private):
        raise _refused("must start with https://")
    if not _PATH.fullmatch(parts.path):
        raise _refused("has a path with escapes, empty segments or other characters")
    if any(segment in (".", "..") for segment in parts.path.split("/")):
        raise _refused("has a path with dot segments")
    port = parts.port or PORTS[parts.scheme]
    return Target(parts.scheme, host, port, parts.path.rstrip("/"))


def _split(url: str) -> SplitResult:
    if not re.fullmatch(r"[\x21-\x7e]+", url) or "\\" in url:
        raise _refused("has characters that no URL has; write other hosts as xn--")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _refused("is not a URL") from error
    if not parts.hostname or f"{parts.scheme}://" != url[: len(parts.scheme) + 3].lower():
        raise _refused("is not an absolute URL with a host")
    if "@" in parts.netloc:
        raise _refused("has credentials; an upstream's headers can carry them")
    if "?" in url or "#" in url:
        raise _refused("has a query or a fragment")
    if port == 0 or parts.netloc.endswith(":"):
        raise _refused("has no port after its colon")
    return parts


def _host(parts: SplitResult, private: bool) -> str:
    host = parts.hostname or ""
    if ":" in host or _ENDS_IN_NUMBER.fullmatch(host):
        return _literal(host, private)
    if len(host) > 253 or not _NAME.fullmatch(host):
        raise _refused("has a host that is no domain name")
    if not private and (host == "localhost" or host.endswith(_LOCAL) or "." not in host):
        raise _refused("leads to a private host")
    return host


def _literal(host: str, private: bool) -> str:
    try:
        address = ip_address(host)
    except ValueError as error:
        raise _refused("has an IP address in a disguised form") from error
    if not connectable(str(address), private):
        raise _refused("leads to a private or reserved address")
    return str(address)


def _refused(reason: str) -> Rejected:
    return Rejected(reason, "url")
