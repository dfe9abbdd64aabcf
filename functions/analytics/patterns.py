"""Patterns in which * stands for any text, matched in time that grows with the text alone."""

from __future__ import annotations

WILDCARD = "*"


def fits(pattern: str, text: str) -> bool:
    """Whether the whole of `text` fits. Each piece between wildcards is taken where it comes first,
    which leaves the most for those behind it: nothing is ever tried twice."""
    first, *rest = pattern.split(WILDCARD)
    if not rest:
        return text == first
    *middle, last = rest
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    place, end = len(first), len(text) - len(last)
    for piece in middle:
        found = text.find(piece, place, end)
        if found < 0:
            return False
        place = found + len(piece)
    return True
