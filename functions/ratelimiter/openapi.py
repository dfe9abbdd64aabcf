"""What the rate limiter's routes answer. For the document alone: no handler imports this."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from functions.edge.limits.algorithms import SLOT, Name
from functions.edge.limits.rules import MAX_IDENTITY
from functions.edge.limits.validity import Method
from functions.edge.validation import Schema
from functions.openapi import ETAG, LOCATION, Answer, Capability, Operation
from functions.ratelimiter.asking import MAX_COST, MAX_ENDPOINT, MAX_HEADERS
from functions.ratelimiter.credentials import KEY_ID
from functions.ratelimiter.listing import DenialsQuery
from functions.ratelimiter.paths import UPSTREAM
from functions.ratelimiter.registering import NewKey, NewUpstream, Rotation, TenantPageQuery
from functions.ratelimiter.schemas import NewRules, NoQuery, RulesQuery
from functions.ratelimiter.upstreams import Authentication

READ, WRITE, OPS = "ratelimiter:read", "ratelimiter:write", "ops"

Slot = Annotated[str, Field(pattern=f"^[0-9a-f]{{{2 * SLOT}}}$")]
Text = Annotated[str, Field(min_length=1, max_length=MAX_IDENTITY)]


class Served(Schema):
    """A request that somebody serves: what it is for, and whose it is. At least one of `user`,
    `ip`, `api_key`, `tenant` and `headers` says so."""

    endpoint: Annotated[str, Field(pattern="^/", max_length=MAX_ENDPOINT)]
    method: Method = "GET"
    tier: Annotated[str, Field(min_length=1, max_length=50)] = "free"
    user: Text | None = None
    ip: Text | None = None
    api_key: Text | None = None
    tenant: Text | None = None
    headers: Annotated[dict[str, Text], Field(max_length=MAX_HEADERS)] | None = None


class Check(Served):
    """A request that somebody is about to serve, and what it costs."""

    cost: Annotated[int, Field(ge=1, le=MAX_COST)] = 1


class Adjust(Served):
    """A request that somebody has served. Either a `cost`, which is charged as well, however little
    is left, or where it is negative given back; it takes an Idempotency-Key. Or the `slot` that its
    check has told, which is given back."""

    cost: Annotated[int, Field(ge=-MAX_COST, le=MAX_COST)] | None = None
    slot: Slot | None = None


class LimitState(BaseModel):
    """How one limit stands. `allowed` is null where it could not be counted; `delay_ms` is how long
    to hold the request back, where the rule is a queue; `slot` what to give back afterwards, where
    it counts what is in flight."""

    rule: str
    shadow: bool
    allowed: bool | None
    limit: int
    window_seconds: int
    remaining: int | None = None
    reset: Annotated[int | None, Field(description="Epoch seconds.")] = None
    delay_ms: int | None = None
    slot: Slot | None = None


class Checked(BaseModel):
    """The request may go on; the limits that it came under, in the order of the rules. With a
    `slot`, POST /v1/adjust takes it once the request is served."""

    allowed: Literal[True]
    limits: list[LimitState]
    slot: Slot | None = None


class Adjusted(BaseModel):
    """The limits that were adjusted, and how they stand now: `allowed` as long as any remains."""

    limits: list[LimitState]


class ShownRule(BaseModel):
    """A rule; `window` is in seconds."""

    name: str
    endpoint: str
    limit: int
    window: int
    methods: list[Method]
    identifiers: list[str]
    tier: str | None
    algorithm: Name
    burst: int | None
    cost: int
    fail: Literal["open", "closed"]
    deadline_ms: int
    shadow: bool
    lease: int
    shards: int


ShownEntry = Annotated[dict[str, str], Field(min_length=1, max_length=1)]
"""Somebody on a list: an identity by its kind."""


class RulesVersion(BaseModel):
    """A version that was published, and what tells its rules from others."""

    version: int
    digest: str


class ShownRules(BaseModel):
    """One version's rules, which one holds, and which there are, oldest first."""

    version: int | None
    active: int | None
    versions: list[RulesVersion]
    rules: list[ShownRule]
    allow: list[ShownEntry]
    deny: list[ShownEntry]


