"""/v1/keys: a tenant's API keys, made, rotated and revoked. A secret is shown when it is made."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any, NamedTuple

from functions.edge.command import context, etag, expected_versions, idempotency_key
from functions.edge.http import Answer, Request, Route, http
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.secrets import Secrets
from functions.edge.settings import settings
from functions.edge.validation import parse_body, parse_query
from functions.kernel.codec import to_json
from functions.kernel.commands import Commands, Context, Outcome
from functions.kernel.dynamo import DynamoStore
from functions.kernel.errors import AlreadyExists, Conflict, Gone, NotFound
from functions.kernel.store import load
from functions.ratelimiter import keys
from functions.ratelimiter.credentials import KEY_ID, digest_of, secret_of, written
from functions.ratelimiter.keys import DAY_MS, KEYS, CreateKey, Key, RevokeKey, RotateKey
from functions.ratelimiter.pages import Lists
from functions.ratelimiter.registering import NewKey, Rotation, shown
from functions.ratelimiter.schemas import NoQuery
from functions.ratelimiter.views import KEYS_VIEW, key_data

READ, OPS = "ratelimiter:read", "ops"
TOLD_AGAIN_MS = DAY_MS
"""For so long who made a secret, and did not hear the answer, may repeat the request."""
_ID = re.compile(KEY_ID, re.ASCII)


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str
    views_table: str
    secret_arn: str
    public_url: str


class Keys:
    """The routes' functions, in a given runtime."""

    def __init__(self, runtime: Runtime, config: Settings) -> None:
        backoff = runtime.backoff()
        self._runtime = runtime
        self._config = config
        self._secrets = Secrets(runtime, config.secret_arn)
        self._store = DynamoStore(runtime.client("dynamodb"), config.events_table, backoff)
        self._commands = Commands(self._store, KEYS, backoff)
        self._lists = Lists(runtime, config.views_table, self._secrets)

    def create(self, request: Request) -> Answer:
        """POST /v1/keys"""
        parse_query(NoQuery, request.query)
        body, now, key = parse_body(NewKey, request), self._runtime.now(), self._id(request)
        stream = keys.stream_id(request.caller.tenant, key)
        command = CreateKey(
            key,
            body.name,
            tuple(body.scopes),
            body.tier,
            digest_of(secret_of(self._secrets, stream, 1)),
            now,
            body.expires_at,
        )
        asked = self._context(request, body.model_dump(exclude_unset=True))
        try:
            outcome = self._commands.create(stream, command, asked)
        except AlreadyExists as error:
            # As good as never: the next try draws another id.
            raise Conflict(key) from error
        answer = self._told(stream, request, outcome)
        location = {"location": f"{self._config.public_url}/v1/keys/{key}"}
        return answer._replace(status=201, headers={**answer.headers, **location})

    def rotate(self, request: Request) -> Answer:
        """POST /v1/keys/{id}/rotate"""
        body, stream = parse_body(Rotation, request), _stream(request)

        def digest(number: int) -> str:
            return digest_of(secret_of(self._secrets, stream, number))

        command = RotateKey(digest, body.grace_seconds * 1000, self._runtime.now())
        outcome = self._change(request, command, body.model_dump())
        return self._told(stream, request, outcome)

    def revoke(self, request: Request) -> Answer:
        """DELETE /v1/keys/{id}"""
        self._change(request, RevokeKey(self._runtime.now()), None)
        return Answer(204)

    def one(self, request: Request) -> Answer:
        """GET /v1/keys/{id}"""
        parse_query(NoQuery, request.query)
        found = load(self._store, KEYS, _stream(request))
        if found.state is None:
            raise NotFound(found.id)
        if found.state.revoked_at is not None:
            raise Gone
        return Answer(200, _body(found.state, found.version), etag(found.version))

    def listing(self, request: Request) -> Answer:
        """GET /v1/keys"""
        return self._lists.page(KEYS_VIEW, request)

    def _change(
        self, request: Request, command: keys.Command, payload: object
    ) -> Outcome[Key | None]:
        parse_query(NoQuery, request.query)
        expected, asked = expected_versions(request), self._context(request, payload)
        outcome = self._commands.execute(_stream(request), command, asked, expected)
        request.log.count("conflicts", outcome.conflicts)
        return outcome

    def _told(self, stream: str, request: Request, outcome: Outcome[Key | None]) -> Answer:
        """The key with its newest secret, which a late repeat of the request does not get."""
        key = outcome.state
        assert key is not None
        text = None
        if self._runtime.now() - outcome.at < TOLD_AGAIN_MS:
            secret = secret_of(self._secrets, stream, key.number)
            text = written(request.caller.tenant, key.id, secret)
        return Answer(200, {**_body(key, outcome.version), "key": text}, etag(outcome.version))

    def _id(self, request: Request) -> str:
        """An id for the key that a request makes: the same for a repeat of the request, so that the
        store's condition tells it."""
        caller, given = request.caller, idempotency_key(request)
        if given is None:
            return self._runtime.entropy(10).hex()
        made = to_json([caller.tenant, caller.user, given])
        return blake2b(made.encode(), digest_size=10).hexdigest()

    def _context(self, request: Request, payload: object) -> Context:
        asked = [request.event["routeKey"], sorted(request.path.items()), payload]
        return context(request, self._runtime, to_json(asked))


def _stream(request: Request) -> str:
    """The key's stream. Raises NotFound for what cannot be an id, without a look-up."""
    key = request.path["id"]
    if not _ID.fullmatch(key):
        raise NotFound(key)
    return keys.stream_id(request.caller.tenant, key)


def _body(key: Key, version: int) -> dict[str, Any]:
    return {**shown(key_data(key)), "version": version}


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    made = Keys(runtime, settings(Settings, runtime.env))
    routes = {
        "POST /v1/keys": Route(made.create, OPS),
        "GET /v1/keys": Route(made.listing, READ),
        "GET /v1/keys/{id}": Route(made.one, READ),
        "POST /v1/keys/{id}/rotate": Route(made.rotate, OPS),
        "DELETE /v1/keys/{id}": Route(made.revoke, OPS),
    }
    return http(runtime, "ratelimiter", routes)


handler = entry(build)
