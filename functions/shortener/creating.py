"""Creating a link as a request's body asks, for the functions that take one such body or many."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from functions.edge.command import context, idempotency_key
from functions.edge.http import Request
from functions.edge.problem import Problem
from functions.edge.runtime import Runtime
from functions.edge.secrets import Secrets
from functions.kernel.codec import to_json
from functions.kernel.commands import Commands
from functions.kernel.dynamo import DynamoStore
from functions.kernel.errors import AlreadyExists
from functions.shortener import targets
from functions.shortener.decider import DAY_MS, DECIDER
from functions.shortener.issuing import Issued, Issuer
from functions.shortener.schemas import NewLink
from functions.shortener.strategies import strategy
from functions.shortener.wishing import wish


class Settings(NamedTuple):
    """What these functions are told by their environment."""

    events_table: str
    secret_arn: str
    public_url: str
    default_lifetime_days: int


class Creator:
    """Creates links in a given runtime."""

    def __init__(self, runtime: Runtime, config: Settings) -> None:
        backoff = runtime.backoff()
        store = DynamoStore(runtime.client("dynamodb"), config.events_table, backoff)
        secrets = Secrets(runtime, config.secret_arn)
        self._runtime = runtime
        self._reports: list[str] = []
        self._issuer = Issuer(
            Commands(store, DECIDER, backoff),
            lambda: secrets.key("codes"),
            strategy(runtime, secrets, self._reports.append),
        )
        self._own_host = urlsplit(config.public_url).netloc
        self._lifetime_ms = config.default_lifetime_days * DAY_MS

    def create(self, request: Request, body: NewLink, own_key: str | None = None) -> Issued:
        """The link that `body` asks for, with an idempotency key of its own where the request
        carries several. Raises a 409 Problem for a taken alias, and what the issuer raises."""
        asked = body.model_dump(exclude_unset=True, exclude={"idempotency_key"})
        # The same for one body and for one of many: a repeat in the other form is a repeat.
        payload = to_json(["POST /v1/links", asked])
        surroundings = context(request, self._runtime, payload, own_key)
        hosts = {self._own_host, request.host}
        wished = wish(
            asked,
            expires_at=surroundings.now + self._lifetime_ms,
            key=own_key or idempotency_key(request),
            accept=lambda url, field: targets.target(url, hosts, field),
        )
        try:
            issued = self._issuer.issue(wished, surroundings)
        except AlreadyExists as error:
            raise Problem(409, "alias_taken", "This alias is taken.") from error
        request.log.count("conflicts", issued.conflicts)
        while self._reports:
            request.log.count(self._reports.pop())
        return issued