class ShownTally(BaseModel):
    """What one rule denied one identity on one day, or would have as a shadow. `identity` is of
    IPv6 a network, of keys and headers a digest, and null where only the log knew of it."""

    rule: str
    kind: str
    identity: str | None
    shadow: bool
    denied: Annotated[int, Field(ge=1)]
    samples: Annotated[int, Field(ge=1, description="Messages that told of it.")]
    first_at: datetime
    last_at: datetime
    method: str
    endpoint: str | None


class ShownDenials(BaseModel):
    """A page of a day's denials, the highest first; `next_cursor` is null on the last."""

    day: date
    items: list[ShownTally]
    next_cursor: str | None


class ShownKey(BaseModel):
    """An API key, without a secret. `older_until` is when each of its older secrets ends."""

    id: str
    name: str
    scopes: list[str]
    tier: str
    created_at: datetime
    expires_at: datetime | None
    rotated_at: datetime | None
    older_until: list[datetime]
    version: Annotated[int, Field(ge=1)]


class ToldKey(ShownKey):
    """A key with its newest secret: `key` is what to send in X-Api-Key. It is told now, to a repeat
    of the request for a day, and is null to a later one."""

    key: str | None


class KeyPage(BaseModel):
    """A page of keys, newest first; `next_cursor` is null on the last."""

    items: list[ShownKey]
    next_cursor: str | None


class ShownUpstream(BaseModel):
    """An upstream; `headers` are the names of those that it is always sent."""

    name: str
    url: str
    timeout_ms: int
    authentication: Authentication
    headers: list[str]
    created_at: datetime
    version: Annotated[int, Field(ge=1)]


class UpstreamPage(BaseModel):
    """A page of upstreams, newest first; `next_cursor` is null on the last."""

    items: list[ShownUpstream]
    next_cursor: str | None


MISSING = {404: ("not_found",), 410: ("gone",)}

