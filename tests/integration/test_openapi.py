"""The document is what the code says, and every answer is as the document says.

`make openapi` writes docs/openapi.json anew.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar

import pytest

from functions.edge.validation import to_text
from functions.kernel.commands import Commands, Context
from functions.kernel.dynamo import DynamoStore
from functions.openapi import Capability, Json, document
from functions.shortener.decider import (
    DECIDER,
    DEFAULT_DOMAIN,
    Moderate,
    Standing,
    stream_id,
)
from functions.shortener.moderation import BanQuery, NewBan, NewDomain, NewReport, NewStanding
from functions.shortener.openapi import OPS, READ, SHORTENER, WRITE
from functions.shortener.schemas import NewLinks, Transfer
from tests.integration.contract import PAGE, Walk, documented
from tests.support.deployment import routes_of
from tests.support.handlers import ROOT
from tests.support.http_api import Response
from tests.support.pump import Stack
from tests.support.template import Template

OWNER = "alice"
TARGET = "https://example.com/"


def capabilities() -> list[Capability]:
    """The tables of all capabilities: SHORTENER in functions/shortener/openapi.py, and so on."""
    names = sorted(path.parent.name for path in ROOT.glob("functions/*/openapi.py"))
    return [getattr(import_module(f"functions.{name}.openapi"), name.upper()) for name in names]


def template_routes() -> dict[str, bool]:
    """Each route key of the templates, and whether it needs a token; what the gateway forwards is
    for the upstreams to describe."""
    family = Template(ROOT / "template.yaml", {}).family()
    routes = [route for each in family for route in routes_of(each)]
    return {route.key: route.needs_token for route in routes if route.method != "ANY"}


def generated() -> str:
    """docs/openapi.json."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    described = document(version, template_routes(), capabilities())
    return json.dumps(described, indent=2, ensure_ascii=False) + "\n"


def published() -> Json:
    """The document as it is checked in."""
    described: Json = json.loads(PAGE.read_text())
    return described


def test_the_document_is_as_published(pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--write-openapi"):
        PAGE.write_text(generated())
    assert PAGE.read_text() == generated()


def test_its_routes_are_the_templates_and_the_public_ones_alone_need_no_token() -> None:
    described = {
        f"{method.upper()} {path}": operation["security"] != []
        for path, methods in published()["paths"].items()
        for method, operation in methods.items()
    }
    assert described == template_routes()


def test_a_route_without_a_table_is_not_left_out_silently() -> None:
    with pytest.raises(ValueError, match="GET /v1/new"):
        document("1", {**template_routes(), "GET /v1/new": True}, capabilities())


def test_a_table_and_a_template_agree_on_what_is_public() -> None:
    with pytest.raises(ValueError, match="GET /v1/links needs a token"):
        document("1", {**template_routes(), "GET /v1/links": False}, capabilities())


def test_a_time_comes_in_as_text_and_null_clears_but_the_target() -> None:
    fields = published()["components"]["schemas"]["LinkPatch"]["properties"]
    assert {"type": "string", "format": "date-time"} in fields["expires_at"]["anyOf"]
    nullable = {
        name for name, field in fields.items() if {"type": "null"} in field.get("anyOf", [])
    }
    assert nullable == fields.keys() - {"long_url"}
    assert not [name for name, field in fields.items() if "default" in field]


NEW = {"long_url": "https://example.com/other"}
HELD, FREE = "held.example", "free.example"
"""A host that is banned and claimed, and one that is neither."""
LIFTED = {"kind": "host", "value": HELD}
"""The query that ends the host's ban."""
ALL = {"custom:scopes": f"{READ} {WRITE} {OPS}"}
WHOLE: dict[type, Json] = {
    NewLinks: {"links": [NEW]},
    Transfer: {"owner": "bob"},
    NewStanding: {"standing": "quarantined"},
    NewBan: {"kind": "host", "value": FREE, "reason": "spam"},
    NewDomain: {"owner": "bob"},
    NewReport: {"code": "live", "reason": "spam"},
}
"""Bodies that are right; NEW is, unless its schema is named here."""
TERMS = {
    "not_before": "1971-01-01T00:00:00Z",
    "expires_at": "2027-01-01T00:00:00Z",
    "fallback_url": "https://example.com/over",
    "max_clicks": 5,
    "password": "sesame",
    "rules": [{"country": ["AT"], "to": [{"url": "https://example.com/at", "weight": 2}]}],
    "tags": ["spring"],
    "title": "Spring",
    "redirect_status": 307,
}
"""Every term that a link can have."""
CREATE, LIST, GET = "POST /v1/links", "GET /v1/links", "GET /v1/links/{code}"
STATUS = "GET /v1/commands/{id}"
HISTORY, EDIT, DELETE = f"{GET}/history", "PATCH /v1/links/{code}", "DELETE /v1/links/{code}"
BULK, EXPORT, TRANSFER = f"{CREATE}/bulk", f"{LIST}/export", f"{CREATE}/{{code}}/transfer"
QR = "GET /{code}/qr"
FOLLOW, PEEK, UNLOCK = "GET /{code}", "HEAD /{code}", "POST /{code}"
PERSON = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0"}
LIVE, GONE, UNKNOWN = "live", "gone", "unknown"


class Links(Walk):
    """Walks the shortener's routes; `code` and `host` go into their paths."""

    owner = OWNER
    scopes = (READ, WRITE, OPS)
    bodies: ClassVar[Mapping[type, Json]] = WHOLE
    body: ClassVar[Json] = NEW
    queries: ClassVar[Mapping[type, Json]] = {BanQuery: LIFTED}

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack, {"code": LIVE})
        self.ticket = "root.forged"

    def ask(
        self,
        key: str,
        status: int,
        kind: str = "",
        *,
        at: Mapping[str, str] | None = None,
        code: str = "",
        host: str = "",
        **sent: Any,
    ) -> Response:
        """One request to a route of this code, or this host."""
        named = {name: given for name, given in (("code", code), ("host", host)) if given}
        return super().ask(key, status, kind, at={**(at or {}), **named}, **sent)

    def target(self, method: str, path: str, places: Mapping[str, str]) -> str:
        """A host is free where it is to be claimed."""
        host = places.get("host") or (FREE if method == "PUT" else HELD)
        filled = {"id": self.ticket, **places, "host": host}
        return super().target(method, path, filled)

    def create(self, code: str, **body: Any) -> None:
        """A link of this code."""
        self.ask(CREATE, 201, json={"long_url": TARGET, "alias": code, **body})


