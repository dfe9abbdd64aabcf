"""The exact ledger on a table in memory, whoever dies between whichever writes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from functions.analytics.facts import Fact, Sighting, lane_of, minute_of
from functions.analytics.ledger import ExactLedger
from tests.support.clock import START
from tests.support.cloud.dynamodb import DynamoDB
from tests.support.cloud.sdk import fast_client
from tests.unit.analytics.reference import SITE

TABLE = "facts"
MINUTE = 60_000
AHEAD = START + 24 * 60 * MINUTE
"""When a sender whose clock is a day ahead says that it was."""
GROWN = replace(SITE, lanes=((0, 1), (minute_of(AHEAD), 2)))
"""Of which lanes will have grown by then."""
ID = next(id for id in map(str, range(10)) if lane_of(id, 2) == 1)


class Died(BaseException):
    """A container came to its end."""


class Table:
    """The ledger's table, in front of containers that die."""

    def __init__(self) -> None:
        self._backend = DynamoDB()
        self._left: int | None = None
        client = fast_client("dynamodb", self._send, lambda _: None, lambda: 0.5)
        names = ("pk", "sk")
        client.create_table(
            TableName=TABLE,
            AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in names],
            KeySchema=[
                {"AttributeName": name, "KeyType": kind}
                for name, kind in zip(names, ("HASH", "RANGE"), strict=True)
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        self._ledger = ExactLedger(client, TABLE)

    def _send(self, service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        if self._left == 0:
            raise Died
        if self._left is not None:
            self._left -= 1
        return self._backend.call(operation, params)

    def keep(self, at: int, calls: int | None = None) -> None:
        """Keeps the event as a container does that saw it then, and lives for so many calls."""
        self._left = calls
        fact = Fact(ID, SITE.id, at, "pageview")
        with suppress(Died):
            self._ledger.keep(Sighting(fact, AHEAD), GROWN)
        self._left = None

    def facts(self) -> list[str]:
        """The buckets of the facts that are kept."""
        found = self._backend.tables[TABLE].everything()
        return [item["pk"]["S"] for item in found if "f" in item]


@pytest.mark.parametrize(("first", "second"), list(product(range(5), repeat=2)))
@pytest.mark.parametrize("last", [START, START + MINUTE])
def test_an_event_is_kept_once_by_a_clock_ahead_of_grown_lanes_whoever_dies(
    first: int, second: int, last: int
) -> None:
    table = Table()
    table.keep(START, first)
    table.keep(START + MINUTE, second)
    table.keep(last)
    table.keep(START + 2 * MINUTE)
    assert len(table.facts()) == 1
