"""GET /v1/commands/{id}: what became of a create that was accepted while the store was down."""

from __future__ import annotations

from typing import Any, NamedTuple

from functions.edge.cursor import Cursors
from functions.edge.http import Answer, Request, Route, http
from functions.edge.problem import TITLES
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.secrets import Secrets
from functions.edge.settings import settings
from functions.kernel.dynamo import DynamoStore
from functions.kernel.store import load
from functions.shortener.decider import DEFAULT_DOMAIN
from functions.shortener.outcomes import OUTCOMES, Outcome, stream_id
from functions.shortener.tickets import RETRY_SECONDS, read_ticket


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str
    secret_arn: str
    public_url: str


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Settings, runtime.env)
    store = DynamoStore(runtime.client("dynamodb"), config.events_table, runtime.backoff())
    cursors = Cursors(Secrets(runtime, config.secret_arn))

    def status(request: Request) -> Answer:
        caller = request.caller
        command = read_ticket(cursors, caller, request.path["id"])
        outcome = load(store, OUTCOMES, stream_id(caller.tenant, command)).state
        if outcome is None:
            return Answer(202, {"status": "pending"}, {"Retry-After": RETRY_SECONDS})
        return Answer(200, _body(outcome, config.public_url))

    return http(runtime, "shortener", {"GET /v1/commands/{id}": Route(status, "shortener:read")})


def _body(outcome: Outcome, public_url: str) -> dict[str, Any]:
    if outcome.code is not None:
        on = "" if outcome.domain == DEFAULT_DOMAIN else f"?domain={outcome.domain}"
        return {"status": "created", "link": f"{public_url}/v1/links/{outcome.code}{on}"}
    problem: dict[str, Any] = {
        "type": f"urn:millrace:problem:{outcome.kind}",
        "title": TITLES[outcome.status or 500],
        "status": outcome.status,
        "detail": outcome.detail,
    }
    if outcome.field is not None:
        problem["errors"] = [{"field": outcome.field, "reason": outcome.reason}]
    return {"status": "refused", "problem": problem}


handler = entry(build)