def create_and_repeat(walk: Links) -> None:
    walk.create(LIVE, expires_at="2027-01-01T00:00:00+01:00")
    walk.create(GONE, expires_at=None)
    body = {"long_url": TARGET}
    walk.ask(CREATE, 201, json=body)
    walk.ask(CREATE, 200, json=body)
    walk.ask(CREATE, 409, "alias_taken", json={**body, "alias": LIVE})
    headers = {"idempotency-key": "k"}
    walk.ask(CREATE, 201, json={**body, "alias": "once"}, headers=headers)
    other = {**body, "alias": "once", "redirect_status": 301}
    walk.ask(CREATE, 422, "idempotency_key_reused", json=other, headers=headers)


def create_many(walk: Links) -> None:
    good = {"long_url": TARGET, "alias": "one-of-many", "idempotency_key": "one"}
    links = [good, good, {"long_url": TARGET}, {"long_url": "ftp://x"}, {"alias": LIVE}, None]
    walk.ask(BULK, 200, json={"links": links})


def give_away(walk: Links) -> None:
    once = {"if-match": "*", "idempotency-key": "t"}
    walk.create("given")
    walk.ask(TRANSFER, 200, code="given", json={"owner": "bob"}, headers=once)
    reused = "idempotency_key_reused"
    walk.ask(TRANSFER, 422, reused, code="given", json={"owner": "carol"}, headers=once)
    for status, kind, code in ((410, "gone", GONE), (404, "not_found", "given")):
        sent: Json = {"headers": {"if-match": "*"}, "json": {"owner": "bob"}}
        walk.ask(TRANSFER, status, kind, code=code, **sent)


def draw(walk: Links) -> None:
    picture = walk.ask(QR, 200, code=LIVE)
    walk.ask(QR, 200, code=LIVE, query={"format": "png"})
    walk.ask(QR, 304, code=LIVE, headers={"if-none-match": picture.headers["etag"]})
    walk.ask(QR, 404, "unknown_link", code=UNKNOWN)
    walk.ask(QR, 410, "link_gone", code=GONE)
    walk.ask(QR, 410, "link_banned", code="banned")


def create_while_the_store_is_down(walk: Links) -> None:
    walk.stack.faults.throttle("dynamodb", "*", times=100)
    accepted = walk.ask(CREATE, 202, json={"long_url": TARGET, "alias": "deferred"})
    walk.stack.faults.clear()
    walk.ask(STATUS, 404, "not_found")
    walk.ticket = accepted.json()["status_url"].rpartition("/")[2]
    walk.ask(STATUS, 202)
    walk.stack.drain()
    walk.ask(STATUS, 200)


