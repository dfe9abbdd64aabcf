"""The OpenAPI 3.1 document, put together at build time from what the code says already.

Paths and which of them are public come from the templates, bodies and queries from the pydantic
schemas, what the edge and the gateway answer on any route from here. All that a capability adds is
its `functions/<capability>/openapi.py`: a table of what each of its routes answers.

It stands beside the layers, not in one: functions/Makefile packs the kernel, the edge and one
capability, so that no function could import this at run time.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import reduce
from operator import or_
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple, get_type_hints

from pydantic import BaseModel, Field, create_model
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from functions.edge.problem import TITLES
from functions.edge.validation import to_millis

Json = dict[str, Any]
Kinds = Mapping[int, tuple[str, ...]]
"""Problem kinds by status."""

NOTHING: Mapping[Any, Any] = MappingProxyType({})
JSON, PROBLEM_JSON = "application/json", "application/problem+json"
FORM = "application/x-www-form-urlencoded"

ETAG = "ETag"
LOCATION = "Location"
CACHE_CONTROL = "Cache-Control"
REQUEST_ID = "X-Request-Id"
RETRY_AFTER = "Retry-After"
LINK = "Link"
NEXT_CURSOR = "X-Next-Cursor"

ABOUT = """\
Errors are `application/problem+json` (RFC 9457); `type` is stable, `errors` names fields.

Some answers are the gateway's own and have another shape, `{"message": "..."}` as \
`application/json`, and no `X-Request-Id`: 401 without a valid token, 404 where no route fits, 413 \
above 10 MB, 429 when throttled, 500 and 503 when a function could not run.

How often a caller may use a route is told by `X-RateLimit-Limit`, `-Remaining` and `-Reset` \
(epoch seconds), `RateLimit` and `RateLimit-Policy` where a token is needed; 429 `rate_limited` \
says in `Retry-After` when to come again.

Unknown fields and query parameters are refused; answers may gain fields."""


# ---- What a capability writes down ------------------------------------------------------------


class Answer(NamedTuple):
    """An answer that is no error. `headers` always come with it; `links` are what can be done
    with it next: operation id to its parameters, as OpenAPI runtime expressions. `media` besides
    JSON are texts or files without a schema."""

    description: str
    body: type[BaseModel] | None = None
    headers: tuple[str, ...] = ()
    links: Mapping[str, Mapping[str, str]] = NOTHING
    media: tuple[str, ...] = ()


class Operation(NamedTuple):
    """What one route takes and answers, beyond what the edge does for all: `command` takes an
    Idempotency-Key, `batch` one for many commands whose outcomes it answers, `conditional` an
    If-Match. `scope` of None is public. `form` is a body that a browser sends, which the capability
    reads itself."""

    id: str
    summary: str
    answers: Mapping[int, Answer]
    problems: Kinds = NOTHING
    scope: str | None = None
    body: type[BaseModel] | None = None
    form: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    command: bool = False
    batch: bool = False
    conditional: bool = False


class Capability(NamedTuple):
    """One capability's part: `parameters` are those of its paths, `operations` by route key."""

    name: str
    about: str
    parameters: Mapping[str, Json]
    operations: Mapping[str, Operation]


class HistoryItem(BaseModel):
    """One event: the version that it led to, its type, when, by whom."""

    version: Annotated[int, Field(ge=1)]
    type: str
    at: datetime
    actor: str | None


def history(
    name: str, *events: type, shown: Mapping[str, Any] = MappingProxyType({})
) -> type[BaseModel]:
    """The schema of a page of history, made of event classes as the capability stores them.

    Times are shown as text, and fields that `shown` has as it says; what is None is not stored.
    """
    items: Any = reduce(or_, (_history_item(event, shown) for event in events))
    item: Any = Annotated[items, Field(discriminator="type")]
    return create_model(
        name,
        __doc__="A page of events, oldest first; `next_cursor` is null on the last.",
        items=(list[item], ...),
        next_cursor=(str | None, ...),
    )


