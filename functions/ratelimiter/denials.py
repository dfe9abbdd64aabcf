"""Denials as they travel: samples of who was refused, in messages, and in the log without a name.

Pure, and light: a check that refuses somebody waits for the import.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from functions.kernel.errors import Unreadable

SCHEMA = 1
MAX_AT = 253_402_300_799_999
"""The last millisecond that has a date: of the year 9999."""


class Denial(NamedTuple):
    """`denied` requests of one identity that one rule refused, or would have as a `shadow`; the
    last of them, at `at` in epoch ms, was for `method` and `endpoint`. Whoever it was is not told
    by a sample that came by way of the log."""

    id: str
    tenant: str
    rule: str
    kind: str
    at: int
    denied: int
    method: str
    identity: str | None = None
    endpoint: str | None = None
    shadow: bool = False


def encode(denials: Iterable[Denial]) -> dict[str, Any]:
    """Samples as one message; what they have not is left out."""
    return {
        "schema": SCHEMA,
        "denials": [
            {k: v for k, v in each._asdict().items() if k not in _OPTIONAL or v} for each in denials
        ],
    }


def decode(body: Any) -> list[Denial]:
    """The samples of a message; unknown fields are tolerated. Raises Unreadable."""
    if not isinstance(body, dict) or body.get("schema") != SCHEMA:
        raise Unreadable("a message that is none of denials, or of another schema")
    denials = body.get("denials")
    if not isinstance(denials, list) or not denials:
        raise Unreadable("a message without denials")
    return [_denial(data) for data in denials]


def nameless(denial: Denial) -> Denial:
    """The sample as a log may hold it: neither whose it was, nor a path, which may tell too."""
    return denial._replace(identity=None, endpoint=None)


def _denial(data: Any) -> Denial:
    if not isinstance(data, dict):
        raise Unreadable("a denial that is none")
    fields = {name: data[name] for name in Denial._fields if data.get(name) is not None}
    for name, kind in _KINDS.items():
        # True is an int to isinstance.
        if type(fields.get(name, _OPTIONAL.get(name))) is not kind:
            raise Unreadable(f"a denial whose {name} is none")
    if fields["denied"] < 1 or not 0 <= fields["at"] <= MAX_AT:
        raise Unreadable("a denial whose number or time is none")
    return Denial(**fields)


_KINDS = {
    **dict.fromkeys(("id", "tenant", "rule", "kind", "method", "identity", "endpoint"), str),
    **dict.fromkeys(("at", "denied"), int),
    "shadow": bool,
}
_OPTIONAL: dict[str, Any] = {"identity": "", "endpoint": "", "shadow": False}
