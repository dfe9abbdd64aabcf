"""POST /v1/reports: anybody tells of a link. The answer is the same whether or not there is one."""

from __future__ import annotations

import hmac
from contextlib import suppress
from typing import NamedTuple

from functions.edge.http import Answer, Request, Route, http
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.secrets import Secrets
from functions.edge.settings import settings
from functions.edge.validation import parse_body
from functions.kernel.commands import Commands, Context
from functions.kernel.dynamo import DynamoStore
from functions.kernel.errors import AlreadyExists
from functions.kernel.store import load
from functions.shortener import decider, reports
from functions.shortener.decider import DAY_MS
from functions.shortener.moderation import NewReport, reported
from functions.shortener.reports import ReportLink
from functions.shortener.routing import is_own


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str
    secret_arn: str
    public_url: str


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Settings, runtime.env)
    backoff = runtime.backoff()
    store = DynamoStore(runtime.client("dynamodb"), config.events_table, backoff)
    commands = Commands(store, reports.DECIDER, backoff)
    secrets = Secrets(runtime, config.secret_arn)

    def report(request: Request) -> Answer:
        told = parse_body(NewReport, request)
        place = reported(
            told, config.public_url, lambda host: is_own(host, request, config.public_url)
        )
        if place is not None and _exists(store, *place):
            command = ReportLink(*place, told.reason, told.comment, runtime.now())
            # Once a day a reporter counts: whatever else is told of the link is left out.
            with suppress(AlreadyExists):
                commands.create(
                    reports.stream_id(*place, reporter(request)), command, surroundings(request)
                )
        return Answer(202, {})

    def surroundings(request: Request) -> Context:
        return Context(
            actor="public",
            now=runtime.now(),
            commit_id=runtime.entropy(12).hex(),
            correlation=request.log.correlation,
        )

    def reporter(request: Request) -> str:
        text = f"{runtime.now() // DAY_MS}#{request.network}"
        return hmac.digest(secrets.key("reporters"), text.encode(), "sha256")[:16].hex()

    return http(runtime, "shortener", {"POST /v1/reports": Route(report, scope=None)})


def _exists(store: DynamoStore, domain: str, code: str) -> bool:
    stream = decider.stream_id(domain, code)
    link = load(store, decider.DECIDER, stream, consistent=False).state
    return link is not None and not link.deleted


handler = entry(build)
