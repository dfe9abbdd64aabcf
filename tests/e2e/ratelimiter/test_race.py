"""A crowd at one identity's bucket, on the deployed template."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Stack
from tests.e2e.ratelimiter.test_ratelimiter import holding

IN_FLIGHT = 32
BURST, PER_SECOND = 50, 5
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


@pytest.mark.parametrize("checks", [200, pytest.param(2000, marks=pytest.mark.slow)])
def test_a_crowd_gets_what_the_bucket_has_no_more_and_no_less(stack: Stack, checks: int) -> None:
    tenant = holding(stack, {"rules": [RULE]})
    token = stack.token("gateway", tenant=tenant, scopes="ratelimiter:write")

    async def race() -> tuple[Counter[int], float, float]:
        headers = {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=stack.url, headers=headers, timeout=120) as client:
            # Workers that all start at once take two cores longer than a function may run.
            for workers in range(4, IN_FLIGHT + 1, 4):
                await crowd(client, "warm", workers)
            found, begun = Counter[int](), time.monotonic()
            while not found[200]:
                found[await check(client, "ada")] += 1
            first = time.monotonic()
            found += await crowd(client, "ada", checks)
            while True:
                # Who is alone is denied for want of a token, and for nothing else.
                asked = time.monotonic()
                status = await check(client, "ada")
                found[status] += 1
                if status == 429:
                    return found, asked - first, time.monotonic() - begun

    found, at_least, at_most = asyncio.run(race())
    assert found.keys() <= {200, 429, *LOST}
    lost = sum(found[status] for status in LOST)
    assert found[200] <= BURST + PER_SECOND * at_most + 1
    assert found[200] + lost >= BURST + PER_SECOND * at_least - 1


async def crowd(client: httpx.AsyncClient, user: str, checks: int) -> Counter[int]:
    """The statuses of so many checks, of which some are always under way."""
    gate = asyncio.Semaphore(IN_FLIGHT)

    async def one() -> int:
        async with gate:
            return await check(client, user)

    return Counter(await asyncio.gather(*(one() for _ in range(checks))))


async def check(client: httpx.AsyncClient, user: str) -> int:
    """The status of one."""
    answer = await client.post("/v1/check", json={"endpoint": "/any", "user": user})
    return answer.status_code
