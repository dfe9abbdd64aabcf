"""Which rules are valid. Without a library: a function that has rules of a guard reads them when it
starts."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Literal, NamedTuple, get_args

from functions.edge.limits.algorithms import BUCKETS, MAX_LOG, MAX_SLOTS, Name
from functions.edge.limits.rules import Rule, decode, matchable

MAX_AMOUNT = 1_000_000
MAX_COST = 1000
MAX_LEASE = 1000
MAX_SHARDS = 20
MAX_WINDOW = 30 * 86_400
MAX_TIER = 50
LEAST_DEADLINE_MS, MAX_DEADLINE_MS = 20, 1000
NAME = "^[a-z0-9][a-z0-9_.-]{0,49}$"
ENDPOINT = r"^/[^\s?#]{0,199}$"
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
GUARDED = ("user", "tenant", "ip", "service")
"""The kinds of identities that a guard knows."""


def impossible(rule: Rule) -> Iterator[tuple[bool, str]]:
    """What cannot be of a rule whose fields are each as they should be, and whether it is so."""
    most, log = rule.burst or rule.limit, rule.algorithm == "sliding_log"
    yield (
        bool(rule.burst) and rule.algorithm not in BUCKETS,
        "burst is of buckets alone",
    )
    yield log and rule.limit > MAX_LOG, f"a sliding log keeps {MAX_LOG} at most"
    yield (
        rule.holds and rule.limit > MAX_SLOTS,
        f"of what is in flight {MAX_SLOTS} are counted at most",
    )
    yield rule.holds and rule.cost > 1, "what is in flight takes one slot"
    yield rule.cost > most, "a request costs more than is ever there"
    yield (
        bool(rule.lease or rule.shards) and rule.algorithm != "token_bucket",
        "leases and shards are of a token_bucket alone",
    )
    yield (
        bool(rule.lease and rule.shards),
        "a rule leases or has shards: leases spare a key its writes as well",
    )
    yield (
        rule.lease == 1 or 2 * rule.lease > most,
        "a lease is 2 tokens at least, and half of the burst at most",
    )
    yield (
        rule.shards > min(rule.limit, most),
        "there are more shards than the limit or its burst",
    )
    yield (
        bool(rule.shards) and most // rule.shards < rule.cost <= most,
        "a request costs more than is ever in a shard",
    )
    yield not matchable(rule.endpoint), "* is a whole segment, and ** the last one"


def guarding(text: str) -> tuple[Rule, ...]:
    """The rules of a guard, as `encode` writes them or as a list of their own. Raises ValueError
    that tells of each rule what is wrong with it: what is read past would guard nothing."""
    given = json.loads(text)
    if isinstance(given, dict) and given.keys() == {"rules"}:
        given = given["rules"]
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise ValueError("it is no list of rules, and nothing else")
    _refuse(
        (_called(each, place), reason)
        for place, each in enumerate(given, 1)
        for reason in _misread(each)
    )
    rules = decode(text).rules
    names = Counter(rule.name for rule in rules)
    _refuse((repr(name), "its name is given twice") for name in names if names[name] > 1)
    _refuse(
        (repr(rule.name), reason) for rule in rules for wrong, reason in impossible(rule) if wrong
    )
    return rules


class _Sort(NamedTuple):
    """What a key's value may be, in code and in words."""

    has: Callable[[Any], bool]
    words: str


def _whole(least: int, most: int) -> _Sort:
    # What is true is not 1.
    return _Sort(
        lambda value: type(value) is int and least <= value <= most,
        f"a whole number from {least} to {most}",
    )


def _text(pattern: str) -> _Sort:
    return _Sort(
        lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None,
        f"a text of the form {pattern}",
    )


def _one_of(known: Collection[str]) -> _Sort:
    return _Sort(
        lambda value: isinstance(value, str) and value in known, f"one of {', '.join(known)}"
    )


def _some_of(known: Collection[str], least: int = 0) -> _Sort:
    one = _one_of(known)
    return _Sort(
        lambda value: isinstance(value, list) and len(value) >= least and all(map(one.has, value)),
        f"a list of some of {', '.join(known)}",
    )


_YES_OR_NO = _Sort(lambda value: isinstance(value, bool), "true or false")
_SORTS: Mapping[str, _Sort] = {
    "name": _text(NAME),
    "endpoint": _text(ENDPOINT),
    "limit": _whole(1, MAX_AMOUNT),
    "window": _whole(1, MAX_WINDOW),
    # A route of any method is one of ANY.
    "methods": _some_of((*get_args(Method), "ANY")),
    "identifiers": _some_of(GUARDED, 1),
    "tier": _text(f".{{1,{MAX_TIER}}}"),
    # No slot that a guard takes is ever given back.
    "algorithm": _one_of([each for each in get_args(Name) if each != "concurrency"]),
    "burst": _whole(1, MAX_AMOUNT),
    "cost": _whole(1, MAX_COST),
    "closed": _YES_OR_NO,
    "deadline": _whole(LEAST_DEADLINE_MS, MAX_DEADLINE_MS),
    "shadow": _YES_OR_NO,
    "lease": _whole(0, MAX_LEASE),
    "shards": _whole(0, MAX_SHARDS),
}
_NEEDED = [name for name in Rule._fields if name not in Rule._field_defaults]


def _misread(given: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted(given.keys() - _SORTS.keys()):
        yield f"{key} is not known"
    for key in _NEEDED:
        if key not in given:
            yield f"{key} is missing"
    for key, sort in _SORTS.items():
        if key in given and not sort.has(given[key]):
            yield f"{key} is not {sort.words}"


def _called(given: Mapping[str, Any], place: int) -> str:
    return repr(given["name"]) if "name" in given else f"number {place}"


def _refuse(faults: Iterator[tuple[str, str]]) -> None:
    if found := [f"rule {name}: {reason}" for name, reason in faults]:
        raise ValueError("; ".join(found))
