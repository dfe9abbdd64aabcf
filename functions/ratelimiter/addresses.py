"""Which addresses the gateway connects to. Pure.

A name that a tenant gives may lead anywhere, also to what stands beside the function. So the
address is checked that is connected to, not the name (OWASP, Server Side Request Forgery
Prevention Cheat Sheet).
"""

from __future__ import annotations

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

_GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All that was ever given out of IPv6 (IANA, IPv6 Address Space). Mapped (::ffff:0:0/96), NAT64
(64:ff9b::/96) and site-local (fec0::/10) addresses lie outside of it."""
_TUNNELS = (IPv6Network("2002::/16"), IPv6Network("2001::/32"))
"""6to4 (RFC 3056) and Teredo (RFC 4380): names for hosts that an IPv4 address would show."""
_ASSIGNMENTS = IPv4Network("192.0.0.0/24")
"""Not global (RFC 6890), which Python knows from 3.12.4 on."""
_NEAR = [
    *map(ip_network, ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")),
    *map(ip_network, ("100.64.0.0/10", "::1/128", "fc00::/7")),
]
"""This host and its network (RFC 1122, 1918, 6598, 4291, 4193)."""
_METADATA = IPv6Address("fd00:ec2::254")
"""Where AWS tells an instance its credentials, beside the link-local 169.254.169.254."""


def connectable(text: str, private: bool) -> bool:
    """Whether to connect to an address; `private` allows those of this host and its network, and
    no others that are not public."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return _public(address) or (private and _near(address))


def _public(address: IPv4Address | IPv6Address) -> bool:
    if address.is_multicast or not address.is_global:
        return False
    if isinstance(address, IPv4Address):
        return address not in _ASSIGNMENTS
    return address in _GLOBAL_UNICAST and not any(address in network for network in _TUNNELS)


def _near(address: IPv4Address | IPv6Address) -> bool:
    return address != _METADATA and any(address in network for network in _NEAR)
