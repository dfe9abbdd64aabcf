"""ANY /gw/{name}/...: a request that is let through goes on to its upstream.

What it costs to refuse comes first: a path of tricks and a key that can be none cost no call, an
unknown key one query, and only what a key or an open upstream lets through counts against limits.
One after the other, on one connection: in parallel, a made-up key would cost three.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from hashlib import sha256
from typing import NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from functions.edge.http import Answer, Request, Route, http
from functions.edge.limits.adjuster import Adjuster
from functions.edge.limits.headers import quota, refusal
from functions.edge.limits.lists import same
from functions.edge.limits.rules import MAX_IDENTITY, Asked
from functions.edge.problem import Problem
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.settings import settings
from functions.kernel.dynamo import DynamoStore
from functions.kernel.errors import Conflict
from functions.ratelimiter import credentials, keys, upstreams
from functions.ratelimiter.asking import METHODS
from functions.ratelimiter.checking import Checking
from functions.ratelimiter.credentials import PREFIX
from functions.ratelimiter.forwarding import MAX_BODY, Call, Forwarder, Reply, too_large
from functions.ratelimiter.headers import KEY, OWN, Asker, to_client, to_upstream, went_through
from functions.ratelimiter.holding import HoldingRules
from functions.ratelimiter.keys import KEYS, Key
from functions.ratelimiter.paths import Place, place_of, seen_from_outside, tenant_of
from functions.ratelimiter.regions import WHOLE, buckets
from functions.ratelimiter.remembering import FRESH_MS, Remembered
from functions.ratelimiter.targets import target
from functions.ratelimiter.upstreams import UPSTREAMS, Upstream

DOUBTED_MS = 1000
"""So old at most is the key by which a secret is refused: it may be of a rotation since. Whoever
guesses secrets causes a query a second."""
RESERVE_MS = 1500
"""Of the function's time, what it takes to answer once an upstream was waited for."""
OCTETS = "application/octet-stream"
"""What a body is of which nobody says what it is (RFC 9110, 8.3)."""


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str
    buckets_table: str
    denials_queue_url: str
    allow_private_upstreams: str
    region_share: int = WHOLE


class Admitted(NamedTuple):
    """A request that may go to an upstream, as far as that and its key say."""

    tenant: str
    key: Key | None
    upstream: Upstream


class Taken(NamedTuple):
    """What a request took of the limits: the `quota` as it is told, and the request by whose `slot`
    it is in flight, None where no rule counts that."""

    quota: Mapping[str, str]
    slot: Asked | None


class Gateway:
    """The routes' function, with what one container remembers."""

    def __init__(self, runtime: Runtime, config: Settings) -> None:
        store = DynamoStore(runtime.client("dynamodb"), config.events_table)
        shared = buckets(runtime, config.buckets_table)
        self._runtime = runtime
        self._keys = Remembered(store, KEYS, runtime.now)
        self._upstreams = Remembered(store, UPSTREAMS, runtime.now)
        self._rules = HoldingRules(store, runtime.now, config.region_share)
        self._checking = Checking(runtime, shared, config.denials_queue_url)
        self._adjuster = Adjuster(shared, runtime.backoff(), hurried=True)
        self._private = config.allow_private_upstreams == "yes"
        self._forwarder = Forwarder(self._private)

    def forward(self, request: Request) -> Answer:
        """ANY"""
        place, method = _place(request), _method(request)
        body = _body(request)
        admitted = self._admitted(request, place)
        taken = self._taken(admitted.tenant, _asked(request, place, method, admitted), request)
        try:
            return self._exchanged(request, place, method, admitted, body, taken.quota)
        except Problem as problem:
            problem.headers.update(taken.quota)
            raise
        finally:
            self._release(admitted.tenant, taken, request)

    # ---- Who may ---------------------------------------------------------------------------------

    def _admitted(self, request: Request, place: Place) -> Admitted:
        """Whom the request is for, if its key lets it through. Without a key nobody learns which
        upstreams there are, but for open ones."""
        text = request.headers.get(KEY, "")
        if not text.startswith(PREFIX):
            tenant = tenant_of(place)
            upstream = self._upstream(tenant, place.name)
            if upstream is None or upstream.authentication == "key":
                raise _unauthenticated()
            return Admitted(tenant, None, upstream)
        tenant, key = self._key(text)
        if place.tenant not in (None, tenant):
            raise _unauthenticated()
        upstream = self._upstream(tenant, place.name)
        if upstream is None:
            raise Problem(404, "not_found", "There is no such upstream.")
        if upstream.authentication == "key" and not {"gw:*", f"gw:{place.name}"} & {*key.scopes}:
            raise Problem(403, "missing_scope", f"The key lacks the scope gw:{place.name}.")
        return Admitted(tenant, key, upstream)

    def _key(self, text: str) -> tuple[str, Key]:
        """A key that is good, and its tenant. Raises a 401 Problem, the same whatever is wrong."""
        shown = credentials.read(text)
        if shown is None:
            raise _unauthenticated()
        stream, now = keys.stream_id(shown.tenant, shown.id), self._runtime.now()
        for fresh_ms in (FRESH_MS, DOUBTED_MS):
            key = self._keys.of(stream, fresh_ms)
            if key is None or not key.live(now):
                break
            if credentials.accepted(shown, key, now):
                return shown.tenant, key
        raise _unauthenticated()

    def _upstream(self, tenant: str, name: str) -> Upstream | None:
        found = self._upstreams.of(upstreams.stream_id(tenant, name))
        return None if found is None or found.removed_at is not None else found

    # ---- How often -------------------------------------------------------------------------------

    def _taken(self, tenant: str, asked: Asked, request: Request) -> Taken:
        """What the tenant's rules let through. Raises 403, 429 and 503 Problems."""
        book, now = self._rules.of(tenant), self._runtime.now()
        decisions = self._checking.decide(tenant, book, asked, now, request.log)
        if problem := refusal(decisions, now):
            raise problem
        told = {name.lower(): value for name, value in quota(decisions, now).items()}
        slots = [each.slot for each in decisions if each.slot is not None]
        return Taken(told, asked._replace(slot=slots[0]) if slots else None)

    def _release(self, tenant: str, taken: Taken, request: Request) -> None:
        """Gives back what was in flight. Where that fails it ends by itself, and the answer, which
        is there, is worth more."""
        if taken.slot is None:
            return
        try:
            rules = self._rules.of(tenant).rules
            self._adjuster.release(tenant, rules, taken.slot, self._runtime.now())
        except (BotoCoreError, ClientError, Conflict):
            request.log.count("unreleased_slots")

    # ---- And on ----------------------------------------------------------------------------------

    def _exchanged(
        self,
        request: Request,
        place: Place,
        method: str,
        admitted: Admitted,
        body: bytes | None,
        quota: Mapping[str, str],
    ) -> Answer:
        upstream, to = admitted.upstream, target(admitted.upstream.url, self._private)
        asker = Asker(_address(request), request.host, request.log.correlation, _says(admitted.key))
        ours = request.headers.get(KEY, "").startswith(PREFIX)
        fields = to_upstream(
            request.headers, request.event.get("cookies") or [], upstream.headers, asker, not ours
        )
        asked = place.target(to.path, request.event.get("rawQueryString", ""))
        call = Call(to, method, asked, {"host": to.authority, **fields}, body)
        began = self._runtime.now()
        millis = min(upstream.timeout_ms, request.remaining_ms - RESERVE_MS)
        try:
            reply = self._forwarder.send(call, max(millis, 1) / 1000)
        finally:
            request.log.add(upstream_ms=self._runtime.now() - began)
        return _answered(reply, request, place, call, quota)


