"""How long after a click, or an event, the numbers tell of it: `python -m tests.performance.delay`.

On the emulator, one after the other, by asking again and again; it takes some minutes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import httpx
from rich.progress import track

from millrace.terminal import console, table
from tests.support.deployed import Stack, deployed

SAMPLES = 20
POLL_SECONDS = 0.1
PATIENCE_SECONDS = 60.0
ORIGIN = "https://shop.example"
AGENT = {
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "origin": ORIGIN,
}


class Visitor:
    """Clicks on a link and views pages of a site, both of one owner, who sees how often."""

    def __init__(self, stack: Stack, api: httpx.Client) -> None:
        self._stack = stack
        self._api = api
        self._link = api.post("/v1/links", json={"long_url": "https://example.com/"}).json()
        body = {"name": "Shop", "origins": [ORIGIN]}
        self._site = api.post("/v1/sites", json=body).json()["id"]

    def click(self) -> None:
        """Follows the link."""
        followed = httpx.get(self._link["short_url"], headers=AGENT, timeout=30)
        assert followed.status_code == 302, followed.text

    def clicks(self) -> int:
        """The link's clicks, as its owner is told."""
        answer = self._api.get(f"/v1/links/{self._link['code']}/stats").json()
        return int(answer.get("clicks", 0))

    def view(self) -> None:
        """Sends a page view."""
        body = {"site": self._site, "events": [{"page": "/"}]}
        url = f"{self._stack.url}/v1/track"
        taken = httpx.post(url, json=body, headers=AGENT, timeout=30)
        assert taken.status_code == 202, taken.text

    def views(self) -> int:
        """The site's page views, as its owner is told."""
        answer = self._api.get(f"/v1/stats/{self._site}").json()
        return int(answer["totals"]["pageviews"])


def delay(do: Callable[[], None], seen: Callable[[], int], number: int) -> float:
    """Seconds from doing it until it is seen `number` times. Raises TimeoutError."""
    began = time.monotonic()
    do()
    while seen() < number:
        if time.monotonic() - began > PATIENCE_SECONDS:
            raise TimeoutError(f"not seen in {PATIENCE_SECONDS} s")
        time.sleep(POLL_SECONDS)
    return time.monotonic() - began


def rounds(visitor: Visitor) -> Iterator[tuple[float, float]]:
    """Delays of a click and of a page view; those of cold containers are left out."""
    for number in range(1, SAMPLES + 2):
        taken = (
            delay(visitor.click, visitor.clicks, number),
            delay(visitor.view, visitor.views, number),
        )
        if number > 1:
            yield taken


def main() -> None:
    """Measures, and prints a table."""
    with TemporaryDirectory() as scratch, deployed(Path(scratch)) as stack:
        headers = {"authorization": f"Bearer {stack.token()}"}
        with httpx.Client(base_url=stack.url, headers=headers, timeout=30) as api:
            samples = list(
                track(
                    rounds(Visitor(stack, api)),
                    "delays",
                    total=SAMPLES,
                    console=console(stderr=True),
                )
            )
    names = ("a click in its link's statistics", "a page view in its site's statistics")
    rows = [
        [name, f"{median(each):.1f}", f"{max(each):.1f}"]
        for name, each in zip(names, zip(*samples, strict=True), strict=True)
    ]
    console().print(table("until", "p50 s", "max s", rows=rows, right=("p50 s", "max s")))


if __name__ == "__main__":
    main()
