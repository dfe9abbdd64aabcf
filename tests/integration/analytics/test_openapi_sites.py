"""Every answer of the sites' routes is documented, and every documented answer is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from functions.analytics.openapi import ANALYTICS, READ, WRITE
from functions.analytics.schemas import NewFunnel, NewGoal, SitePatch
from functions.openapi import Json
from tests.integration.analytics.sites import ANY, FUNNEL, GOAL, UNKNOWN
from tests.integration.contract import Walk, documented
from tests.support.pump import Stack

CREATE, LIST, GET = "POST /v1/sites", "GET /v1/sites", "GET /v1/sites/{site}"
HISTORY, EDIT, DELETE = f"{GET}/history", "PATCH /v1/sites/{site}", "DELETE /v1/sites/{site}"
SET_GOAL, REMOVE_GOAL = "PUT /v1/sites/{site}/goals/{name}", "DELETE /v1/sites/{site}/goals/{name}"
SET_FUNNEL = "PUT /v1/sites/{site}/funnels/{name}"
REMOVE_FUNNEL = "DELETE /v1/sites/{site}/funnels/{name}"
ROUTES = {
    CREATE, LIST, GET, HISTORY, EDIT, DELETE, SET_GOAL, REMOVE_GOAL, SET_FUNNEL, REMOVE_FUNNEL,
}  # fmt: skip
BODIES: dict[str, Json] = {
    EDIT: {"name": "Other"},
    SET_GOAL: GOAL,
    REMOVE_GOAL: {},
    SET_FUNNEL: FUNNEL,
    REMOVE_FUNNEL: {},
    DELETE: {},
}


class Sites(Walk):
    """Walks the sites' routes; the live site is the first that it makes."""

    scopes = (READ, WRITE)
    bodies: ClassVar[Mapping[type, Json]] = {
        SitePatch: {"name": "Other"},
        NewGoal: {**GOAL, "pattern": "/new"},
        NewFunnel: {**FUNNEL, "window_seconds": 60},
    }
    body: ClassVar[Json] = {"name": "Shop"}

    def make(self) -> str:
        """A site's id."""
        made: str = self.ask(CREATE, 201, json={"name": "Shop", "properties": ["plan"]}).json()[
            "id"
        ]
        return made


def once(key: str) -> Json:
    return {"headers": {**ANY, "idempotency-key": key}}


def test_every_answer_is_documented_and_every_documented_answer_is_given(stack: Stack) -> None:
    walk = Sites(stack, {})
    live, gone = walk.make(), walk.make()
    walk.live = {"site": live, "name": "buy"}
    walk.ask(CREATE, 201, json={"name": "Shop"}, **once("c"))
    walk.ask(CREATE, 422, "idempotency_key_reused", json={"name": "Other"}, **once("c"))
    walk.ask(DELETE, 204, at={"site": gone}, headers=ANY)
    for key, body in BODIES.items():
        sent = {"json": body} if body else {}
        walk.ask(key, 404, "not_found", at={"site": UNKNOWN}, headers=ANY, **sent)
        walk.ask(key, 410, "gone", at={"site": gone}, headers=ANY, **sent)
    walk.ask(EDIT, 200, json={"name": "Store", "timezone": "Europe/Berlin"}, **once("e"))
    for key, body in {**BODIES, EDIT: {"name": "Third"}}.items():
        sent = {"json": body} if body else {}
        walk.ask(key, 422, "idempotency_key_reused", **sent, **once("e"))
    for each in (SET_GOAL, SET_FUNNEL):
        walk.ask(each, 200, json=BODIES[each], headers=ANY)
    walk.ask(GET, 200, query={"at": "1"})
    walk.ask(GET, 200)
    walk.ask(HISTORY, 200)
    for each in (REMOVE_GOAL, REMOVE_FUNNEL):
        walk.ask(each, 200, headers=ANY)
    for each in (SET_GOAL, SET_FUNNEL):
        walk.ask(each, 200, json=BODIES[each], headers=ANY)
    walk.ask(GET, 404, "not_found", at={"site": UNKNOWN})
    walk.ask(GET, 410, "gone", at={"site": gone})
    walk.ask(HISTORY, 200, query={"limit": "1"})
    walk.ask(HISTORY, 404, "not_found", at={"site": UNKNOWN})
    stack.drain()
    walk.ask(LIST, 200, query={"limit": "1"})
    for each in (LIST, HISTORY):
        walk.ask(each, 400, "bad_cursor", query={"cursor": "forged"})
    for key in ROUTES:
        walk.edges(key, ANALYTICS.operations[key])
    assert walk.contract.seen == {
        (key, *answer) for key in ROUTES for answer in documented(ANALYTICS.operations[key])
    }
