"""A tenant's lists, page by page."""

from __future__ import annotations

from typing import Any

from functions.edge.cursor import Cursors
from functions.edge.http import Answer, Request
from functions.edge.runtime import Runtime
from functions.edge.secrets import Secrets
from functions.edge.validation import parse_query
from functions.kernel.generations import LiveViews
from functions.kernel.views import View, ViewTable
from functions.ratelimiter.registering import TenantPageQuery, shown


class Lists:
    """The lists in a given runtime's view table."""

    def __init__(self, runtime: Runtime, table: str, secrets: Secrets) -> None:
        self._table = ViewTable(runtime.client("dynamodb"), table)
        self._live = LiveViews(self._table, runtime.now)
        self._cursors = Cursors(secrets)

    def page(self, view: View[Any], request: Request) -> Answer:
        """A page of what the caller's tenant has in a view."""
        query, tenant = parse_query(TenantPageQuery, request.query), request.caller.tenant
        scope = (view.name, tenant)
        below = self._cursors.read(query.cursor, *scope) if query.cursor else None
        found = self._table.newest(self._live.of(view), tenant, limit=query.limit, below=below)
        following = self._cursors.make(found.next, *scope) if found.next else None
        items = [shown(row) for row in found.rows]
        return Answer(200, {"items": items, "next_cursor": following})
