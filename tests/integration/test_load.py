"""The cost of a load does not grow with the history."""

from __future__ import annotations

from typing import Any

import pytest

from functions.kernel.dynamo import DynamoStore, to_item
from functions.kernel.store import Commit, Metadata, load, snapshot
from functions.shortener.decider import DECIDER, Link
from functions.shortener.events import CODEC, LinkCreated, LinkRetargeted
from tests.support.pump import Stack

STREAM = "link#default#longago"
BATCH = 25


def life(commits: int) -> list[Commit]:
    """A link that was retargeted at every commit after its first."""
    created = LinkCreated(
        domain="default",
        code="longago",
        owner="alice",
        long_url="https://example.com/0",
        redirect_status=302,
        created_at=1,
    )
    link = Link(**vars(created))
    first = Commit(STREAM, 0, 1, "c0", CODEC.encode([created]), Metadata(1))
    rest = []
    for number in range(1, commits):
        moved = LinkRetargeted(f"https://example.com/{number}")
        state = snapshot(DECIDER, DECIDER.evolve(link, moved))
        rest.append(
            Commit(
                STREAM,
                number,
                number + 1,
                f"c{number}",
                CODEC.encode([moved]),
                Metadata(number + 1),
                snapshot=state,
            )
        )
    return [first, *rest]


def store(client: Any, table: str, commits: list[Commit]) -> None:
    """Writes commits by the batch, as no handler may."""
    for start in range(0, len(commits), BATCH):
        puts = [{"PutRequest": {"Item": to_item(c)}} for c in commits[start : start + BATCH]]
        client.batch_write_item(RequestItems={table: puts})


@pytest.mark.parametrize("commits", [10, 1_000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_a_load_is_one_call_however_long_the_history(stack: Stack, commits: int) -> None:
    table = stack.functions["ShortenerRead"].env["EVENTS_TABLE"]
    store(stack.client("dynamodb"), table, life(commits))
    client = stack.runtime("ShortenerRead").client("dynamodb")
    with stack.meter.operation("load") as bill:
        stream = load(DynamoStore(client, table), DECIDER, STREAM)
    assert (stream.version, stream.state and stream.state.long_url) == (
        commits,
        f"https://example.com/{commits - 1}",
    )
    assert (bill.by_operation, bill.rcu) == ({"dynamodb:Query": 1}, 1)


@pytest.mark.parametrize("commits", [10, 1_000])
def test_looking_into_the_past_by_time_bisects(stack: Stack, commits: int) -> None:
    table = stack.functions["ShortenerRead"].env["EVENTS_TABLE"]
    store(stack.client("dynamodb"), table, life(commits))
    with stack.meter.operation("as of a time") as bill:
        answer = stack.request(
            "GET", "/v1/links/longago", user="alice", query={"at": "1970-01-01T00:00:00.005Z"}
        )
    assert answer.json()["version"] == 5
    assert len(bill.calls) <= 2 + commits.bit_length()