def edit_and_delete(walk: Links) -> None:
    every = {
        "long_url": "https://example.com/2",
        "expires_at": None,
        "redirect_status": None,
        "disabled": True,
    }
    anything = {"if-match": "*"}
    walk.ask(EDIT, 200, code=LIVE, json={"redirect_status": 308}, headers=anything)
    walk.ask(EDIT, 200, code=LIVE, json=every, headers=anything)
    once = {**anything, "idempotency-key": "e"}
    walk.ask(EDIT, 200, code=LIVE, json={"disabled": None}, headers=once)
    walk.ask(EDIT, 422, "idempotency_key_reused", code=LIVE, json={}, headers=once)
    walk.ask(DELETE, 422, "idempotency_key_reused", code=LIVE, headers=once)
    walk.ask(DELETE, 204, code=GONE, headers=anything)
    for status, kind, code in ((410, "gone", GONE), (404, "not_found", UNKNOWN)):
        walk.ask(EDIT, status, kind, code=code, headers=anything, json={})
        walk.ask(DELETE, status, kind, code=code, headers=anything)


def read_back(walk: Links) -> None:
    walk.stack.drain()
    walk.ask(GET, 200, code=LIVE)
    walk.ask(GET, 200, code=LIVE, query={"at": "1"})
    walk.ask(GET, 410, "gone", code=GONE)
    walk.ask(GET, 404, "not_found", code=UNKNOWN)
    walk.ask(LIST, 200, query={"limit": "1"})
    walk.ask(LIST, 200, query={"state": "active", "q": "one"})
    walk.ask(LIST, 400, "bad_cursor", query={"cursor": "forged"})
    for form in ("csv", "ndjson"):
        walk.ask(EXPORT, 200, query={"format": form, "limit": "1"})
    walk.ask(EXPORT, 400, "bad_cursor", query={"cursor": "forged"})
    walk.ask(HISTORY, 200, code=LIVE)
    walk.create("full", **TERMS)
    cleared = dict.fromkeys(TERMS)
    walk.ask(EDIT, 200, code="full", headers={"if-match": "*"}, json=cleared)
    walk.ask(EDIT, 200, code="full", headers={"if-match": "*"}, json=TERMS)
    walk.ask(HISTORY, 200, code="full")
    walk.ask(HISTORY, 200, code=GONE, query={"limit": "1"})
    walk.ask(HISTORY, 400, "bad_cursor", code=LIVE, query={"cursor": "forged"})
    walk.ask(HISTORY, 404, "not_found", code=UNKNOWN)
    for status in (301, 302, 307, 308):
        walk.create(f"to-{status}", redirect_status=status)
        walk.ask(FOLLOW, status, code=f"to-{status}")
        walk.ask(PEEK, status, code=f"to-{status}")
    visit_closed_links(walk)


def visit_closed_links(walk: Links) -> None:
    """What visitors meet who are not simply redirected."""
    year = 365 * 86_400
    later = to_text(walk.stack.clock.now() + 1000 * year)
    walk.create("early", not_before=later, expires_at=None)
    walk.create("banned")
    ban(walk.stack, "banned")
    walk.create("locked", password="open sesame")
    for key, machine in ((FOLLOW, PERSON), (PEEK, {}), (UNLOCK, PERSON)):
        sent: Json = {"headers": machine}
        walk.ask(key, 404, "unknown_link", code=UNKNOWN, **sent)
        walk.ask(key, 404, "link_not_yet", code="early", **sent)
        walk.ask(key, 410, "link_banned", code="banned", **sent)
        walk.ask(key, 410, "link_gone", code=GONE, **sent)
    walk.ask(FOLLOW, 200, code="locked", headers=PERSON)
    walk.ask(PEEK, 200, code="locked")
    walk.create("reported")
    ban(walk.stack, "reported", "quarantined")
    walk.ask(UNLOCK, 200, code="reported", headers=PERSON)
    form = {**PERSON, "content-type": "application/x-www-form-urlencoded"}
    walk.ask(UNLOCK, 303, code="locked", headers=form, body="password=open+sesame")
    walk.ask(UNLOCK, 400, "bad_body", code="locked", headers=form, body=b"\xff")
    walk.ask(UNLOCK, 413, "too_large", code="locked", headers=form, body=b" " * 70_000)
    walk.ask(UNLOCK, 403, code="locked", headers=form, body="password=x")
    walk.ask(UNLOCK, 403, code="locked", headers=form, body="password=x")
    walk.ask(UNLOCK, 429, "too_many_attempts", code="locked", headers=form, body="password=x")
    walk.create("used-up", max_clicks=1, fallback_url=TARGET)
    walk.ask(UNLOCK, 303, code="used-up", headers=PERSON)
    walk.ask(UNLOCK, 302, code="used-up", headers=PERSON)


