"""PATCH, DELETE and transfer of /v1/links/{code}: one query and one conditional write each."""

from __future__ import annotations

from typing import NamedTuple

from functions.edge.command import context, etag, expected_versions
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
    Command,
    DeleteLink,
    EditLink,
    Link,
    TransferLink,
)
from functions.shortener.routing import stream_of
from functions.shortener.schemas import DomainQuery, LinkPatch, Transfer, link_body
from functions.shortener.terms import kept


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str
    public_url: str


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Settings, runtime.env)
    backoff = runtime.backoff()
    store = DynamoStore(runtime.client("dynamodb"), config.events_table, backoff)
    commands = Commands(store, DECIDER, backoff)
    admission = Admission(runtime)

    def execute(
        request: Request, command: Command, payload: object, expected: frozenset[int] | None
    ) -> Outcome[Link | None]:
        code = request.path["code"]
        parse_query(DomainQuery, request.query)
        outcome = commands.execute(
            stream_of(request),
            command,
            context(request, runtime, to_json([request.event["routeKey"], code, payload])),
            expected,
        )
        request.log.count("conflicts", outcome.conflicts)
        return outcome

    def patch(request: Request) -> Answer:
        changes = parse_body(LinkPatch, request).changes()
        expected = expected_versions(request)
        new = kept(changes, admission.accept(request))
        return show(execute(request, EditLink(runtime.now(), new), changes, expected))

    def transfer(request: Request) -> Answer:
        owner = parse_body(Transfer, request).owner
        expected = expected_versions(request)
        admission.check_owner(request)
        return show(execute(request, TransferLink(owner), owner, expected))

    def show(outcome: Outcome[Link | None]) -> Answer:
        assert outcome.state is not None
        body = link_body(outcome.state, outcome.version, config.public_url)
        return Answer(200, body, etag(outcome.version))

    def delete(request: Request) -> Answer:
        execute(request, DeleteLink(runtime.now()), None, expected_versions(request))
        return Answer(204)

    routes = {
        "PATCH /v1/links/{code}": Route(patch, "shortener:write"),
        "DELETE /v1/links/{code}": Route(delete, "shortener:write"),
        "POST /v1/links/{code}/transfer": Route(transfer, "shortener:write"),
    }
    return http(runtime, "shortener", routes)


handler = entry(build)
