"""Our own export: a link a line, as GET /v1/links shows it."""

from __future__ import annotations

from collections.abc import Iterator

from functions.shortener.imports.rows import (
    Fields,
    Row,
    json_rows,
    moment,
    new_link,
    required,
    text,
)

CLEAR = "clear"
"""The standing of a link that nobody reported or banned (decider.py)."""
OWN_DOMAIN = "default"
"""What the stack calls its own domain."""
MOVED = (
    *("title", "tags", "not_before", "max_clicks", "fallback_url", "rules"),
    *("redirect_status", "counted"),
)
RENDERED = {
    *("code", "domain", "short_url", "long_url", "created_at", "expires_at", "version"),
    *("standing", "reason", "warnings"),
}
"""What else a link shows, and what is either moved above or belongs to the place where it was."""
USED = "how many of its max_clicks are used up"
REASONS = {
    "deleted": "is deleted",
    "disabled": "is disabled",
    "password": "has a password, which cannot be moved",
}
"""Fields whose truth leaves a link out: what is created anew would be open to all."""


def rows(export: str) -> Iterator[Row]:
    """The links of an export as newline-delimited JSON."""
    return json_rows(export, _link)


def _link(fields: Fields) -> Row:
    domain = text(fields, "domain")
    link = new_link(
        required(fields, "code"),
        required(fields, "long_url"),
        moment(fields, "expires_at"),
        domain=None if domain == OWN_DOMAIN else domain,
        **{name: fields.get(name) for name in MOVED},
    )
    known = {*MOVED, *RENDERED, *REASONS}
    behind = sorted(name for name in fields.keys() - known if fields[name])
    if fields.get("max_clicks"):
        behind.append(USED)
    reasons = [why for name, why in REASONS.items() if fields.get(name)]
    if fields.get("standing", CLEAR) != CLEAR:
        reasons.append(f"is {fields['standing']}")
    return Row(link, notes=tuple(behind), left_out=next(iter(reasons), None))
