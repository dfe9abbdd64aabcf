"""A crowd at one identity's bucket, on the deployed template."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any, NamedTuple

import httpx
import pytest

from tests.e2e.conftest import Stack
from tests.e2e.ratelimiter.test_ratelimiter import holding

IN_FLIGHT = 32
BURST, PER_SECOND = 50, 1
LOST = (502, 503)
"""What is answered where a function, or the table, did not answer in time."""
# A busy emulator is late at times: then nobody is let through, and somebody gets less.
RULE: dict[str, Any] = {
    "name": "crowd",
    "limit": 60 * PER_SECOND,
    "window": "60s",
    "burst": BURST,
    "fail": "closed",
    "deadline_ms": 1000,
}


class Answered(NamedTuple):
    """A check: when it was asked and answered, in seconds, and how."""

    asked: float
    answered: float
    status: int


@pytest.mark.parametrize("checks", [200, pytest.param(2000, marks=pytest.mark.slow)])
def test_a_crowd_gets_what_the_bucket_has_no_more_and_no_less(stack: Stack, checks: int) -> None:
    tenant = holding(stack, {"rules": [RULE]})
    token = stack.token("gateway", tenant=tenant, scopes="ratelimiter:write")

    async def race() -> list[Answered]:
        headers = {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=stack.url, headers=headers, timeout=120) as client:
            # Workers that all start at once take two cores longer than a function may run.
            for workers in range(4, IN_FLIGHT + 1, 4):
                await crowd(client, "warm", workers)
            found = await crowd(client, "ada", checks)
            # Who is alone is denied for want of a token, and for nothing else.
            while found[-1].status != 429:
                found.append(await check(client, "ada"))
            return found

    found = asyncio.run(race())
    statuses = Counter(each.status for each in found)
    assert statuses.keys() <= {200, 429, *LOST}
    lasted = max(each.answered for each in found) - min(each.asked for each in found)
    assert statuses[200] <= BURST + PER_SECOND * lasted + 1
    # It was empty when somebody was denied first, and again in the end.
    empty = found[-1].asked - min(each.answered for each in found if each.status == 429)
    lost = sum(statuses[status] for status in LOST)
    assert statuses[200] + lost >= BURST + PER_SECOND * empty - 1


async def crowd(client: httpx.AsyncClient, user: str, checks: int) -> list[Answered]:
    """So many checks, of which some are always under way."""
    gate = asyncio.Semaphore(IN_FLIGHT)

    async def one() -> Answered:
        async with gate:
            return await check(client, user)

    return await asyncio.gather(*(one() for _ in range(checks)))


async def check(client: httpx.AsyncClient, user: str) -> Answered:
    """One check."""
    asked = time.monotonic()
    answer = await client.post("/v1/check", json={"endpoint": "/any", "user": user})
    return Answered(asked, time.monotonic(), answer.status_code)
