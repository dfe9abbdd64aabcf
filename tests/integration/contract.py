"""Holds answers to the OpenAPI document, and provokes those that any route gives."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from functions.edge.validation import to_millis
from functions.openapi import JSON, ON_GUARD, PROBLEM_JSON, Json, Operation, problems_of
from tests.support.handlers import ROOT
from tests.support.http_api import Response
from tests.support.pump import Stack

PAGE = ROOT / "docs" / "openapi.json"
Seen = tuple[str, int, str]
"""Route key, status, and the kind of a problem or ""."""

FORMATS = FormatChecker(formats=())
FORMATS.checks("date-time", raises=ValueError)(lambda text: to_millis(text) >= 0)


def documented(operation: Operation) -> set[tuple[int, str]]:
    """The statuses that an operation may answer with, and the problems under each; but for what
    the guard refuses on any route, unless the operation may refuse so itself."""
    own = operation.problems.items()
    refusals = {
        (status, kind)
        for status, kinds in problems_of(operation).items()
        for kind in kinds
        if kind not in ON_GUARD.get(status, ())
    } | {(status, kind) for status, kinds in own for kind in kinds}
    return refusals | {(status, "") for status in operation.answers}


class Contract:
    """Holds answers to the document; `seen` is what the functions answered.

    The published schemas are open, so that answers may gain fields: here every field is documented.
    """

    def __init__(self) -> None:
        self.seen: set[Seen] = set()
        # With absolute references a part that is taken out still finds the others.
        self._document: Json = json.loads(PAGE.read_text().replace('"#/', '"urn:openapi#/'))
        for schema in self._document["components"]["schemas"].values():
            schema["additionalProperties"] = False
        whole = DRAFT202012.create_resource(self._document)
        self._registry: Any = Registry().with_resource("urn:openapi", whole)

    def check(self, key: str, answer: Response) -> None:
        """Asserts that the route may answer so."""
        method, path = key.split(" ")
        responses = self._document["paths"][path][method.lower()]["responses"]
        assert str(answer.status) in responses, (key, answer.status, answer.text)
        response = self._resolved(responses[str(answer.status)])
        media = answer.headers.get("content-type")
        structured = media in (JSON, PROBLEM_JSON)
        body = answer.json() if answer.body and structured else answer.body or None
        self._check_headers(response["headers"], answer)
        if method != "HEAD":
            content = response.get("content", {})
            assert (media in content) == (body is not None), (key, answer.status, media)
            if body is not None and structured:
                self._validate(content[media]["schema"], body)
        if "x-request-id" in answer.headers:
            kind = answer.json()["type"].rpartition(":")[2] if media == PROBLEM_JSON else ""
            self.seen.add((key, answer.status, kind))

    def _check_headers(self, headers: Json, answer: Response) -> None:
        for name, reference in headers.items():
            header, value = self._resolved(reference), answer.headers.get(name.lower())
            assert value is not None or not header.get("required"), name
            if value is not None:
                schema = header["schema"]
                self._validate(schema, int(value) if schema["type"] == "integer" else value)

    def _validate(self, schema: Json, instance: Any) -> None:
        validator = Draft202012Validator(schema, registry=self._registry, format_checker=FORMATS)
        validator.validate(instance)

    def _resolved(self, part: Json) -> Json:
        if "$ref" not in part:
            return part
        kind, name = part["$ref"].split("/")[-2:]
        found: Json = self._document["components"][kind][name]
        return found


class Walk:
    """Makes requests as `owner`, each of which must be answered as documented and as expected.

    `scopes` are those of a token for everything. `live` fills a path that is right, and `bodies`
    are right by their schema, `body` where it is not among them, and `headers` are those that come
    with them; `queries` are those that must be there.
    """

    owner = "alice"
    scopes: tuple[str, ...] = ()
    bodies: ClassVar[Mapping[type, Json]] = {}
    body: ClassVar[Json] = {}
    headers: ClassVar[Mapping[type, Json]] = {}
    queries: ClassVar[Mapping[type, Json]] = {}

    def __init__(self, stack: Stack, live: Mapping[str, str]) -> None:
        self.contract = Contract()
        self.stack = stack
        self.live = live

    def target(self, method: str, path: str, places: Mapping[str, str]) -> str:
        """A route's path, filled."""
        return re.sub(r"{(\w+)}", lambda match: places[match[1]], path)

    def ask(
        self,
        key: str,
        status: int,
        kind: str = "",
        *,
        at: Mapping[str, str] | None = None,
        **sent: Any,
    ) -> Response:
        """One request to a route, `at` in the place of what is live."""
        method, path = key.split(" ")
        target = self.target(method, path, {**self.live, **(at or {})})
        whole = {"custom:scopes": " ".join(self.scopes)}
        answer = self.stack.request(method, target, **{"user": self.owner, "claims": whole, **sent})
        assert answer.status == status, (key, answer.text)
        if kind and method != "HEAD":
            assert answer.json()["type"] == f"urn:millrace:problem:{kind}"
        self.contract.check(key, answer)
        return answer

    def edges(self, key: str, operation: Operation) -> None:
        """All that the gateway and the edge answer on a route, whatever the capability."""
        whole = self._whole(operation)
        if operation.scope is not None:
            self.ask(key, 401, **{**whole, "user": None})
            self.ask(key, 401, "unauthenticated", claims={"sub": None}, **whole)
            scopes = {"custom:scopes": " ".join({*self.scopes} - {operation.scope})}
            refused = self.ask(key, 403, "missing_scope", claims=scopes, **whole)
            assert operation.scope in refused.json()["detail"]
        if operation.body is not None:
            self._bodies(key, whole)
        if operation.query is not None:
            nonsense = {**whole.get("query", {}), "nonsense": "1"}
            self.ask(key, 422, "invalid", **{**whole, "query": nonsense})
        if operation.conditional:
            self.ask(key, 412, "version_mismatch", **{**whole, "headers": {"if-match": '"99"'}})
            self.ask(key, 428, "if_match_required", **{**whole, "headers": {}})
        if operation.command or operation.batch:
            spaced = {**whole["headers"], "idempotency-key": "a b"}
            self.ask(key, 400, "bad_idempotency_key", **{**whole, "headers": spaced})
        if operation.command:
            self._conflicts(key, whole)
        self._failures(key, whole)

    def _bodies(self, key: str, whole: Json) -> None:
        """Bodies that are no request."""
        typed = {**whole["headers"], "content-type": "application/json"}
        for status, kind, body in (
            (400, "bad_json", b"{"),
            (400, "bad_body", b"\xff"),
            (413, "too_large", b" " * 1_100_000),
            (422, "invalid", b'{"nonsense": 1}'),
        ):
            self.ask(key, status, kind, body=body, headers=typed)
        plain = {**typed, "content-type": "text/plain"}
        self.ask(key, 415, "unsupported_media_type", body="{}", headers=plain)

    def _conflicts(self, key: str, whole: Json) -> None:
        """Writers that always win."""
        for writes in ("PutItem", "TransactWriteItems"):
            self.stack.faults.conflict(writes, times=100)
        self.ask(key, 409, "conflict", **whole)
        self.stack.faults.clear()

    def _failures(self, key: str, whole: Json) -> None:
        """A store that is down, and one that does not take what we ask it, without a cache."""
        self.stack.cold_start()
        self.stack.faults.throttle("dynamodb", "*", times=100)
        self.stack.faults.throttle("sqs", "*", times=100)
        self.ask(key, 503, "unavailable", **whole)
        self.stack.faults.clear()
        self.stack.faults.fail("dynamodb", "*", "ValidationException")
        self.ask(key, 500, "internal", **whole)
        self.stack.faults.clear()

    def _whole(self, operation: Operation) -> Json:
        """A request that only what surrounds it can spoil."""
        whole: Json = {"headers": {"if-match": "*"} if operation.conditional else {}}
        if operation.body is not None:
            whole["json"] = self.bodies.get(operation.body, self.body)
            whole["headers"] |= self.headers.get(operation.body, {})
        if operation.query is not None and operation.query in self.queries:
            whole["query"] = self.queries[operation.query]
        return whole
