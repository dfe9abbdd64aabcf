"""The bills of what visitors and time do to links."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from functions.shortener.decider import GRACE_MS, TOMBSTONE_MS
from functions.shortener.hotlinks import FRESH_MS
from tests.support.pump import Stack

PERSON = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0"}
PASSWORD = "open sesame"
Priced = Any
Pricing = Callable[[str, Callable[[], object]], Priced]


class Visitors:
    """Comes to links of every kind, and lets time pass."""

    def __init__(self, stack: Stack, owner: str) -> None:
        self._stack = stack
        self._owner = owner

    def bills(self, priced: Pricing) -> list[Priced]:
        """Their bills, on warm containers."""
        self._create("hot")
        self._create("capped", max_clicks=3)
        self._create("locked", password=PASSWORD)
        self._follow("hot", 302)
        self._follow("capped", 302)
        self._cool()
        return [
            priced("redirect, 5 s after it was read", lambda: self._follow("hot", 302)),
            priced("redirect, hot", lambda: self._follow("hot", 302)),
            priced("redirect with a cap", lambda: self._follow("capped", 302)),
            priced("redirect with a cap, hot", lambda: self._follow("capped", 302)),
            priced("redirect, the cap found used up", lambda: self._follow("capped", 410)),
            priced("redirect, the cap known to be used up", lambda: self._follow("capped", 410)),
            priced("password page", lambda: self._follow("locked", 200)),
            priced("password, wrong", lambda: self._unlock("guess", 403)),
            priced("password, right", lambda: self._unlock(PASSWORD, 303)),
            priced("preview of a hot link", lambda: self._follow("hot+", 200)),
            *self._deferral(priced),
            *self._life(priced),
        ]

    def _deferral(self, priced: Pricing) -> list[Priced]:
        self._stack.drain()
        self._stack.faults.throttle("dynamodb", "*", times=-1)
        body = {"long_url": "https://example.com/deferred", "alias": "deferred"}
        accepted = self._stack.request("POST", "/v1/links", user=self._owner, json=body)
        self._stack.faults.clear()
        place = "/v1/" + accepted.json()["status_url"].partition("/v1/")[2]
        executed = priced("create that waited, its outcome, its row, told", self._stack.drain)
        return [executed, priced("what became of it", lambda: self._ask("GET", place, 200))]

    def _life(self, priced: Pricing) -> list[Priced]:
        self._tick()
        idle = priced("timers, a minute with nothing due", self._tick)
        # What else is due on the way has a bill of its own.
        self._pass(GRACE_MS)
        self._create("brief")
        self._stack.drain()
        headers = {"if-match": "*"}
        self._ask("DELETE", "/v1/links/brief", 204, headers=headers)
        self._stack.drain()
        self._stack.advance(GRACE_MS / 1000)
        self._tick()
        purged = priced("purge of a link of 2 commits, projected, told", self._stack.drain)
        self._pass(TOMBSTONE_MS - 60_000)
        self._stack.advance(60)
        self._tick()
        return [idle, purged, priced("end of its tombstone", self._stack.drain)]

    def _pass(self, millis: int) -> None:
        self._stack.advance(millis / 1000)
        self._tick()
        self._stack.drain()

    def _create(self, alias: str, **terms: Any) -> None:
        body = {"long_url": f"https://example.com/{alias}", "alias": alias, **terms}
        self._ask("POST", "/v1/links", 201, json={"expires_at": None, **body})

    def _follow(self, code: str, status: int) -> None:
        assert self._stack.request("GET", f"/{code}", headers=PERSON).status == status

    def _unlock(self, password: str, status: int) -> None:
        headers = {**PERSON, "content-type": "application/x-www-form-urlencoded"}
        body = urlencode({"password": password})
        answer = self._stack.request("POST", "/locked", headers=headers, body=body)
        assert answer.status == status

    def _tick(self) -> None:
        self._stack.tick("ShortenerTimers")

    def _cool(self) -> None:
        self._stack.advance(FRESH_MS / 1000)

    def _ask(self, method: str, path: str, status: int, **rest: Any) -> None:
        answer = self._stack.request(method, path, user=self._owner, **rest)
        assert answer.status == status, answer.text
