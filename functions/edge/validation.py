"""Bodies and queries through pydantic: every fault named, as a problem."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from functions.edge.http import MAX_BODY_BYTES, Request
from functions.edge.problem import Problem

_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
FIRST, LAST = -62_135_596_800_000, 253_402_300_799_999
"""The first and the last millisecond that `to_text` can show: of the years 1 and 9999."""

M = TypeVar("M", bound="Schema")


class Schema(BaseModel):
    """A request's shape: unknown fields are refused, nothing is coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Query(BaseModel):
    """A query string's shape: its values arrive as text."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def parse_body(schema: type[M], request: Request, limit: int = MAX_BODY_BYTES) -> M:
    """The JSON body, at most `limit` bytes, as `schema`. Raises 400, 413, 415 and 422 Problems."""
    media = (
        request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    )
    if media != "application/json":
        raise Problem(415, "unsupported_media_type", "The body must be application/json.")
    try:
        return schema.model_validate_json(request.body(limit))
    except ValidationError as error:
        raise _problem(error) from None


def parse_part(schema: type[M], part: object) -> M:
    """One part of a JSON body as `schema`. Raises a 422 Problem."""
    try:
        return schema.model_validate(part)
    except ValidationError as error:
        raise _problem(error) from None


def parse_query(schema: type[BaseModel], query: Mapping[str, str]) -> Any:
    """The query parameters as `schema`. Raises a 422 Problem."""
    try:
        return schema.model_validate(dict(query))
    except ValidationError as error:
        raise _problem(error) from None


def _problem(error: ValidationError) -> Problem:
    faults = error.errors(include_url=False, include_input=False)
    if any(fault["type"] == "json_invalid" for fault in faults):
        return Problem(400, "bad_json", "The body is not a JSON document.")
    named = [{"field": ".".join(map(str, f["loc"])), "reason": _reason(f)} for f in faults]
    return Problem(422, "invalid", "The request has fields that cannot be accepted.", named)


def _reason(fault: ErrorDetails) -> str:
    cause = fault.get("ctx", {}).get("error")
    return str(cause) if cause else fault["msg"]


def to_millis(text: object) -> int:
    """Epoch milliseconds of an RFC 3339 time. Raises ValueError."""
    if not isinstance(text, str) or not _RFC3339.fullmatch(text):
        raise ValueError("not an RFC 3339 time with a zone, such as 2030-01-31T12:00:00Z")
    millis = round(datetime.fromisoformat(text.upper()).timestamp() * 1000)
    if not FIRST <= millis <= LAST:
        raise ValueError("not within the years 1 to 9999 in UTC")
    return millis


def to_text(millis: int) -> str:
    """RFC 3339 in UTC, with milliseconds."""
    moment = datetime.fromtimestamp(millis // 1000, UTC).replace(microsecond=millis % 1000 * 1000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[int, BeforeValidator(to_millis)]
"""A field that comes in as RFC 3339 text and is kept as epoch milliseconds."""