def _history_item(event: type, shown: Mapping[str, Any]) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for name, kind in get_type_hints(event).items():
        as_shown = shown.get(name, datetime if name.endswith("_at") else kind)
        fields[name] = (as_shown, None if _optional(kind) else ...)
    data = create_model(f"{event.__name__}Data", **fields)
    return create_model(
        event.__name__,
        __base__=HistoryItem,
        __doc__=event.__doc__,
        type=(Literal[event.__name__], ...),
        data=(data, ...),
    )


def _optional(kind: Any) -> bool:
    return type(None) in getattr(kind, "__args__", ())


# ---- What the edge and the gateway do on any route --------------------------------------------


class FieldError(BaseModel):
    """One field that cannot be accepted, and why."""

    field: str
    reason: str


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: Annotated[str, Field(pattern="^urn:millrace:problem:[a-z_]+$")]
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[FieldError] = []


class GatewayError(BaseModel):
    """What the gateway answers by itself."""

    message: str


ON_GUARD: Kinds = {429: ("rate_limited",)}
"""What the guard answers on any route, by rules."""
ON_EVERY_ROUTE: Kinds = {500: ("internal",), 503: ("unavailable",)}
ON_SCOPE: Kinds = {401: ("unauthenticated",), 403: ("missing_scope",)}
ON_BODY: Kinds = {
    400: ("bad_body", "bad_json"),
    413: ("too_large",),
    415: ("unsupported_media_type",),
    422: ("invalid",),
}
ON_QUERY: Kinds = {422: ("invalid",)}
ON_KEY: Kinds = {400: ("bad_idempotency_key",)}
ON_COMMAND: Kinds = {422: ("idempotency_key_reused",)}
ON_CONDITION: Kinds = {412: ("version_mismatch",), 428: ("if_match_required",)}

GATEWAY = {413, 429, 500, 503}
"""What the gateway may answer on any route; 401 and 404 only where it checks something."""

RETRIED = {409, 429, 503}
"""What may come with a Retry-After."""

CORRELATION: Json = {
    "name": "X-Correlation-Id",
    "in": "header",
    "description": "Kept with everything that the request leads to: 1 to 64 of `A-Z a-z 0-9 . _ -`."
    " Anything else is ignored.",
    "schema": {"type": "string"},
}
IDEMPOTENCY_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Makes a repeat of the request harmless.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}
IF_MATCH: Json = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "The ETag of the version to change, or `*` for any.",
    "schema": {"type": "string"},
    "example": '"1"',
}
HEADERS: Json = {
    ETAG: {
        "description": "The version, for If-Match.",
        "required": True,
        "schema": {"type": "string", "pattern": '^"[1-9][0-9]*"$'},
    },
    LOCATION: {
        "description": "Where it is.",
        "required": True,
        "schema": {"type": "string", "format": "uri"},
    },
    CACHE_CONTROL: {
        "description": "How long to keep it.",
        "required": True,
        "schema": {"type": "string"},
    },
    LINK: {
        "description": "The next page, as rel=next; absent on the last.",
        "schema": {"type": "string"},
    },
    NEXT_CURSOR: {
        "description": "The next page's cursor; absent on the last.",
        "schema": {"type": "string"},
    },
    REQUEST_ID: {
        "description": "Names this request in the logs; the gateway's own answers lack it.",
        "schema": {"type": "string"},
    },
    RETRY_AFTER: {"description": "Seconds to wait.", "schema": {"type": "integer"}},
}


def problems_of(operation: Operation) -> dict[int, list[str]]:
    """Every kind of problem that an operation may answer with, the edge's own included."""
    parts = [
        (ON_EVERY_ROUTE, True),
        (ON_GUARD, True),
        (ON_SCOPE, operation.scope is not None),
        (ON_BODY, operation.body is not None),
        (ON_QUERY, operation.query is not None),
        (ON_KEY, operation.command or operation.batch),
        (ON_COMMAND, operation.command),
        (ON_CONDITION, operation.conditional),
        (operation.problems, True),
    ]
    found: defaultdict[int, set[str]] = defaultdict(set)
    for kinds, applies in parts:
        for status, names in kinds.items() if applies else ():
            found[status].update(names)
    return {status: sorted(names) for status, names in found.items()}


