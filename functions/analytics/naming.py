"""Ids for sites: twelve letters and digits that stand in snippets for all to see."""

from __future__ import annotations

from hashlib import blake2b

from functions.edge.command import idempotency_key
from functions.edge.http import Request
from functions.edge.runtime import Runtime
from functions.kernel.codec import to_json

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
LENGTH = 12


def new_id(request: Request, runtime: Runtime) -> str:
    """An id for the site that a request makes: the same for a repeat of the request, so that the
    store's condition tells it."""
    caller, key = request.caller, idempotency_key(request)
    if key is None:
        return spelt(runtime.entropy(8))
    made = to_json([caller.tenant, caller.user, key])
    return spelt(blake2b(made.encode(), digest_size=8).digest())


def spelt(raw: bytes) -> str:
    """Eight bytes as an id, of which there are 36 to the 12th: two of a million sites are the same
    by a chance of one in ten million."""
    number, text = int.from_bytes(raw), ""
    for _ in range(LENGTH):
        number, digit = divmod(number, len(DIGITS))
        text += DIGITS[digit]
    return text
