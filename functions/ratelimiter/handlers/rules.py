"""/v1/rules: a tenant's rules, published as versions, of which one holds."""

from __future__ import annotations

from typing import NamedTuple

from functions.edge.command import context
from functions.edge.http import Answer, Request, Route, http
from functions.edge.limits.rules import decode
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.settings import settings
from functions.edge.validation import parse_body, parse_query
from functions.kernel.codec import to_json
from functions.kernel.commands import Commands, Outcome
from functions.kernel.dynamo import DynamoStore
from functions.kernel.errors import AlreadyExists, NotFound
from functions.kernel.store import load
from functions.ratelimiter.decider import (
    DECIDER,
    ActivateRules,
    PublishRules,
    RuleSet,
    stream_id,
)
from functions.ratelimiter.schemas import NewRules, NoQuery, RulesQuery, digest, rules_body

READ, OPS = "ratelimiter:read", "ops"


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str


class Rules:
    """The routes' functions, in a given runtime."""

    def __init__(self, runtime: Runtime, config: Settings) -> None:
        backoff = runtime.backoff()
        self._runtime = runtime
        self._store = DynamoStore(runtime.client("dynamodb"), config.events_table, backoff)
        self._commands = Commands(self._store, DECIDER, backoff)

    def publish(self, request: Request) -> Answer:
        """PUT /v1/rules"""
        parse_query(NoQuery, request.query)
        text = parse_body(NewRules, request).text()
        stream = stream_id(request.caller.tenant)
        command, asked = PublishRules(text, digest(text)), context(request, self._runtime, text)
        try:
            outcome = self._commands.execute(stream, command, asked)
        except NotFound:
            outcome = self._first(stream, command, request, text)
        number = outcome.state.latest
        return Answer(200, rules_body(outcome.state, number, decode(outcome.state.newest)))

    def _first(
        self, stream: str, command: PublishRules, request: Request, text: str
    ) -> Outcome[RuleSet]:
        asked = context(request, self._runtime, text)
        try:
            return self._commands.create(stream, command, asked)
        except AlreadyExists:
            # Somebody else's were the first.
            return self._commands.execute(stream, command, asked)

    def activate(self, request: Request) -> Answer:
        """POST /v1/rules/{version}/activate"""
        parse_query(NoQuery, request.query)
        number, stream = _number(request), stream_id(request.caller.tenant)
        text = self._text(stream, self._load(stream), number)
        payload = to_json({"activate": number})
        outcome = self._commands.execute(
            stream, ActivateRules(number, text), context(request, self._runtime, payload)
        )
        return Answer(200, rules_body(outcome.state, number, decode(text)))

    def read(self, request: Request) -> Answer:
        """GET /v1/rules"""
        query: RulesQuery = parse_query(RulesQuery, request.query)
        stream = stream_id(request.caller.tenant)
        rules = self._load(stream)
        number = rules.active if query.version is None else query.version
        text = "[]" if number is None else self._text(stream, rules, number)
        return Answer(200, rules_body(rules, number, decode(text)))

    def _load(self, stream: str) -> RuleSet:
        return load(self._store, DECIDER, stream).state

    def _text(self, stream: str, rules: RuleSet, number: int) -> str:
        """The rules of a version: at hand, or where it was published. Raises NotFound."""
        if number == rules.active:
            return rules.holding
        _, _, version = rules.place(number)
        if number == rules.latest:
            return rules.newest
        return load(self._store, DECIDER, stream, version=version).state.newest


def _number(request: Request) -> int:
    text = request.path["version"]
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise NotFound(text)
    return int(text)


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    rules = Rules(runtime, settings(Settings, runtime.env))
    routes = {
        "PUT /v1/rules": Route(rules.publish, OPS),
        "GET /v1/rules": Route(rules.read, READ),
        "POST /v1/rules/{version}/activate": Route(rules.activate, OPS),
    }
    return http(runtime, "ratelimiter", routes)


handler = entry(build)
