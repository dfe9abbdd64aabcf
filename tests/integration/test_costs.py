"""What every operation costs, held against docs/costs.md: a change of a bill is a reviewed diff.

`make costs` writes the page anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from tests.integration.analytics.costs import sites
from tests.integration.analytics.event_costs import events
from tests.integration.costs import Priced, page
from tests.integration.ratelimiter.asking import NEAR
from tests.integration.ratelimiter.costs import ratelimiter
from tests.integration.ratelimiter.gateway_costs import gateway
from tests.integration.shortener.costs import shortener
from tests.support.cloud.replacing_moto import dynamodb_in_memory
from tests.support.handlers import ROOT
from tests.support.pump import Stack

# The gateway forwards to a server on this host.
pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

PAGE = ROOT / "docs" / "costs.md"


GUARDED = {"GuardRules": ""}

CAPABILITIES: dict[str, Sequence[Callable[[Stack], list[Priced]]]] = {
    "shortener": [shortener],
    "analytics": [sites, events],
    "ratelimiter": [ratelimiter, gateway],
}
"""What measures each capability, every one in a stack of its own."""


@pytest.fixture(scope="module")
def measured() -> tuple[list[Priced], str]:
    """All bills, and the page that they make."""
    bills: dict[str, list[Priced]] = {name: [] for name in CAPABILITIES}
    for name, measures in CAPABILITIES.items():
        for measure in measures:
            with (
                dynamodb_in_memory(),
                Stack([ROOT / "template.yaml"], {**GUARDED, **NEAR}) as stack,
            ):
                bills[name] += measure(stack)
    return [priced for each in bills.values() for priced in each], page(bills, stack)


def test_costs_are_as_published(
    measured: tuple[list[Priced], str], pytestconfig: pytest.Config
) -> None:
    if pytestconfig.getoption("--write-costs"):
        PAGE.write_text(measured[1])
    assert PAGE.read_text() == measured[1]


@pytest.mark.parametrize(
    ("operation", "calls", "rcu", "wcu"),
    [
        ("create, URL of 100 bytes", "1 PutItem", 0, 1),
        ("create, URL of 480 bytes", "1 PutItem", 0, 1),
        ("redirect, URL of 100 bytes", "1 Query + 1 SendMessage", 0.5, 0),
        ("redirect, URL of 500 bytes", "1 Query + 1 SendMessage", 0.5, 0),
        ("redirect, after 100 edits", "1 Query + 1 SendMessage", 0.5, 0),
        ("redirect, hot", "1 SendMessage", 0, 0),
        ("redirect with a cap", "1 Query + 1 UpdateItem + 1 SendMessage", 0.5, 1),
        ("redirect with a cap, hot", "1 UpdateItem + 1 SendMessage", 0, 1),
        ("redirect, the cap known to be used up", "", 0, 0),
        ("redirect, unknown code", "1 Query", 0.5, 0),
        (
            "create that waited, its outcome, its row, told",
            # One put is of analytics, which keeps whose it is; a query looks for an outcome, by
            # another delivery, the others for a ban.
            "3 Query + 5 PutItem + 1 SendMessageBatch + 2 GetItem + 1 PublishBatch",
            4.5,
            7,
        ),
        ("publish 20 new links", "20 PublishBatch + 20 PutItem", 0, 20),
        ("publish 1 edit", "1 GetItem + 1 PublishBatch + 1 PutItem", 1, 1),
        ("own link", "1 Query", 1, 0),
        ("own link, after 100 edits", "1 Query", 1, 0),
        ("edit", "1 Query + 1 PutItem", 1, 1),
        ("edit, after 100 edits", "1 Query + 1 PutItem", 1, 1),
        ("list of 20", "1 Query", 2, 0),
        # The directory is read once per container and 5 s, its generations once per 10 s.
        ("create, 5 s after the directory was read", "1 Query + 1 PutItem", 0.5, 1),
        ("create, 10 s after", "1 GetItem + 1 Query + 1 PutItem", 1.5, 1),
        ("standing of a link", "1 Query + 1 PutItem", 1, 1),
        ("report", "1 Query + 1 PutItem", 0.5, 1),
        ("report, unknown code", "1 Query", 0.5, 0),
        ("create a site", "1 PutItem", 0, 1),
        ("own site", "1 Query", 1, 0),
        ("edit a site", "1 Query + 1 PutItem", 1, 1),
        ("list of 20 sites", "1 Query", 1.5, 0),
        ("track 1 event", "1 SendMessage", 0, 0),
        ("track 500 events", "1 SendMessage", 0, 0),
        ("keep 1 event", "1 PutItem", 0, 1),
        ("30 days by hour of one page", "1 Query", 2, 0),
        ("top 20 of 500 pages of a day", "2 Query", 1, 0),
        ("check", "1 UpdateItem", 0, 1),
        ("check of two limits of one identity", "1 UpdateItem", 0, 1),
        ("check of two identities", "1 TransactWriteItems", 0, 4),
        ("check, known to be denied", "", 0, 0),
        ("check, denied again", "1 GetItem", 1, 0),
        ("check that no rule fits", "", 0, 0),
        ("adjust", "1 GetItem + 1 TransactWriteItems", 1, 4),
        ("adjust of two identities", "2 GetItem + 1 TransactWriteItems", 2, 6),
        ("check that takes a slot", "1 UpdateItem", 0, 1),
        ("free a slot", "1 GetItem + 1 UpdateItem", 1, 1),
        ("free a slot, again", "1 GetItem", 1, 0),
        (
            "check, denied by a new container, which says so",
            "1 UpdateItem + 1 SendMessage",
            0,
            1,
        ),
        (
            "first denial of somebody kept, listed and told",
            "1 GetItem + 1 TransactWriteItems + 1 PublishBatch",
            1,
            6,
        ),
        ("the next of a minute later", "1 GetItem + 1 TransactWriteItems + 1 PublishBatch", 1, 8),
        ("denials of a day by last_at", "1 Query", 0.5, 0),
        ("create a key", "1 PutItem", 0, 1),
        ("own key", "1 Query", 1, 0),
        ("rotate a key", "1 Query + 1 PutItem", 1, 1),
        ("list of 20 keys", "1 Query", 1, 0),
        # The key, the upstream and the rules, each once per container and half a minute.
        ("request, cold container", "3 Query + 1 UpdateItem", 2.5, 1),
        ("request", "1 UpdateItem", 0, 1),
        ("request that no rule fits", "", 0, 0),
        ("request, wrong secret", "", 0, 0),
        ("request, malformed key", "", 0, 0),
        ("request of tricks", "", 0, 0),
        ("request, unknown key", "1 Query", 1, 0),
        ("request, unknown key again", "", 0, 0),
        ("request, known to be denied", "", 0, 0),
        ("request, denied again", "1 GetItem", 1, 0),
    ],
)
def test_costs_are_the_fewest_calls_there_are(
    measured: tuple[list[Priced], str], operation: str, calls: str, rcu: float, wcu: float
) -> None:
    [priced] = [each for each in measured[0] if each.operation == operation]
    assert (priced.calls, priced.rcu, priced.wcu) == (calls, rcu, wcu)
