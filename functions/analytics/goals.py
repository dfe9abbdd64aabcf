"""Goals: how often each was reached, by how many, and what share of all visitors that is. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from functions.analytics.events import Goal
from functions.analytics.funnels import share
from functions.analytics.uniques import Numbers


def shown(
    goals: Sequence[Goal], numbers: Sequence[Numbers], everybody: int
) -> list[dict[str, Any]]:
    """Goals as their site's owner sees them: `conversion` is the share of `everybody`, of which
    both are estimates where there are many."""
    return [
        {
            "name": name,
            "what": what,
            "pattern": pattern,
            "events": number.events,
            "visitors": number.visitors,
            "conversion": min(1.0, share(number.visitors, everybody)),
        }
        for (name, what, pattern), number in zip(goals, numbers, strict=True)
    ]
