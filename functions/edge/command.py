"""A command over HTTP: idempotency key, expected versions, and what surrounds it."""

from __future__ import annotations

import re

from functions.edge.http import Request
from functions.edge.problem import Problem
from functions.edge.runtime import Runtime
from functions.kernel.commands import Context
from functions.kernel.ring import Signature

_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_TAG = re.compile(r'(?<![^\s,])"([1-9][0-9]{0,14})"(?=[\s,]|$)')


def context(request: Request, runtime: Runtime, payload: str, key: str | None = None) -> Context:
    """What surrounds a command that this request carries; `payload` is its canonical form, `key`
    its own idempotency key if the request carries several."""
    caller, key = request.caller, key or idempotency_key(request)
    return Context(
        actor=caller.user,
        tenant=caller.tenant,
        now=runtime.now(),
        commit_id=runtime.entropy(12).hex(),
        correlation=request.log.correlation,
        signature=None
        if key is None
        else Signature.of(actor=caller.user, key=key, payload=payload),
    )


def etag(version: int) -> dict[str, str]:
    """The ETag header of a resource's version."""
    return {"ETag": f'"{version}"'}


def idempotency_key(request: Request) -> str | None:
    """The Idempotency-Key header. Raises a 400 Problem if it is malformed."""
    key = request.headers.get("idempotency-key")
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
        detail = "Idempotency-Key takes 1 to 255 visible ASCII characters."
        raise Problem(400, "bad_idempotency_key", detail)
    return key


def expected_versions(request: Request) -> frozenset[int] | None:
    """The versions that If-Match allows, None for `*`. Raises a 428 Problem without it.

    A tag that is not one of ours can match nothing (RFC 9110, 13.1.1).
    """
    tags = request.headers.get("if-match")
    if tags is None:
        detail = "If-Match with the resource's ETag is required."
        raise Problem(428, "if_match_required", detail)
    if tags.strip() == "*":
        return None
    return frozenset(int(tag) for tag in _TAG.findall(tags))
