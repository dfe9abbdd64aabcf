"""The read model: every owner's links, newest first."""

from __future__ import annotations

from typing import Any

from functions.kernel.codec import from_data, to_data, to_json
from functions.kernel.store import Stream
from functions.kernel.views import Row, View
from functions.shortener.decider import DEFAULT_DOMAIN, Link


def owner_list(tenant: str, owner: str) -> str:
    """The name of the list that holds an owner's links."""
    return to_json([tenant, owner])


def render(stream: Stream[Link | None]) -> Row:
    """A link's row; a deleted link leaves its owner's list."""
    link = stream.state
    if link is None or link.deleted:
        return Row(due=None if link is None else link.due)
    return Row(
        data={"version": stream.version, "link": to_data(link)},
        list=owner_list(stream.tenant, link.owner),
        due=link.due,
        position=position(link),
    )


def position(link: Link) -> str:
    """A link's place in its owner's list: by age, then by code and domain, which make it unique."""
    on = "" if link.domain == DEFAULT_DOMAIN else f"@{link.domain}"
    return f"{link.created_at:015d}#{link.code}{on}"


def read(data: dict[str, Any]) -> tuple[Link, int]:
    """The link and its version from a row's data."""
    return from_data(Link, data["link"]), data["version"]


LINKS: View[Link | None] = View("links", render)
