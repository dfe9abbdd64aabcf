"""PATCH, DELETE and transfer of /v1/links/{code}: one query and one conditional write each."""

from __future__ import annotations

from typing import NamedTuple

from functions.edge.command import context, etag, expected_versions, idempotency_key
from functions.edge.http import Answer, Request, Route, http
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.settings import settings
from functions.edge.validation import parse_body, parse_query
from functions.kernel.codec import to_json
from functions.kernel.commands import Commands, Outcome
from functions.kernel.dynamo import DynamoStore
from functions.shortener.admission import Admission
from functions.shortener.decider import (
    DECIDER,
    DEFAULT_DOMAIN,
    Command,
    DeleteLink,
    EditLink,
    Link,
    TransferLink,
)
from functions.shortener.passwords import sealed
from functions.shortener.routing import stream_of
from functions.shortener.schemas import DomainQuery, LinkPatch, Transfer, link_body
from functions.shortener.terms import kept


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str
    public_url: str


class Aim(NamedTuple):
    """Which stream a request is about, and at which versions: None for any."""

    stream: str
    expected: frozenset[int] | None


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Settings, runtime.env)
    backoff = runtime.backoff()
    store = DynamoStore(runtime.client("dynamodb"), config.events_table, backoff)
    commands = Commands(store, DECIDER, backoff)
    admission = Admission(runtime)

    def aim(request: Request) -> Aim:
        parse_query(DomainQuery, request.query)
        return Aim(stream_of(request), expected_versions(request))

    def execute(
        request: Request, aim: Aim, command: Command, payload: object
    ) -> Outcome[Link | None]:
        asked = to_json([request.event["routeKey"], request.path["code"], payload])
        outcome = commands.execute(
            aim.stream, command, context(request, runtime, asked), aim.expected
        )
        request.log.count("conflicts", outcome.conflicts)
        return outcome

    def patch(request: Request) -> Answer:
        changes = parse_body(LinkPatch, request).changes()
        aimed = aim(request)
        new = kept(changes, admission.accept(request), runtime.entropy)
        lost = admission.lost(request, on(request))
        signed = sealed(changes, request.caller.user, idempotency_key(request))
        return show(execute(request, aimed, EditLink(runtime.now(), new, lost), signed))

    def transfer(request: Request) -> Answer:
        owner = parse_body(Transfer, request).owner
        aimed = aim(request)
        refusal = admission.refusal(request, owner, on(request))
        return show(execute(request, aimed, TransferLink(owner, refusal), owner))

    def on(request: Request) -> str:
        return request.query.get("domain", DEFAULT_DOMAIN)

    def show(outcome: Outcome[Link | None]) -> Answer:
        assert outcome.state is not None
        body = link_body(outcome.state, outcome.version, config.public_url)
        return Answer(200, body, etag(outcome.version))

    def delete(request: Request) -> Answer:
        execute(request, aim(request), DeleteLink(runtime.now()), None)
        return Answer(204)

    routes = {
        "PATCH /v1/links/{code}": Route(patch, "shortener:write"),
        "DELETE /v1/links/{code}": Route(delete, "shortener:write"),
        "POST /v1/links/{code}/transfer": Route(transfer, "shortener:write"),
    }
    return http(runtime, "shortener", routes)


handler = entry(build)
