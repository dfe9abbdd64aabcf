"""GET /v1/denials: whom a tenant's rules denied on a day, how often and when."""

from __future__ import annotations

from typing import NamedTuple

from functions.edge.cursor import Cursors
from functions.edge.http import Answer, Request, Route, http
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.secrets import Secrets
from functions.edge.settings import settings
from functions.edge.validation import parse_query
from functions.ratelimiter.listing import DenialsQuery, tally_body
from functions.ratelimiter.tallies import Tallies, day_of

READ = "ratelimiter:read"


class Settings(NamedTuple):
    """What the function is told by its environment."""

    tallies_table: str
    secret_arn: str


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Settings, runtime.env)
    tallies = Tallies(runtime.client("dynamodb"), config.tallies_table, runtime.now)
    cursors = Cursors(Secrets(runtime, config.secret_arn))

    def listing(request: Request) -> Answer:
        query: DenialsQuery = parse_query(DenialsQuery, request.query)
        tenant = request.caller.tenant
        scope = ("denials", tenant, query.asked)
        day, after = query.day or day_of(runtime.now()), None
        if query.cursor:
            # Who pages on past midnight stays in the day that the first page was of.
            day, place, key = cursors.read(query.cursor, *scope)
            after = (place, key)
        found = tallies.look(tenant, day, query.sort, query.filter, query.limit, after)
        following = cursors.make([day, *found.next], *scope) if found.next else None
        items = [tally_body(each) for each in found.tallies]
        return Answer(200, {"day": day, "items": items, "next_cursor": following})

    return http(runtime, "ratelimiter", {"GET /v1/denials": Route(listing, READ)})


handler = entry(build)
