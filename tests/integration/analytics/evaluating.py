"""Everything that goals, funnels and exports may do, of both ledgers."""

from __future__ import annotations

from unittest.mock import patch

from functions.analytics.handlers import export
from tests.integration.analytics.bulk import compact, gather, make_bulk
from tests.integration.analytics.sites import FUNNEL, GOAL, ask, change, make
from tests.support.pump import Stack

EVER = {"from": "2026-10-01", "to": "2026-12-31"}


def drive_evaluation(stack: Stack) -> None:
    """Drives the functions of goals, funnels and exports."""
    bulk, exact = make_bulk(stack), make(stack)
    gather(stack, bulk, requests=1, events=5)
    compact(stack)
    for site in (bulk, exact):
        # Just now: read from the ledger, whatever the rows say.
        gather(stack, site, requests=1, events=5)
        change(stack, site, "/goals/buy", "PUT", json=GOAL)
        change(stack, site, "/funnels/buy", "PUT", json=FUNNEL)
        ask(stack, "GET", f"/{site}/goals", query=EVER)
        ask(stack, "GET", f"/{site}/funnels/buy", query=EVER)
        name = ask(stack, "POST", f"/{site}/exports", 202, json=EVER).json()["id"]
        with patch.object(export, "RESERVE_MS", 10**9):
            # Every run ends after its first slice.
            stack.drain()
        assert ask(stack, "GET", f"/{site}/exports/{name}").json()["status"] == "ready"
