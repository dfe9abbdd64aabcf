"""The bills of moderation, reports and domains, and of the directory that creates look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from tests.support.pump import Stack

OPERATOR = "9b1d4c2e-0a3f-4d5e-8c7b-6f5a4e3d2c1b"
OPS = {"custom:scopes": "ops shortener:read shortener:write"}
BANNED = {"standing": "banned", "reason": "spam"}
BAN = {"kind": "host", "value": "evil.example", "reason": "phishing"}

T = TypeVar("T")


class Moderators:
    """Does things as an operator, and insists that they work."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def bills(self, priced: Callable[[str, Callable[[], object]], T]) -> Iterator[T]:
        """What `priced` makes of each operation."""
        code = self.prepare()
        standing = f"/v1/links/{code}/standing"
        yield priced("create, 5 s after the directory was read", lambda: self.create_after(5, 1))
        yield priced("create, 10 s after", lambda: self.create_after(5, 2))
        yield priced("standing of a link", lambda: self.ask("PUT", standing, BANNED))
        self._stack.drain()
        yield priced("ban imposed", lambda: self.ask("POST", "/v1/bans", BAN))
        yield priced("ban enforced in both passes: 3 links of 30", self._stack.drain)
        self._stack.tick("ShortenerEnforce")
        yield priced("daily enforcement, nothing to change", self._stack.drain)
        yield priced("bans", lambda: self.ask("GET", "/v1/bans"))
        yield priced(
            "ban lifted", lambda: self.ask("DELETE", "/v1/bans?kind=host&value=evil.example")
        )
        self._stack.drain()
        yield priced("report", lambda: self.report(code))
        yield priced("report, again on that day", lambda: self.report(code))
        yield priced("report, unknown code", lambda: self.report("nosuch1"))
        self._stack.drain()
        self.ask("GET", "/v1/reports", limit="1")
        yield priced("reports", lambda: self.ask("GET", "/v1/reports"))
        yield priced("domain claimed", lambda: self.claim("go.acme.example"))
        yield priced("own domains", lambda: self.ask("GET", "/v1/domains"))

    def prepare(self) -> str:
        """Warms every container. Makes what will fall under the ban, and a link that does not."""
        self.claim("warm.acme.example")
        evil = [self.create(f"https://evil.example/{number}") for number in range(3)]
        self.report(evil[0])
        self._stack.drain()
        self._stack.advance(10)
        return self.create("https://example.com/after")

    def create(self, long_url: str) -> str:
        code: str = self.ask("POST", "/v1/links", {"long_url": long_url})["code"]
        return code

    def create_after(self, seconds: float, number: int) -> None:
        self._stack.advance(seconds)
        self.create(f"https://example.com/after/{number}")

    def claim(self, host: str) -> None:
        self.ask("PUT", f"/v1/domains/{host}", {"owner": OPERATOR})

    def report(self, code: str) -> None:
        self.ask("POST", "/v1/reports", {"code": code, "reason": "spam"})

    def ask(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        answer = self._stack.request(
            method, path, user=OPERATOR, claims=OPS, json=body, query=query
        )
        assert answer.status < 300, answer.text
        return answer.json() if answer.body else None