def ban(stack: Stack, code: str, standing: Standing = "banned") -> None:
    """Gives a link another standing, without a route."""
    function = stack.functions["ShortenerCreate"]
    store = DynamoStore(stack.client("dynamodb"), function.env["EVENTS_TABLE"])
    context = Context("moderator", stack.clock.now(), f"ban {code}", "test", tenant=None)
    Commands(store, DECIDER).execute(
        stream_id(DEFAULT_DOMAIN, code), Moderate(standing, "phishing"), context
    )


def moderate(walk: Links) -> None:
    """Standings, bans, reports and domains; leaves HELD banned and claimed."""
    standing, quarantined = "PUT /v1/links/{code}/standing", WHOLE[NewStanding]
    key = {"idempotency-key": "m"}
    walk.ask(standing, 200, code=LIVE, json={"standing": "banned"}, headers=key)
    reused = "idempotency_key_reused"
    walk.ask(standing, 422, reused, code=LIVE, json=quarantined, headers=key)
    walk.ask(standing, 200, code=LIVE, json={"standing": "clear"})
    walk.ask(standing, 404, "not_found", code=UNKNOWN, json=quarantined)
    walk.ask(standing, 410, "gone", code=GONE, json=quarantined)
    impose, lift, held = "POST /v1/bans", "DELETE /v1/bans", WHOLE[NewBan]
    held = {**held, "value": HELD}
    walk.ask(impose, 200, json=held, headers=key)
    walk.ask(impose, 422, reused, json={**held, "reason": "other"}, headers=key)
    walk.ask(lift, 422, reused, query=LIFTED, headers=key)
    walk.ask(lift, 204, query=LIFTED)
    walk.ask(lift, 404, "not_found", query={**LIFTED, "value": FREE})
    walk.ask(lift, 422, "invalid", query={**LIFTED, "value": "a b"})
    walk.ask(impose, 200, json=held)
    claim, release = "PUT /v1/domains/{host}", "DELETE /v1/domains/{host}"
    owner, other = {"owner": OWNER}, WHOLE[NewDomain]
    walk.ask(claim, 200, host=HELD, json=owner, headers=key)
    walk.ask(claim, 422, reused, host=HELD, json=other, headers=key)
    walk.ask(claim, 409, "domain_taken", host=HELD, json=other)
    walk.ask(release, 422, reused, headers=key)
    walk.ask(release, 204)
    walk.ask(release, 404, "not_found", host=FREE)
    walk.ask(release, 422, "invalid", host="a b")
    walk.ask(claim, 200, host=HELD, json=owner)
    walk.ask("POST /v1/reports", 202, json={"code": LIVE, "reason": "spam", "comment": "!"})
    walk.stack.faults.conflict("PutItem", times=100)
    walk.ask("POST /v1/reports", 409, "conflict", json={"code": "to-301", "reason": "spam"})
    walk.stack.faults.clear()
    walk.stack.drain()
    for route in ("GET /v1/bans", "GET /v1/reports"):
        walk.ask(route, 200)
        walk.ask(route, 400, "bad_cursor", query={"cursor": "forged"})
    walk.ask("GET /v1/domains", 200)


def be_banned(walk: Links) -> None:
    """What an owner who is banned gets; the ban is lifted again."""
    ban = {"kind": "owner", "value": OWNER, "reason": "spam"}
    walk.ask("POST /v1/bans", 200, json=ban)
    walk.stack.drain(wait=False)
    walk.stack.advance(5)
    headers = {"if-match": "*"}
    walk.ask(CREATE, 403, "owner_banned", json=NEW)
    walk.ask(EDIT, 403, "owner_banned", code=LIVE, json=NEW, headers=headers)
    transfer = "POST /v1/links/{code}/transfer"
    walk.ask(transfer, 403, "owner_banned", code=LIVE, json={"owner": "bob"}, headers=headers)
    walk.stack.request("DELETE", f"/v1/bans?kind=owner&value={OWNER}", user=OWNER, claims=ALL)
    walk.stack.drain()
    walk.stack.advance(5)


def test_every_answer_is_documented_and_every_documented_answer_is_given(stack: Stack) -> None:
    walk = Links(stack)
    create_and_repeat(walk)
    create_while_the_store_is_down(walk)
    edit_and_delete(walk)
    create_many(walk)
    give_away(walk)
    read_back(walk)
    draw(walk)
    moderate(walk)
    be_banned(walk)
    for key, operation in SHORTENER.operations.items():
        walk.edges(key, operation)
    assert walk.contract.seen == {
        (key, *answer)
        for key, operation in SHORTENER.operations.items()
        for answer in documented(operation)
    }
