"""The bodies of POST /v1/check and /v1/adjust: who asks for what. Without a library: every request
waits for it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from functions.edge.http import Request
from functions.edge.identity import network_of
from functions.edge.limits.algorithms import NO_SLOT, SLOT
from functions.edge.limits.rules import MAX_IDENTITY, Asked
from functions.edge.problem import Problem

MAX_BODY = 16 * 1024
MAX_COST = 1_000_000
MAX_ENDPOINT = 2048
MAX_HEADERS = 20
_SLOT = re.compile(f"[0-9a-f]{{{2 * SLOT}}}")
IDENTITIES = ("user", "ip", "api_key", "tenant")
WHOSE = {"endpoint", "method", "tier", "headers", *IDENTITIES}
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class _Faults(list[dict[str, str]]):
    """What cannot be accepted, by field."""

    def __call__(self, field: str, reason: str) -> None:
        self.append({"field": field, "reason": reason})

    def refuse(self) -> None:
        """Raises a 422 Problem if there are any."""
        if self:
            detail = "The request has fields that cannot be accepted."
            raise Problem(422, "invalid", detail, self)


def asked_of(request: Request) -> Asked:
    """What a check asks. Raises 400, 413, 415 and 422 Problems that name every fault."""
    return asked(_object(request))


def asked(given: Mapping[str, Any]) -> Asked:
    """What an object asks as a check does. Raises a 422 Problem that names every fault."""
    fault, cost = _Faults(), given.get("cost", 1)
    if not _is_whole(cost) or not 1 <= cost <= MAX_COST:
        fault("cost", f"is not a whole number from 1 to {MAX_COST}")
    found = _whose(given, {"cost"}, fault)
    fault.refuse()
    return found._replace(cost=cost)


def adjustment_of(request: Request) -> Asked:
    """What an adjustment is to charge, or to give back: a cost below 0, or one of 0 with a slot.
    Raises 400, 413, 415 and 422 Problems that name every fault."""
    given, fault = _object(request), _Faults()
    cost, slot = given.get("cost", 0), given.get("slot", NO_SLOT.hex())
    if ("cost" in given) == ("slot" in given):
        fault("", "one of cost and slot is needed, and no more")
    if "cost" in given and (not _is_whole(cost) or not 1 <= abs(cost) <= MAX_COST):
        fault("cost", f"is not a whole number from -{MAX_COST} to {MAX_COST} other than 0")
    if not isinstance(slot, str) or not _SLOT.fullmatch(slot):
        fault("slot", "is not a slot that a check has told")
    asked = _whose(given, {"cost", "slot"}, fault)
    fault.refuse()
    return asked._replace(cost=cost, slot=bytes.fromhex(slot))


def _whose(given: Mapping[str, Any], more: set[str], fault: _Faults) -> Asked:
    """Whose limits are meant, and for what; of no use where there is a fault."""
    for name in sorted(given.keys() - WHOSE - more):
        fault(name[:100], "is not known")
    endpoint = given.get("endpoint")
    if not isinstance(endpoint, str) or not endpoint.startswith("/"):
        fault("endpoint", "is not a path that starts with /")
    elif len(endpoint) > MAX_ENDPOINT:
        fault("endpoint", f"has more than {MAX_ENDPOINT} characters")
    method = given.get("method", "GET")
    if not isinstance(method, str) or method not in METHODS:
        fault("method", f"is none of {', '.join(sorted(METHODS))}")
    tier = given.get("tier", "free")
    if not _is_text(tier, 50):
        fault("tier", "is not a text of 1 to 50 characters")
    identities = _identities(given, fault)
    if not identities and not fault:
        fault("", f"nobody is named: one of {', '.join(IDENTITIES)} or a header is needed")
    address = given["ip"].strip() if "ip" in identities else None
    return Asked(str(endpoint), method, identities, tier, address=address)


def _object(request: Request) -> Mapping[str, Any]:
    media = request.headers.get("content-type", "application/json").partition(";")[0]
    if media.strip().lower() != "application/json":
        raise Problem(415, "unsupported_media_type", "The body must be application/json.")
    try:
        given = json.loads(request.body(MAX_BODY))
    except (ValueError, RecursionError):
        raise Problem(400, "bad_json", "The body is not a JSON document.") from None
    if not isinstance(given, dict):
        detail = "The request has a field that cannot be accepted."
        raise Problem(422, "invalid", detail, [{"field": "", "reason": "is not an object"}])
    return given


def _identities(given: Mapping[str, Any], fault: _Faults) -> dict[str, str]:
    found = {}
    for kind in IDENTITIES:
        if kind in given:
            if not _is_text(given[kind], MAX_IDENTITY):
                fault(kind, f"is not a text of 1 to {MAX_IDENTITY} characters")
            elif kind == "ip":
                if (network := network_of(given[kind])) is None:
                    fault(kind, "is not an IP address")
                else:
                    found[kind] = network
            else:
                found[kind] = given[kind]
    headers = given.get("headers", {})
    if not isinstance(headers, dict) or len(headers) > MAX_HEADERS:
        fault("headers", f"is not an object of at most {MAX_HEADERS} names")
        return found
    for name, value in headers.items():
        if not _is_text(value, MAX_IDENTITY):
            fault(f"headers.{name[:50]}", f"is not a text of 1 to {MAX_IDENTITY} characters")
        else:
            found[f"header:{name.lower()}"] = value
    return found


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: object, most: int) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= most
