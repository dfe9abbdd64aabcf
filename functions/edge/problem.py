"""Errors as RFC 9457 problem details, and the answer that each kernel error gets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from functions.kernel import errors

TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    410: "Gone",
    412: "Precondition Failed",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    428: "Precondition Required",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    508: "Loop Detected",
}


class Problem(Exception):
    """An answer that is an error. `kind` is the stable last part of its `type`."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        errors: list[dict[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {kind}: {detail}")
        self.status = status
        self.kind = kind
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})

    def document(self) -> dict[str, Any]:
        """What it says, whatever the request."""
        document: dict[str, Any] = {
            "type": f"urn:millrace:problem:{self.kind}",
            "title": TITLES[self.status],
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            document["errors"] = self.errors
        return document

    def body(self, request_id: str) -> str:
        """The problem+json document."""
        return json.dumps({**self.document(), "request_id": request_id})


def invalid(field: str, reason: str) -> Problem:
    """A 422 that names one field."""
    detail = "The request has a field that cannot be accepted."
    return Problem(422, "invalid", detail, [{"field": field, "reason": reason}])


def unavailable() -> Problem:
    """A 503: try again, nothing is wrong with the request."""
    detail = "The service cannot answer right now. Try again."
    return Problem(503, "unavailable", detail, headers={"Retry-After": "1"})


def of_kernel(error: errors.KernelError) -> Problem:
    """The problem that a kernel error is shown as."""
    match error:
        case errors.Rejected():
            return invalid(error.field, error.reason)
        case errors.NotFound():
            return Problem(404, "not_found", "There is no such resource.")
        case errors.Gone():
            return Problem(410, "gone", "The resource was deleted.")
        case errors.AlreadyExists():
            return Problem(409, "exists", "The name is taken.")
        case errors.CommandReused():
            detail = "The Idempotency-Key was used before, with another request."
            return Problem(422, "idempotency_key_reused", detail)
        case errors.VersionMismatch():
            detail = f"If-Match does not hold: the version is {error.current}."
            return Problem(412, "version_mismatch", detail)
        case errors.Conflict():
            detail = "Too many changes at the same time. Try again."
            return Problem(409, "conflict", detail, headers={"Retry-After": "1"})
        case errors.CommitTooLarge():
            return Problem(413, "too_large", "The change is too large to be kept.")
        case _:
            return unavailable()
