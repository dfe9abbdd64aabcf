"""Where a link may lead. Pure.

A target is an absolute http(s) URL as the WHATWG and RFC 3986 parsers both understand it: what
they would read differently is refused, so that the host that was checked is the host visited.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from ipaddress import AddressValueError, IPv4Address, IPv6Address, IPv6Network
from urllib.parse import SplitResult, quote, urlsplit

from functions.kernel.errors import Rejected

MAX_URL = 2048
SHORTENERS = frozenset(
    {"bit.ly", "bitly.com", "bl.ink", "buff.ly", "cutt.ly", "dub.sh", "dub.co", "goo.gl", "is.gd"}
    | {"j.mp", "kutt.it", "kutt.to", "lnkd.in", "ow.ly", "rb.gy", "rebrand.ly", "s.id"}
    | {"short.io", "shorturl.at", "t.co", "t.ly", "tiny.cc", "tinyurl.com", "tr.im", "v.gd"}
)
"""Public shorteners: a link to one hides where it leads, and may lead back here."""
DEFAULT_PORTS = {"http": 80, "https": 443}

# A host whose last label is a number is an IPv4 address to browsers (WHATWG URL, 3.5).
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:0x[0-9a-f]*|[0-9]+)", re.ASCII)
# urlsplit takes what stands around an address in brackets for nothing.
_BRACKETS = re.compile(r"\[[0-9A-Fa-f:.]+\](?::\d+)?|[^\[\]]+")
_GLOBAL_UNICAST = IPv6Network("2000::/3")
# Compatible and mapped (RFC 4291), translated (RFC 7915), NAT64 (RFC 6052, RFC 8215), 6to4
# (RFC 3056), Teredo (RFC 4380): other names for hosts that an IPv4 address would show.
_CARRYING_IPV4 = [
    IPv6Network(network)
    for network in (
        "::/96",
        "::ffff:0:0/96",
        "::ffff:0:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2002::/16",
        "2001::/32",
    )
]
_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"}
_UNMIXABLE = {"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU"}
_KEPT_IN_URL = "%/:?#[]@!$&'()*+,;=~-._"


def target(url: str, own_hosts: Collection[str] = (), field: str = "long_url") -> str:
    """The URL to redirect to: ASCII only, scheme and host in lower case, else as given.

    `own_hosts` are hosts, with port where it is not the default, that would lead back to us.
    Raises Rejected on `field` with the reason.
    """
    try:
        return _target(url, own_hosts)
    except Rejected as error:
        raise Rejected(error.reason, field) from error


def _target(url: str, own_hosts: Collection[str]) -> str:
    _refuse_hidden_characters(url)
    parts = _split(url)
    host = _host(parts)
    netloc = host if parts.port in (None, DEFAULT_PORTS[parts.scheme]) else f"{host}:{parts.port}"
    if netloc in own_hosts or host in own_hosts:
        raise _refused("leads back to this service")
    if host.removeprefix("www.") in SHORTENERS:
        raise _refused("leads to another shortener, which hides where it goes")
    rest = quote(url[_authority_end(url) :], safe=_KEPT_IN_URL)
    accepted = f"{parts.scheme}://{netloc}{rest}"
    if len(accepted) > MAX_URL:
        raise _refused(f"is longer than {MAX_URL} characters")
    return accepted


def identity(accepted: str) -> str:
    """What two accepted URLs share when they are one: an empty path is "/" (RFC 3986, 6.2.3)."""
    end = _authority_end(accepted)
    return accepted if accepted[end:].startswith("/") else f"{accepted[:end]}/{accepted[end:]}"


def host_of(accepted: str) -> str:
    """The host of an accepted URL, without port."""
    return urlsplit(accepted).hostname or ""


def host(name: str, field: str) -> str:
    """A host as accepted URLs have it, without port. Raises Rejected on `field`."""
    accepted = target(f"https://{name}", field=field)
    found = host_of(accepted)
    if accepted not in (f"https://{found}", f"https://[{found}]"):
        raise Rejected("is not a host alone", field)
    return found


def look_alike(accepted: str) -> str | None:
    """A warning for an accepted URL whose host is not written in plain Latin letters."""
    host = host_of(accepted)
    letters = in_letters(host)
    if letters == host:
        return None
    return f"shows as {letters}, which may look like another site; it is {host}"


def in_letters(host: str) -> str:
    """An accepted URL's host as people write it."""
    if "xn--" not in host:
        return host
    import idna

    try:
        return idna.decode(host)
    except idna.IDNAError:
        return host