# ---- The document -----------------------------------------------------------------------------


def document(version: str, routes: Mapping[str, bool], capabilities: Iterable[Capability]) -> Json:
    """The whole document; `routes` are the templates': whether each route key needs a token.

    Raises ValueError where a route has no operation, an operation no route, or the two disagree
    about the token.
    """
    described = {key: (one, each) for one in capabilities for key, each in one.operations.items()}
    _agree(routes, {key: operation for key, (_, operation) in described.items()})
    parts = _Components(operation for _, operation in described.values())
    paths: defaultdict[str, Json] = defaultdict(dict)
    for key in sorted(routes):
        method, path = key.split(" ")
        paths[path][method.lower()] = _operation(method, path, *described[key], parts)
    tags = {one.name: one for one, _ in described.values()}
    return {
        "openapi": "3.1.1",
        "info": {"title": "Millrace", "version": version, "description": ABOUT},
        "tags": [{"name": one.name, "description": one.about} for one in tags.values()],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": parts.schemas,
            "responses": dict(sorted(parts.responses.items())),
            "headers": HEADERS,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "Of the deployment's issuer; its claims give the scopes.",
                }
            },
        },
    }


def _agree(routes: Mapping[str, bool], operations: Mapping[str, Operation]) -> None:
    if missing := routes.keys() ^ operations.keys():
        raise ValueError(f"only templates or only tables have {sorted(missing)}")
    for key, operation in operations.items():
        if routes[key] != (operation.scope is not None):
            raise ValueError(f"template and table disagree whether {key} needs a token")


def _operation(
    method: str, path: str, capability: Capability, operation: Operation, parts: _Components
) -> Json:
    described: Json = {
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [capability.name],
        "security": [] if operation.scope is None else [{"token": [operation.scope]}],
        "parameters": [
            *_path_parameters(path, capability),
            *(parts.query(operation.query) if operation.query else ()),
            *([IF_MATCH] if operation.conditional else ()),
            *([IDEMPOTENCY_KEY] if operation.command or operation.batch else ()),
            CORRELATION,
        ],
    }
    if operation.body is not None:
        content = {JSON: {"schema": parts.reference(operation.body)}}
        described["requestBody"] = {"required": True, "content": content}
    if operation.form is not None:
        content = {FORM: {"schema": parts.reference(operation.form)}}
        described["requestBody"] = {"required": True, "content": content}
    described["responses"] = _responses(method, path, operation, parts)
    return described


def _path_parameters(path: str, capability: Capability) -> list[Json]:
    return [
        {"name": name, "in": "path", "required": True, **capability.parameters[name]}
        for name in re.findall(r"{(\w+)}", path)
    ]


def _responses(method: str, path: str, operation: Operation, parts: _Components) -> Json:
    problems = problems_of(operation)
    gateway = GATEWAY | ({401} if operation.scope is not None else set())
    # It decodes a path before it matches: a %2F in a parameter leads to no route.
    gateway |= {404} if "{" in path else set()
    responses = {status: _success(each, parts) for status, each in operation.answers.items()}
    for status in problems.keys() | gateway:
        refusal = _refusal(status, problems.get(status, []), status in gateway)
        if method == "HEAD":
            del refusal["content"]
            responses[status] = refusal
        else:
            # Where no path is checked, a 404 is never the gateway's.
            alone = ["alone"] if status == 404 and status not in gateway else []
            name = "-".join([str(status), *problems.get(status, []), *alone])
            responses[status] = parts.response(name, refusal)
    return {str(status): response for status, response in sorted(responses.items())}


