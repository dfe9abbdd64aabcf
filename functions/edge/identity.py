"""Who is calling, from the claims that the gateway's JWT authorizer has verified."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from functions.kernel.store import DEFAULT_TENANT


def network_of(address: str) -> str | None:
    """Who an IP address stands for: of IPv6 its /64, which is one customer's (RFC 6177); None if it
    is none."""
    from ipaddress import IPv4Address, IPv6Network, ip_address

    try:
        found = ip_address(address.strip())
    except ValueError:
        return None
    if isinstance(found, IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Network((found.packed[:8] + bytes(8), 64)))


class Claims(NamedTuple):
    """The names of the claims to read; any issuer's can be configured."""

    tenant_claim: str = "custom:tenant"
    tier_claim: str = "custom:tier"
    scopes_claim: str = "custom:scopes"


class Identity(NamedTuple):
    """A caller: subject, tenant, tier and what it is allowed to do."""

    user: str
    tenant: str = DEFAULT_TENANT
    tier: str = "free"
    scopes: frozenset[str] = frozenset()

    @classmethod
    def of(cls, event: Mapping[str, Any], names: Claims) -> Identity | None:
        """The identity in an HTTP API event, or None on a public route.

        Gateway claims arrive as strings, lists as "[a b]".
        """
        authorizer = event["requestContext"].get("authorizer") or {}
        claims = authorizer.get("jwt", {}).get("claims", {})
        if not claims.get("sub"):
            return None
        scopes = claims.get(names.scopes_claim, "").strip("[]").replace(",", " ").split()
        return cls(
            user=claims["sub"],
            tenant=claims.get(names.tenant_claim) or DEFAULT_TENANT,
            tier=claims.get(names.tier_claim) or "free",
            scopes=frozenset(scopes),
        )