def _answered(
    reply: Reply, request: Request, place: Place, call: Call, quota: Mapping[str, str]
) -> Answer:
    returned = to_client(reply.headers, request.host, place.prefix)
    if returned is None:
        raise too_large()
    headers = {**returned.headers, **quota}
    origin = f"{call.to.scheme}://{call.to.authority}"
    for name in ("location", "content-location"):
        if name in headers:
            headers[name] = seen_from_outside(
                headers[name], f"{origin}{call.target}", call.to.url, place.prefix
            )
    if call.method == "HEAD" or reply.status in (204, 304):
        return Answer(reply.status, None, headers, cookies=returned.cookies)
    media = headers.pop("content-type", OCTETS)
    return Answer(reply.status, reply.body, headers, media, returned.cookies)


def _place(request: Request) -> Place:
    """Raises 400, 401 and 508 Problems."""
    place = place_of(request.event["rawPath"], request.path["name"])
    if place is None:
        raise _unauthenticated()
    if went_through(request.headers, request.host):
        raise Problem(508, "loop", "The request came through this gateway before.")
    return place


def _method(request: Request) -> str:
    method = str(request.event["requestContext"]["http"]["method"]).upper()
    if method not in METHODS:
        allowed = ", ".join(sorted(METHODS))
        detail = f"The gateway forwards {allowed}."
        raise Problem(405, "method_not_allowed", detail, headers={"Allow": allowed})
    return method


def _body(request: Request) -> bytes | None:
    """The body as it was sent. Raises a 413 Problem, and a 400 one."""
    text = request.event.get("body")
    if not text:
        return None
    try:
        encoded = request.event.get("isBase64Encoded")
        body = base64.b64decode(text) if encoded else str(text).encode()
    except ValueError as error:
        raise Problem(400, "bad_body", "The body is none.") from error
    if len(body) > MAX_BODY:
        raise Problem(413, "too_large", f"The body is above {MAX_BODY} bytes.")
    return body


def _address(request: Request) -> str:
    return str(request.event["requestContext"]["http"].get("sourceIp", ""))


def _asked(request: Request, place: Place, method: str, admitted: Admitted) -> Asked:
    """The request as rules see it. A header of the key is nobody's identity."""
    identities = {
        f"header:{name}": _named(value)
        for name, value in request.headers.items()
        if value and name != KEY
    }
    identities["tenant"] = admitted.tenant
    if request.network:
        identities["ip"] = request.network
    tier = "free"
    if admitted.key is not None:
        identities["api_key"], tier = admitted.key.id, admitted.key.tier
    address = _address(request) if request.network else None
    return Asked(place.endpoint, method, identities, tier, address=address)


def _named(value: str) -> str:
    """Whom a header's value names. Of a long one the beginning may be everybody's."""
    return value if len(value) <= MAX_IDENTITY else sha256(same(value).encode()).hexdigest()


def _says(key: Key | None) -> dict[str, str]:
    if key is None:
        return {}
    told = {"key": key.id, "tier": key.tier, "scopes": " ".join(key.scopes)}
    return {f"{OWN}{name}": value for name, value in told.items()}


def _unauthenticated() -> Problem:
    detail = f"A key that is good is required, in {KEY}."
    challenge = {"WWW-Authenticate": 'ApiKey realm="gateway"'}
    return Problem(401, "unauthenticated", detail, headers=challenge)


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    gateway = Gateway(runtime, settings(Settings, runtime.env))
    routes = {
        "ANY /gw/{name}": Route(gateway.forward, scope=None, service=True),
        "ANY /gw/{name}/{proxy+}": Route(gateway.forward, scope=None, service=True),
    }
    return http(runtime, "ratelimiter", routes)


handler = entry(build, hurried=True)
