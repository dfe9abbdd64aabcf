"""A run through everything that the functions of this capability may do, faults included."""

from __future__ import annotations

from functions.edge.validation import to_text
from tests.integration.analytics.bulk import drive_bulk, make_bulk
from tests.integration.analytics.costs import sites
from tests.integration.analytics.evaluating import drive_evaluation
from tests.integration.analytics.sites import ANY, OWNER, ask, make
from tests.integration.analytics.tending import drive_tending
from tests.integration.analytics.tracking import CHROME, DAY, HOUR, SECOND, send
from tests.integration.keeping import fail_and_heal
from tests.support.pump import Stack


def drive(stack: Stack) -> None:
    """Drives every function of analytics."""
    sites(stack)
    fail_and_heal(
        stack, "analytics", lambda: ask(stack, "DELETE", f"/{make(stack)}", 204, headers=ANY)
    )
    drive_bulk(stack)
    drive_evaluation(stack)
    drive_tending(stack)
    tell_and_ask(stack)


def tell_and_ask(stack: Stack) -> None:
    """Events of people who are known and who are not, from browsers and from servers; a row that
    somebody else was faster at; questions about all of it."""
    exact, bulk = make(stack), make_bulk(stack)
    # On a day of which there is no salt yet.
    stack.advance(DAY // SECOND)
    stack.cold_start()
    seen = {"page": "/hats", "ip": "192.0.2.1", "agent": CHROME}
    for site in (exact, bulk):
        events = [seen, {**seen, "user_id": "ada"}]
        ask(stack, "POST", f"/{site}/events", 202, json={"events": events})
    stack.drain()
    stack.advance(HOUR // SECOND)
    send(stack, exact, {"page": "/hats", "user_id": "ada"})
    faster = stack.faults.fail(
        "dynamodb", "PutItem", "ConditionalCheckFailedException", function="AnalyticsRoll", times=1
    )
    stack.drain()
    assert faster.fired
    now = stack.clock.now()
    # Of a day that is asked for in part, the rows are read of what its list names.
    span = {"from": to_text(now - now % HOUR), "to": to_text(now - now % HOUR + HOUR)}
    link = {"long_url": "https://example.com", "alias": "hat"}
    stack.request("POST", "/v1/links", user=OWNER, json=link)
    stack.request("GET", "/hat", headers={"user-agent": CHROME})
    stack.drain()
    for path, query in ((f"stats/{exact}", {"by": "page", **span}), ("links/hat/stats", {})):
        answer = stack.request("GET", f"/v1/{path}", user=OWNER, query=query)
        assert answer.status == 200, answer.text