def _success(answer: Answer, parts: _Components) -> Json:
    response: Json = {"description": answer.description}
    response["headers"] = _headers(*answer.headers, REQUEST_ID)
    if answer.body is not None:
        response["content"] = {JSON: {"schema": parts.reference(answer.body)}}
    for media in answer.media:
        response.setdefault("content", {})[media] = {}
    if answer.links:
        response["links"] = {
            target: {"operationId": target, "parameters": dict(parameters)}
            for target, parameters in answer.links.items()
        }
    return response


def _refusal(status: int, kinds: list[str], gateway: bool) -> Json:
    content: Json = {}
    if kinds:
        types = [f"urn:millrace:problem:{kind}" for kind in kinds]
        narrowed = {"properties": {"type": {"enum": types}, "status": {"const": status}}}
        content[PROBLEM_JSON] = {"schema": {"allOf": [_reference("Problem"), narrowed]}}
    if gateway:
        content[JSON] = {"schema": _reference("GatewayError")}
    causes = [f"`{kind}`" for kind in kinds] + ["the gateway's own answer"] * gateway
    return {
        "description": f"{TITLES[status]}: {', '.join(causes)}.",
        "headers": _headers(REQUEST_ID, *([RETRY_AFTER] if status in RETRIED else [])),
        "content": content,
    }


def _reference(name: str, kind: str = "schemas") -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}


def _headers(*names: str) -> Json:
    return {name: _reference(name, "headers") for name in names}


class _Generator(GenerateJsonSchema):
    """Without titles, which only repeat names, and with times as the text that comes in."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def function_before_schema(
        self, schema: core_schema.BeforeValidatorFunctionSchema
    ) -> JsonSchemaValue:
        if schema["function"]["function"] is to_millis:
            return {"type": "string", "format": "date-time"}
        return super().function_before_schema(schema)

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        described = super().default_schema(schema)
        # Here None stands for absent, which is not what null means in a PATCH.
        if described.get("default", "") is None:
            del described["default"]
        return described


class _Components:
    """What operations refer to: the pydantic models of all, and refusals that they share."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        models: set[type[BaseModel]] = {Problem, GatewayError}
        queries: set[type[BaseModel]] = set()
        for operation in operations:
            models |= {each.body for each in operation.answers.values() if each.body}
            models |= {each for each in (operation.body, operation.form) if each}
            queries |= {operation.query} if operation.query else set()
        wanted = sorted(models | queries, key=lambda model: (model.__name__, model.__module__))
        self._references, described = models_json_schema(
            [(model, "validation") for model in wanted],
            ref_template="#/components/schemas/{model}",
            schema_generator=_Generator,
        )
        self.schemas: Json = {}
        self.responses: Json = {}
        for name, schema in sorted(described["$defs"].items()):
            schema.pop("title", None)
            self.schemas[name] = schema
        self._queries = {model: self.schemas.pop(self._name(model)) for model in queries}

    def _name(self, model: type[BaseModel]) -> str:
        return str(self.reference(model)["$ref"]).rpartition("/")[2]

    def reference(self, model: type[BaseModel]) -> Json:
        """A reference to a model's schema."""
        return dict(self._references[model, "validation"])

    def response(self, name: str, response: Json) -> Json:
        """A reference to a response that others may share under this name."""
        if self.responses.setdefault(name, response) != response:
            raise ValueError(f"two different responses {name}")
        return _reference(name, "responses")

    def query(self, model: type[BaseModel]) -> list[Json]:
        """A query's fields as parameters."""
        schema = self._queries[model]
        parameters = []
        for name, field in schema["properties"].items():
            field = _without_null(field)
            described = {"description": field.pop("description")} if "description" in field else {}
            needed = {"required": True} if name in schema.get("required", []) else {}
            parameters.append({"name": name, "in": "query", **needed, **described, "schema": field})
        return parameters


def _without_null(field: Json) -> Json:
    """A query's field as its text can be: nothing in a query string is null."""
    kinds = [kind for kind in field.get("anyOf", []) if kind != {"type": "null"}]
    rest = {name: value for name, value in field.items() if name != "anyOf"}
    return {**rest, **kinds[0]} if len(kinds) == 1 else dict(field)
