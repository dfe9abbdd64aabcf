"""POST /v1/links: gives out a code. One conditional write, and reads only where it collides."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from functions.edge.command import context, etag, idempotency_key
from functions.edge.http import Answer, Request, Route, http
from functions.edge.problem import Problem
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.secrets import Secrets
from functions.edge.settings import settings
from functions.edge.validation import parse_body
from functions.kernel.codec import to_json
from functions.kernel.commands import Commands
from functions.kernel.dynamo import DynamoStore
from functions.kernel.errors import AlreadyExists
from functions.shortener import targets
from functions.shortener.decider import DAY_MS, DECIDER
from functions.shortener.issuing import Issuer
from functions.shortener.schemas import NewLink, link_body
from functions.shortener.routing import path
from functions.shortener.wishing import wish


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str
    secret_arn: str
    public_url: str
    default_lifetime_days: int


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Settings, runtime.env)
    backoff = runtime.backoff()
    store = DynamoStore(runtime.client("dynamodb"), config.events_table, backoff)
    secrets = Secrets(runtime, config.secret_arn)
    issuer = Issuer(
        Commands(store, DECIDER, backoff), lambda: secrets.key("codes"), runtime.entropy
    )
    own_host = urlsplit(config.public_url).netloc

    def create(request: Request) -> Answer:
        body = parse_body(NewLink, request)
        explicit = body.model_dump(exclude_unset=True)
        surroundings = context(request, runtime, to_json(["POST /v1/links", explicit]))
        wished = wish(
            explicit,
            expires_at=surroundings.now + config.default_lifetime_days * DAY_MS,
            key=idempotency_key(request),
            accept=lambda url, field: targets.target(url, {own_host, request.host}, field),
        )
        try:
            issued = issuer.issue(wished, surroundings)
        except AlreadyExists as error:
            raise Problem(409, "alias_taken", "This alias is taken.") from error
        request.log.count("conflicts", issued.conflicts)
        return Answer(
            201 if issued.created else 200,
            link_body(issued.link, issued.version, config.public_url),
            {
                **etag(issued.version),
                "location": f"{config.public_url}{path(issued.link)}",
            },
        )

    return http(runtime, "shortener", {"POST /v1/links": Route(create, "shortener:write")})


handler = entry(build)
