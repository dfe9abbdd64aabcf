"""What the rate limiter's routes answer. For the document alone: no handler imports this."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from functions.edge.limits.algorithms import SLOT, Name
from functions.edge.limits.rules import MAX_IDENTITY
from functions.edge.validation import Schema
from functions.openapi import Answer, Capability, Operation
from functions.ratelimiter.asking import MAX_COST, MAX_ENDPOINT, MAX_HEADERS
from functions.ratelimiter.listing import DenialsQuery
from functions.ratelimiter.schemas import Method, NewRules, NoQuery, RulesQuery

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


RATELIMITER = Capability(
    name="ratelimiter",
    about="How often who may do what: rules in versions, and checks against the one that holds.",
    parameters={
        "version": {
            "schema": {"type": "string", "pattern": "^[1-9][0-9]{0,8}$"},
            "description": "The number of a version of the rules.",
        }
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
    },
)
