"""Which header fields go through the gateway, and what it says itself. Pure.

Names are in lower case, as API Gateway hands them over. Fields for one hop end here (RFC 9110,
7.6.1), and so does what a client claims about its address: the gateway tells the one that it sees.
Upstreams share a host with each other and with Millrace, so nothing of theirs sets its policy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

KEY = "x-api-key"
OWN = "x-millrace-"
"""What these say an upstream may believe: no client's come through."""
MAX_BYTES = 32 * 1024
"""Of an answer's header fields together: with the body they must fit into what Lambda returns."""

HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"}
    | {"te", "trailer", "transfer-encoding", "upgrade", "http2-settings"}
)
_FRAMING = frozenset({"host", "content-length", "expect"})
_CLAIMS = frozenset(
    {"forwarded", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip"}
    | {"cf-connecting-ip", "fastly-client-ip", "client-ip", "x-originating-ip"}
    | {"x-original-url", "x-rewrite-url", "x-original-host", "x-host"}
)
"""What servers take an address or a path from, though anybody can send it."""
_HOST_POLICY = frozenset(
    {"strict-transport-security", "public-key-pins", "public-key-pins-report-only", "expect-ct"}
    | {"alt-svc", "clear-site-data", "service-worker-allowed", "origin-agent-cluster", "nel"}
    | {"report-to", "reporting-endpoints", "accept-ch", "critical-ch", "sourcemap"}
)
"""What browsers remember for a whole host or origin."""
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]+")


class Asker(NamedTuple):
    """Who asks, as far as the gateway knows itself: the address that it sees, the host that it was
    asked as, the correlation id; `says` are fields of its own about the key."""

    address: str
    host: str
    correlation: str
    says: Mapping[str, str] = {}


def settable(name: str) -> bool:
    """Whether an upstream's definition may set this field in all requests."""
    reserved = HOP_BY_HOP | _FRAMING | {KEY, "via", "cookie", "x-correlation-id"}
    return bool(_TOKEN.fullmatch(name)) and name not in reserved and not _claimed(name)


def to_upstream(
    given: Mapping[str, str],
    cookies: Sequence[str],
    fixed: Iterable[tuple[str, str]],
    asker: Asker,
    keeps_key: bool,
) -> dict[str, str | bytes]:
    """The fields of a request as its upstream gets it, but for those of its framing. A key of ours
    stays here; with `keeps_key` it is none of ours."""
    named = _named_in(given.get("connection", ""))
    passed = {
        name: value
        for name, value in ((name.lower(), value) for name, value in given.items())
        if _TOKEN.fullmatch(name)
        and name not in HOP_BY_HOP | _FRAMING | named
        and not _claimed(name)
        and (keeps_key or name != KEY)
    }
    if cookies:
        passed["cookie"] = "; ".join(cookies)
    via = passed.get("via")
    own = {
        "via": f"{via}, {_via(asker.host)}" if via else _via(asker.host),
        "forwarded": f"for={_node(asker.address)};host={asker.host};proto=https",
        "x-forwarded-for": asker.address,
        "x-forwarded-host": asker.host,
        "x-forwarded-proto": "https",
        "x-correlation-id": asker.correlation,
    }
    whole = {**passed, **dict(fixed), **own, **asker.says}
    return {name: _sendable(value) for name, value in whole.items()}


def went_through(given: Mapping[str, str], host: str) -> bool:
    """Whether a request came through this gateway before: it goes in a circle."""
    hops = given.get("via", "").split(",")
    return _via(host).split() in [hop.split()[:2] for hop in hops]


class Returned(NamedTuple):
    """The fields of an upstream's answer as the client gets them."""

    headers: dict[str, str]
    cookies: list[str]


def to_client(given: Sequence[tuple[str, str]], host: str, prefix: str) -> Returned | None:
    """What comes back of an answer's fields; None where they are too many bytes. Cookies are for
    the upstream's own `prefix` alone, and a page of it gets no right of the host's origin."""
    if sum(len(name) + len(value) for name, value in given) > MAX_BYTES:
        return None
    named = _named_in(",".join(value for name, value in given if name.lower() == "connection"))
    dropped = HOP_BY_HOP | _HOST_POLICY | named | {"content-length"}
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for name, value in ((name.lower(), _CONTROL.sub(" ", value)) for name, value in given):
        if name == "set-cookie":
            cookies += _confined(value, prefix)
        elif _TOKEN.fullmatch(name) and name not in dropped and not name.startswith(OWN):
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    _join(headers, "via", _via(host))
    # In an origin of its own, a page can neither read what Millrace's keep nor act for who is
    # logged in there (Content Security Policy Level 3, sandbox).
    _join(headers, "content-security-policy", "sandbox")
    headers["x-content-type-options"] = "nosniff"
    return Returned(headers, cookies)


def _confined(cookie: str, prefix: str) -> list[str]:
    """A Set-Cookie that is sent back below `prefix` alone, and none that could not be so."""
    pair, *attributes = cookie.split(";")
    if pair.strip().lower().startswith("__host-"):
        return []
    kept = [each for each in attributes if _attribute(each) not in ("domain", "path")]
    return [";".join([pair, *kept, f" Path={prefix}"])]


def _attribute(text: str) -> str:
    return text.partition("=")[0].strip().lower()


def _join(headers: dict[str, str], name: str, value: str) -> None:
    headers[name] = f"{headers[name]}, {value}" if headers.get(name) else value


def _named_in(connection: str) -> frozenset[str]:
    return frozenset(name.strip().lower() for name in connection.split(","))


def _claimed(name: str) -> bool:
    # Servers that make variables of names cannot tell _ from - (RFC 3875, 4.1.18).
    plain = name.replace("_", "-")
    return plain in _CLAIMS or plain.startswith(("x-forwarded-", OWN))


def _via(host: str) -> str:
    return f"1.1 {host}"


def _node(address: str) -> str:
    """RFC 7239, section 6."""
    return f'"[{address}]"' if ":" in address else address


def _sendable(value: str) -> str | bytes:
    clean = _CONTROL.sub(" ", value)
    return clean if clean.isascii() else clean.encode("utf-8", "replace")
