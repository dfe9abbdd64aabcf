"""The read models: a tenant's keys, newest first, and its upstreams. No secret is in a row, nor
what would tell one."""

from __future__ import annotations

from typing import Any

from functions.kernel.store import Stream
from functions.kernel.views import Row, View
from functions.ratelimiter.keys import Key
from functions.ratelimiter.upstreams import Upstream


def render_key(stream: Stream[Key | None]) -> Row:
    """A key's row; a revoked key leaves its tenant's list."""
    key = stream.state
    if key is None or key.revoked_at is not None:
        return Row()
    return _listed(stream, key_data(key), key.created_at, key.id)


def render_upstream(stream: Stream[Upstream | None]) -> Row:
    """An upstream's row; a removed upstream leaves its tenant's list."""
    upstream = stream.state
    if upstream is None or upstream.removed_at is not None:
        return Row()
    return _listed(stream, upstream_data(upstream), upstream.created_at, upstream.name)


def key_data(key: Key) -> dict[str, Any]:
    """What may be shown of a key, but for its version; times are epoch ms."""
    return {
        "id": key.id,
        "name": key.name,
        "scopes": list(key.scopes),
        "tier": key.tier,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "rotated_at": key.rotated_at,
        "older_until": [until for _, until in key.older],
    }


def upstream_data(upstream: Upstream) -> dict[str, Any]:
    """The same of an upstream. Of its headers the names: what they say may be secret."""
    return {
        "name": upstream.name,
        "url": upstream.url,
        "timeout_ms": upstream.timeout_ms,
        "authentication": upstream.authentication,
        "headers": [name for name, _ in upstream.headers],
        "created_at": upstream.created_at,
    }


def _listed(stream: Stream[Any], data: dict[str, Any], created_at: int, name: str) -> Row:
    return Row(
        data={**data, "version": stream.version},
        list=stream.tenant,
        position=f"{created_at:015d}#{name}",
    )


KEYS_VIEW: View[Key | None] = View("keys", render_key)
UPSTREAMS_VIEW: View[Upstream | None] = View("upstreams", render_upstream)