RATELIMITER = Capability(
    name="ratelimiter",
    about="How often who may do what: rules in versions, and checks against the one that holds."
    " API keys, and the upstreams that `ANY /gw/{name}/...` forwards to: what those answer is"
    " theirs to describe.",
    parameters={
        "version": {
            "schema": {"type": "string", "pattern": "^[1-9][0-9]{0,8}$"},
            "description": "The number of a version of the rules.",
        },
        "id": {
            "schema": {"type": "string", "pattern": KEY_ID},
            "description": "The id of an API key.",
        },
        "name": {
            "schema": {"type": "string", "pattern": UPSTREAM},
            "description": "The name of an upstream.",
        },
    },
    operations={
        "PUT /v1/rules": Operation(
            id="publishRules",
            summary="Publish a next version of your tenant's rules; it holds once it is activated.",
            scope=OPS,
            body=NewRules,
            query=NoQuery,
            command=True,
            answers={200: Answer("The version; the newest if that is the same.", ShownRules)},
            problems={409: ("conflict",)},
        ),
        "GET /v1/rules": Operation(
            id="getRules",
            summary="The rules that hold, or those of a version.",
            scope=READ,
            query=RulesQuery,
            answers={200: Answer("The rules.", ShownRules)},
            problems={404: ("not_found",)},
        ),
        "POST /v1/rules/{version}/activate": Operation(
            id="activateRules",
            summary="Have a version hold, at once and whole; an earlier one is a rollback.",
            scope=OPS,
            query=NoQuery,
            command=True,
            answers={200: Answer("It holds.", ShownRules)},
            problems={404: ("not_found",), 409: ("conflict",)},
        ),
        "POST /v1/check": Operation(
            id="check",
            summary="Whether a request may go on; if so, it has taken of all its limits.",
            scope=WRITE,
            body=Check,
            query=NoQuery,
            answers={200: Answer("It may.", Checked)},
            problems={403: ("denied",), 429: ("rate_limited",)},
        ),
        "POST /v1/adjust": Operation(
            id="adjust",
            summary="Charge more for a request that was served, give back, or free its slot.",
            scope=WRITE,
            body=Adjust,
            query=NoQuery,
            command=True,
            answers={200: Answer("It is done, were it before.", Adjusted)},
            problems={409: ("conflict",), 428: ("idempotency_key_required",)},
        ),
        "GET /v1/denials": Operation(
            id="listDenials",
            summary="Whom your tenant's rules denied on a day, by last time or by number.",
            scope=READ,
            query=DenialsQuery,
            answers={200: Answer("A page.", ShownDenials)},
            problems={400: ("bad_cursor",)},
        ),
        "POST /v1/keys": Operation(
            id="createKey",
            summary="Make an API key for your tenant's upstreams. Its secret is told this once.",
            scope=OPS,
            body=NewKey,
            query=NoQuery,
            command=True,
            answers={201: Answer("The key.", ToldKey, (ETAG, LOCATION))},
            problems={409: ("conflict",)},
        ),
        "GET /v1/keys": Operation(
            id="listKeys",
            summary="Your tenant's keys that were not revoked.",
            scope=READ,
            query=TenantPageQuery,
            answers={200: Answer("A page.", KeyPage)},
            problems={400: ("bad_cursor",)},
        ),
        "GET /v1/keys/{id}": Operation(
            id="getKey",
            summary="One key.",
            scope=READ,
            query=NoQuery,
            answers={200: Answer("The key.", ShownKey, (ETAG,))},
            problems=MISSING,
        ),
        "POST /v1/keys/{id}/rotate": Operation(
            id="rotateKey",
            summary="Give a key another secret; the older ones stay good for a while.",
            scope=OPS,
            body=Rotation,
            query=NoQuery,
            command=True,
            conditional=True,
            answers={200: Answer("The key.", ToldKey, (ETAG,))},
            problems={**MISSING, 409: ("conflict",)},
        ),
        "DELETE /v1/keys/{id}": Operation(
            id="revokeKey",
            summary="End a key: for the gateway within half a minute.",
            scope=OPS,
            query=NoQuery,
            command=True,
            conditional=True,
            answers={204: Answer("It is revoked.")},
            problems={**MISSING, 409: ("conflict",)},
        ),
        "PUT /v1/upstreams/{name}": Operation(
            id="setUpstream",
            summary="Have the gateway forward to a base URL; one that is there takes an If-Match.",
            scope=OPS,
            body=NewUpstream,
            query=NoQuery,
            command=True,
            answers={200: Answer("The upstream.", ShownUpstream, (ETAG,))},
            problems={
                404: ("not_found",),
                409: ("conflict",),
                412: ("version_mismatch",),
                428: ("if_match_required",),
            },
        ),
        "GET /v1/upstreams": Operation(
            id="listUpstreams",
            summary="Your tenant's upstreams.",
            scope=READ,
            query=TenantPageQuery,
            answers={200: Answer("A page.", UpstreamPage)},
            problems={400: ("bad_cursor",)},
        ),
        "GET /v1/upstreams/{name}": Operation(
            id="getUpstream",
            summary="One upstream.",
            scope=READ,
            query=NoQuery,
            answers={200: Answer("The upstream.", ShownUpstream, (ETAG,))},
            problems=MISSING,
        ),
        "DELETE /v1/upstreams/{name}": Operation(
            id="removeUpstream",
            summary="Have the gateway forward nothing more to it; its name is free again.",
            scope=OPS,
            query=NoQuery,
            command=True,
            conditional=True,
            answers={204: Answer("It is removed.")},
            problems={**MISSING, 409: ("conflict",)},
        ),
    },
)
