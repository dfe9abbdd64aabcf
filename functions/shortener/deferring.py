"""Creates that are accepted while the store is down: as messages, to be carried out later.

A message carries the whole command with its commit id. Whoever carries it out again, after a crash
or beside an append whose answer was lost, meets its own commit and appends nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from functions.kernel.codec import from_data, to_data
from functions.kernel.commands import Context
from functions.kernel.ring import Signature
from functions.shortener.events import Terms
from functions.shortener.issuing import Wish


class Deferred(NamedTuple):
    """A wish, what surrounds it, and the code at which its link may stand already, if any."""

    wish: Wish
    context: Context
    tried: str | None


def packed(deferred: Deferred) -> dict[str, Any]:
    """As a JSON-able message."""
    wish, context = deferred.wish, deferred.context
    signature = context.signature
    return {
        "terms": to_data(wish.terms),
        "domain": wish.domain,
        "alias": wish.alias,
        "dedupe": wish.dedupe,
        "key": wish.key,
        "required": sorted(wish.required),
        "actor": context.actor,
        "tenant": context.tenant,
        "now": context.now,
        "commit_id": context.commit_id,
        "correlation": context.correlation,
        "signature": signature and [signature.id.hex(), signature.payload.hex()],
        "tried": deferred.tried,
    }


def unpacked(message: dict[str, Any]) -> Deferred:
    """From such a message."""
    terms = from_data(Terms, message["terms"])
    wish = Wish(
        terms=terms,
        domain=message["domain"],
        alias=message["alias"],
        dedupe=message["dedupe"],
        key=message["key"],
        required={name: getattr(terms, name) for name in message["required"]},
    )
    context = Context(
        actor=message["actor"],
        tenant=message["tenant"],
        now=message["now"],
        commit_id=message["commit_id"],
        correlation=message["correlation"],
        signature=message["signature"] and Signature(*map(bytes.fromhex, message["signature"])),
    )
    return Deferred(wish, context, message["tried"])
