"""The audience: whose a short link is, and so who may see its clicks. Kept from what the shortener
tells, contracts/shortener; no other capability's table is read."""

from __future__ import annotations

from typing import NamedTuple

from functions.kernel.codec import Data
from functions.kernel.store import Stream
from functions.kernel.views import Row, View, ViewTable

TYPES = ("LinkCreated", "LinkChanged", "LinkTransferred", "LinkDeleted")
SCHEMA = 1
"""The newest schema of each that is understood here."""
OVER = ("deleted", "purged")


class Audience(NamedTuple):
    """Whose a link is; nobody's once it is purged. `created_at` is epoch milliseconds."""

    tenant: str
    domain: str
    code: str
    created_at: int
    deleted: bool
    owner: str | None = None


def render(link: Stream[Data]) -> Row:
    """A link's row, from its public state."""
    told = link.state
    audience = Audience(
        tenant=link.tenant,
        domain=told["domain"],
        code=told["code"],
        created_at=told["created_at"],
        deleted=told["state"] in OVER,
        owner=told.get("owner"),
    )
    return Row({name: value for name, value in audience._asdict().items() if value is not None})


AUDIENCE: View[Data] = View("audience", render)


def find(table: ViewTable, domain: str, code: str) -> Audience | None:
    """The audience of a link; None where none was told of. Eventually consistent: for some seconds
    after a change it is the former one."""
    row = table.row(AUDIENCE, f"link#{domain}#{code}")
    return None if row is None else Audience(**row[1])
