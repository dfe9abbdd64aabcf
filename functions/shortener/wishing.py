"""From the body of a create to the wish that the issuer grants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from functions.shortener import codes
from functions.shortener.decider import DEFAULT_DOMAIN, DEFAULT_REDIRECT_STATUS
from functions.shortener.events import Terms
from functions.shortener.issuing import Wish
from functions.shortener.terms import Accept, Entropy, kept

TERMS = frozenset(each.name for each in fields(Terms))


def wish(
    given: Mapping[str, Any],
    expires_at: int,
    key: str | None,
    accept: Accept,
    entropy: Entropy,
) -> Wish:
    """What the caller asks for by naming `given`; `expires_at` is for who says nothing of it.

    Raises Rejected.
    """
    named = kept({name: value for name, value in given.items() if name in TERMS}, accept, entropy)
    defaults = {"expires_at": expires_at, "redirect_status": DEFAULT_REDIRECT_STATUS}
    alias, domain = given.get("alias"), given.get("domain")
    return Wish(
        terms=Terms(**defaults | named),
        domain=DEFAULT_DOMAIN if domain is None else accept(domain, "domain"),
        alias=None if alias is None else codes.alias(alias),
        # No existing link can be told to have the same password, or as many clicks left.
        dedupe=given.get("dedupe", True) and not (named.get("password") or named.get("max_clicks")),
        key=key,
        required={name: value for name, value in named.items() if name != "long_url"},
    )
