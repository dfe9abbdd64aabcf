"""The read model: every owner's sites, newest first."""

from __future__ import annotations

from typing import Any

from functions.analytics.decider import Site
from functions.kernel.codec import from_data, to_data, to_json
from functions.kernel.store import Stream
from functions.kernel.views import Row, View


def owner_list(tenant: str, owner: str) -> str:
    """The name of the list that holds an owner's sites."""
    return to_json([tenant, owner])


def render(stream: Stream[Site | None]) -> Row:
    """A site's row; a deleted site leaves its owner's list."""
    site = stream.state
    if site is None or site.deleted:
        return Row()
    return Row(
        data={"version": stream.version, "site": to_data(site)},
        list=owner_list(stream.tenant, site.owner),
        position=f"{site.created_at:015d}#{site.id}",
    )


def read(data: dict[str, Any]) -> tuple[Site, int]:
    """The site and its version from a row's data."""
    return from_data(Site, data["site"]), data["version"]


SITES: View[Site | None] = View("sites", render)
