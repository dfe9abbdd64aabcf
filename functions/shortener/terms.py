"""From what a caller asks of a link to the terms that are kept of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from functions.kernel.codec import to_json
from functions.kernel.errors import Rejected
from functions.shortener import passwords
from functions.shortener.events import Rule, Terms

MAX_RULES_BYTES = 8 * 1024
"""Rules ride in every commit and every redirect's read."""
CONDITIONS = ("device", "language", "country", "query")

Entropy = Callable[[int], bytes]
"""Gives so many random bytes."""
Accept = Callable[[str, str], str]
"""Takes a URL, or the domain that a link is to be on, and the field that it stands in; gives it as
it is kept, or raises Rejected."""


def kept(given: Mapping[str, Any], accept: Accept, entropy: Entropy) -> dict[str, Any]:
    """The fields of a request as the decider takes them. Raises Rejected."""
    return {name: _kept(name, value, accept, entropy) for name, value in given.items()}


def _kept(name: str, value: Any, accept: Accept, entropy: Entropy) -> Any:
    if value is None:
        return None
    match name:
        case "long_url" | "fallback_url":
            return accept(value, name)
        case "password":
            return passwords.hashed(value, entropy(passwords.SALT_BYTES))
        case "tags":
            return tuple(dict.fromkeys(value)) or None
        case "rules":
            return _rules(value, accept)
        case _:
            return value


def _rules(rules: list[dict[str, Any]], accept: Accept) -> tuple[Rule, ...] | None:
    found = tuple(_rule(place, rule, accept) for place, rule in enumerate(rules))
    if len(to_json(found).encode()) > MAX_RULES_BYTES:
        raise Rejected(f"are above {MAX_RULES_BYTES} bytes together", "rules")
    return found or None


def _rule(place: int, rule: Mapping[str, Any], accept: Accept) -> Rule:
    conditions = tuple((name, *rule[name]) for name in CONDITIONS if rule.get(name))
    targets = tuple(
        (accept(target["url"], f"rules.{place}.to.{number}.url"), target.get("weight", 1))
        for number, target in enumerate(rule["to"])
    )
    return conditions, targets


def shown_rules(rules: tuple[Rule, ...] | None) -> list[dict[str, Any]]:
    """Rules as a caller writes them."""
    return [
        {name: list(values) for name, *values in conditions}
        | {"to": [{"url": url, "weight": weight} for url, weight in targets]}
        for conditions, targets in rules or ()
    ]


def urls(terms: Terms) -> list[tuple[str, str]]:
    """Every URL that a link may lead to, with the field that it stands in."""
    found = [("long_url", terms.long_url)]
    if terms.fallback_url is not None:
        found.append(("fallback_url", terms.fallback_url))
    for place, (_, targets) in enumerate(terms.rules or ()):
        found += [(f"rules.{place}.to.{n}.url", url) for n, (url, _) in enumerate(targets)]
    return found
