"""Lists of who is always allowed or always denied. Pure.

However long a list is, a request takes a look-up for each identity that it has, and one for each
length of prefix that the list's networks have.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from unicodedata import normalize


class Entry(NamedTuple):
    """Somebody on a list. Of the kind ip the `value` is an address or a network in CIDR form."""

    kind: str
    value: str


class Listed(NamedTuple):
    """Those on a list: `networks` are numbers of networks by IP version and length of prefix."""

    entries: tuple[Entry, ...] = ()
    others: frozenset[Entry] = frozenset()
    networks: Mapping[tuple[int, int], frozenset[int]] = {}

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Listed:
        """The list of these. Raises ValueError for what is no network."""
        entries = tuple(entries)
        others = frozenset(Entry(kind, same(value)) for kind, value in entries if kind != "ip")
        return cls(entries, others, _networks(value for kind, value in entries if kind == "ip"))

    def has(self, identities: Mapping[str, str], address: str | None) -> bool:
        """Whether one of the identities, by kind, or the whole address is of somebody on it."""
        if self.others and any(
            Entry(kind, same(value)) in self.others for kind, value in identities.items()
        ):
            return True
        return bool(self.networks) and address is not None and self._within(address)

    def _within(self, address: str) -> bool:
        from ipaddress import IPv6Address, ip_address

        found = ip_address(address)
        if isinstance(found, IPv6Address):
            found = found.ipv4_mapped or found
        number, bits = int(found), found.max_prefixlen
        return any(
            version == found.version and number >> (bits - length) in networks
            for (version, length), networks in self.networks.items()
        )


def same(identity: str) -> str:
    """What looks the same is the same (Unicode Standard Annex 15, form KC)."""
    return normalize("NFKC", identity)


def network(text: str) -> str:
    """An address, or a network in CIDR form, as it is kept. Raises ValueError: of a network no bits
    are set beyond its prefix, and IPv4 within IPv6 is written as IPv4, since it is compared so."""
    from ipaddress import IPv6Network, ip_network

    address, slash, length = text.partition("/")
    if "%" in address or (slash and not (length.isascii() and length.isdecimal())):
        raise ValueError("ip is neither an address nor a network such as 203.0.113.0/24")
    try:
        found = ip_network(text)
    except ValueError as error:
        raise ValueError(f"ip is neither an address nor a network: {error}") from None
    if isinstance(found, IPv6Network) and found.subnet_of(IPv6Network(_MAPPED)):
        raise ValueError("ip is IPv4 within IPv6, and is to be written as IPv4")
    return str(found if found.num_addresses > 1 else found.network_address)


_MAPPED = "::ffff:0:0/96"
"""Where IPv6 has addresses of IPv4 (RFC 4291, 2.5.5.2)."""


def _networks(texts: Iterable[str]) -> dict[tuple[int, int], frozenset[int]]:
    from ipaddress import ip_network

    found: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
    for each in map(ip_network, texts):
        number = int(each.network_address) >> (each.max_prefixlen - each.prefixlen)
        found[each.version, each.prefixlen].add(number)
    return {prefix: frozenset(numbers) for prefix, numbers in found.items()}