def _refused(reason: str) -> Rejected:
    return Rejected(reason, "long_url")


def _refuse_hidden_characters(url: str) -> None:
    for char in url:
        if unicodedata.category(char) in _HIDDEN or char == "\\":
            raise _refused(f"contains the character U+{ord(char):04X}")


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise _refused("is not a URL") from error
    if parts.scheme not in DEFAULT_PORTS:
        raise _refused("must start with http:// or https://")
    if not url[len(parts.scheme) :].startswith("://") or not parts.hostname:
        raise _refused("has no host")
    if "@" in parts.netloc:
        raise _refused("carries a user name, which hides the real host")
    if parts.netloc.endswith(":") or "%" in parts.netloc:
        raise _refused("has a malformed host")
    if not _BRACKETS.fullmatch(parts.netloc):
        raise _refused("is not a URL")
    return parts


def _authority_end(url: str) -> int:
    start = url.index("://") + 3
    return min((i for i in (url.find(c, start) for c in "/?#") if i >= 0), default=len(url))


def _host(parts: SplitResult) -> str:
    name = parts.hostname or ""
    if ":" in name:
        return f"[{_public(_ipv6(name))}]"
    name = _ascii_host(name)
    if _ENDS_IN_NUMBER.fullmatch(name):
        return str(_public(_ipv4(name)))
    if name == "localhost" or name.endswith((".localhost", ".local", ".internal")):
        raise _refused("leads to a private host")
    return name


def _ascii_host(name: str) -> str:
    labels = name.removesuffix(".")
    encoded = labels if labels.isascii() and "xn--" not in labels else _encoded(labels)
    if not re.fullmatch(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", encoded) or len(encoded) > 253:
        raise _refused("has a host that is no valid domain name")
    return encoded


def _encoded(labels: str) -> str:
    # Few hosts need it, and every cold start would load it.
    import idna

    try:
        encoded = idna.encode(labels, uts46=True).decode() if not labels.isascii() else labels
        if "xn--" in encoded:
            _refuse_mixed_scripts(idna.decode(encoded))
    except idna.IDNAError as error:
        raise _refused("has a host that is no valid domain name") from error
    return encoded


def _refuse_mixed_scripts(name: str) -> None:
    for label in name.split("."):
        scripts = {unicodedata.name(char, "?").split()[0] for char in label if char.isalpha()}
        if len(scripts) > 1 and scripts & _UNMIXABLE:
            raise _refused("mixes look-alike letters of several scripts in its host")


def _ipv4(name: str) -> IPv4Address:
    try:
        return IPv4Address(name)
    except AddressValueError as error:
        raise _refused("has an IP address in a disguised form") from error


def _ipv6(name: str) -> IPv6Address:
    try:
        address = IPv6Address(name)
    except AddressValueError as error:
        raise _refused("is not a URL") from error
    nowhere = address.is_loopback or address.is_unspecified
    if not nowhere and any(address in network for network in _CARRYING_IPV4):
        raise _refused("has an IP address in a disguised form")
    return address


def _public(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    known = isinstance(address, IPv4Address) or address in _GLOBAL_UNICAST
    if not known or not address.is_global or address.is_multicast:
        raise _refused("leads to a private or reserved address")
    return address
