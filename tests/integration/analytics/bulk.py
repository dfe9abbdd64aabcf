"""A site of the bulk ledger as tests drive it: traffic in, hours compacted, old days deleted."""

from __future__ import annotations

from typing import Any

from tests.integration.analytics.sites import make
from tests.integration.analytics.tracking import send
from tests.support.pump import Stack

DAY_S = 86_400
AFTER_AN_HOUR = 3600 + 660
"""Seconds after which any hour of now has ended and settled."""


def make_bulk(stack: Stack, **body: Any) -> str:
    """A new site of the bulk ledger; gives its id."""
    return make(stack, ledger="bulk", **body)


def pages(number: int, first: int = 0) -> list[dict[str, str]]:
    """Page views with ids of their own."""
    return [{"id": f"e{first + place}", "page": f"/{place % 7}"} for place in range(number)]


def gather(stack: Stack, site: str, requests: int, events: int) -> None:
    """Traffic of so many requests with so many events each, up to its rows."""
    for request in range(requests):
        send(stack, site, *pages(events, request * events))
    stack.drain()


def compact(stack: Stack) -> None:
    """What the next hour's schedule brings."""
    stack.advance(AFTER_AN_HOUR)
    stack.tick("AnalyticsCompact")
    stack.drain()


def objects(stack: Stack) -> list[str]:
    """The keys in the bucket."""
    bucket = stack.functions["AnalyticsCompact"].env["RAW_BUCKET"]
    answer = stack.client("s3").list_objects_v2(Bucket=bucket)
    return [each["Key"] for each in answer.get("Contents", [])]


def drive_bulk(stack: Stack) -> None:
    """Everything that the bulk ledger's functions may do."""
    site = make_bulk(stack, retention_days=1)
    gather(stack, site, requests=3, events=5)
    compact(stack)
    gather(stack, site, requests=1, events=5)
    stack.advance(3 * DAY_S)
    stack.tick("AnalyticsCompact")
    stack.drain()
