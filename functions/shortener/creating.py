"""Creating a link as a request's body asks, for the functions that take one such body or many."""

from __future__ import annotations

import json
from typing import NamedTuple

from functions.edge.command import context, idempotency_key
from functions.edge.http import Request, problem_of
from functions.edge.problem import Problem
from functions.edge.runtime import Runtime
from functions.edge.secrets import Secrets
from functions.kernel.codec import to_json
from functions.kernel.commands import Commands, Context
from functions.kernel.dynamo import DynamoStore
from functions.kernel.errors import AlreadyExists
from functions.shortener.admission import Admission
from functions.shortener.decider import DAY_MS, DECIDER
from functions.shortener.deferring import Deferred, packed
from functions.shortener.issuing import Issued, Issuer, Wish
from functions.shortener.passwords import sealed
from functions.shortener.schemas import NewLink
from functions.shortener.strategies import strategy
from functions.shortener.wishing import wish


class Settings(NamedTuple):
    """What these functions are told by their environment."""

    events_table: str
    secret_arn: str
    public_url: str
    default_lifetime_days: int
    commands_queue_url: str = ""


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
        self._queue_url = config.commands_queue_url
        self._admission = Admission(runtime)
        self._lifetime_ms = config.default_lifetime_days * DAY_MS

    def create(self, request: Request, body: NewLink, own_key: str | None = None) -> Issued:
        """The link that `body` asks for, with an idempotency key of its own where the request
        carries several. Raises a 409 Problem for a taken alias, and what the issuer raises."""
        return self._issue(request, *self._asked(request, body, own_key))

    def create_or_defer(self, request: Request, body: NewLink) -> Issued | Deferred:
        """The same; while the store is down, what was sent to the command queue instead."""
        wished, surroundings = self._asked(request, body, None)
        try:
            return self._issue(request, wished, surroundings)
        except Exception as error:
            if problem_of(error).kind != "unavailable":
                raise
        deferred = Deferred(wished, surroundings, self._issuer.tried)
        self._runtime.client("sqs").send_message(
            QueueUrl=self._queue_url, MessageBody=json.dumps(packed(deferred))
        )
        request.log.count("deferred_commands")
        return deferred

    def _asked(self, request: Request, body: NewLink, own_key: str | None) -> tuple[Wish, Context]:
        asked = body.model_dump(exclude_unset=True, exclude={"idempotency_key"})
        key = own_key or idempotency_key(request)
        # The same for one body and for one of many: a repeat in the other form is a repeat.
        payload = to_json(["POST /v1/links", sealed(asked, request.caller.user, key)])
        surroundings = context(request, self._runtime, payload, own_key)
        wished = wish(
            asked,
            expires_at=surroundings.now + self._lifetime_ms,
            key=key,
            accept=self._admission.accept(request),
            entropy=self._runtime.entropy,
        )
        return wished, surroundings

    def _issue(self, request: Request, wished: Wish, surroundings: Context) -> Issued:
        try:
            issued = self._issuer.issue(wished, surroundings)
        except AlreadyExists as error:
            raise Problem(409, "alias_taken", "This alias is taken.") from error
        request.log.count("conflicts", issued.conflicts)
        while self._reports:
            request.log.count(self._reports.pop())
        return issued
