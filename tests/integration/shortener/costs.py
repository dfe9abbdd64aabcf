"""What the shortener's operations cost, each carried out once under the meter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from functions.edge.projection import Settings
from functions.edge.settings import settings
from functions.kernel.replay import RETIRED_MS, Replay
from functions.shortener.hotlinks import FRESH_MS
from functions.shortener.projecting import KINDS, projection
from tests.integration.costs import Priced, line
from tests.integration.shortener.moderation_costs import Moderators
from tests.integration.shortener.visiting_costs import Visitors
from tests.support.pump import Stack

OWNER = "3f0c1d2e-4b5a-6789-abcd-ef0123456789"
"""A subject of the length that Cognito gives out."""


def url(length: int) -> str:
    """A URL of so many bytes."""
    return "https://example.com/".ljust(length, "x")


def shortener(stack: Stack) -> list[Priced]:
    """The shortener's bills, on warm containers."""
    links = Links(stack)
    links.edit(links.create(url(50)), 1)
    priced = [
        links.priced(f"create, URL of {size:,} bytes", lambda size=size: links.create(url(size)))  # type: ignore[misc]
        for size in (100, 480, 500, 2048)
    ]
    first = links.codes[0]
    priced.append(links.priced("redirect, a container's first", lambda: links.follow(first)))
    priced += [
        links.priced(f"redirect, URL of {size:,} bytes", lambda code=code: links.follow(code))  # type: ignore[misc]
        for size, code in zip((100, 480, 500, 2048), links.codes[1:], strict=True)
    ]
    code = links.codes[1]
    priced.append(links.priced("redirect, unknown code", lambda: links.follow("nosuch1", 404)))
    priced.append(links.priced("create, again (dedupe)", lambda: links.again(url(100))))
    priced.append(links.priced("create, alias taken", lambda: links.taken(code)))
    priced.append(links.priced("own link", lambda: links.get(code)))
    priced.append(links.priced("edit", lambda: links.edit(code, 1)))
    priced.append(links.priced("own link as of a version", lambda: links.get(f"{code}?at=1")))
    priced.append(links.priced("history of 2 events", lambda: links.get(f"{code}/history")))
    for version in range(2, 100):
        links.edit(code, version)
    priced.append(links.priced("edit, after 100 edits", lambda: links.edit(code, 100)))
    priced.append(links.priced("own link, after 100 edits", lambda: links.get(code)))
    stack.advance(FRESH_MS / 1000)
    priced.append(links.priced("redirect, after 100 edits", lambda: links.follow(code)))
    stack.drain()
    codes = [links.create(url(100 + number)) for number in range(20)]
    records = stack.stream_records()
    with stack.meter.operation("project 20 new links") as bill:
        stack.deliver("ShortenerProject", records)
    priced.append(line(bill))
    priced.append(
        links.priced("publish 20 new links", lambda: stack.deliver("ShortenerPublish", records))
    )
    priced.append(links.priced("list, cold container", lambda: links.get("?limit=1")))
    priced.append(links.priced("list of 20", lambda: links.get("?limit=20")))
    links.edit(codes[0], 1)
    records = stack.stream_records()
    for verb, reader in (("project", "ShortenerProject"), ("publish", "ShortenerPublish")):
        priced.append(
            links.priced(f"{verb} 1 edit", lambda name=reader: stack.deliver(name, records))  # type: ignore[misc]
        )
    priced.append(links.priced("delete", lambda: links.delete(codes[1])))
    stack.drain()
    priced.append(links.priced("sweep of 25 links, none late", links.sweep))
    priced.append(links.priced("replay of 25 links", lambda: replay(stack)))
    stack.advance(RETIRED_MS / 1000)
    priced.append(links.priced("sweep that drops the retired rows", links.sweep))
    priced += Moderators(stack).bills(links.priced)
    priced += many_links(stack, links)
    stack.drain()
    with stack.meter.operation("replay") as bill:
        replay(stack)
    # Each link is loaded once.
    loads = bill.by_operation["dynamodb:Query"]
    priced.append(line(bill)._replace(operation=f"replay of {loads} links"))
    priced += Visitors(stack, OWNER).bills(links.priced)
    return priced


def many_links(stack: Stack, links: Links) -> list[Priced]:
    """The bills of what is done to many links at once, and to one once in its life."""
    links.many(1)
    priced = [
        links.priced("bulk create of 100", lambda: links.many(100)),
        links.priced("bulk create of 100, again (dedupe)", lambda: links.many(100)),
    ]
    stack.drain()
    priced += [
        links.priced("filtered list, no link fits", lambda: links.get("?tag=none")),
        links.priced("export of all links", lambda: links.get("export")),
        links.priced("QR code", lambda: links.draw(links.codes[0])),
        links.priced("transfer", lambda: links.give(links.codes[0])),
    ]
    return priced


def replay(stack: Stack) -> None:
    """Replays the shortener's list to its end."""
    wired = projection(stack.runtime("ShortenerSweep"), sweep_settings(stack))
    run = Replay(wired.store, wired.table, KINDS, "links")
    run.begin(stack.clock.now())
    while not run.slice().complete:
        pass
    run.flip(stack.clock.now())


def sweep_settings(stack: Stack) -> Settings:
    """What the projector's functions are told."""
    return settings(Settings, stack.functions["ShortenerSweep"].env)


class Links:
    """Does things to links as their owner, and insists that they work."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.codes: list[str] = []

    def priced(self, operation: str, work: Callable[[], object]) -> Priced:
        """The bill of some work."""
        with self._stack.meter.operation(operation) as bill:
            work()
        return line(bill)

    def create(self, long_url: str) -> str:
        code: str = self._ask("POST", "", 201, json={"long_url": long_url})["code"]
        self.codes.append(code)
        return code

    def again(self, long_url: str) -> None:
        self._ask("POST", "", 200, json={"long_url": long_url})

    def taken(self, alias: str) -> None:
        self._ask("POST", "", 409, json={"long_url": url(100), "alias": alias})

    def many(self, count: int) -> None:
        body = {"links": [{"long_url": url(200 + count + number)} for number in range(count)]}
        assert self._ask("POST", "/bulk", 200, json=body)["failed"] == 0

    def give(self, code: str) -> None:
        sent = {"json": {"owner": "another"}, "headers": {"if-match": "*"}}
        self._ask("POST", f"/{code}/transfer", 200, **sent)

    def draw(self, code: str) -> None:
        assert self._stack.request("GET", f"/{code}/qr").status == 200

    def get(self, path: str) -> None:
        self._ask("GET", path if path.startswith("?") else f"/{path}", 200)

    def edit(self, code: str, version: int) -> None:
        body = {"long_url": url(100)[:-4] + f"{version:04}"}
        self._ask("PATCH", f"/{code}", 200, json=body, headers={"if-match": f'"{version}"'})

    def delete(self, code: str) -> None:
        self._ask("DELETE", f"/{code}", 204, headers={"if-match": '"1"'})

    def follow(self, code: str, status: int = 302) -> None:
        assert self._stack.request("GET", f"/{code}").status == status

    def sweep(self) -> None:
        self._stack.tick("ShortenerSweep")

    def _ask(self, method: str, path: str, status: int, **rest: Any) -> Any:
        path, _, query = path.partition("?")
        pairs = dict(pair.split("=") for pair in query.split("&") if pair)
        answer = self._stack.request(method, f"/v1/links{path}", user=OWNER, query=pairs, **rest)
        assert answer.status == status, answer.text
        structured = answer.headers.get("content-type") == "application/json"
        return answer.json() if structured else None
