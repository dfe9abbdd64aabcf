"""What keys, upstreams and the gateway cost: each operation once under the meter, on warm
containers. The upstream is a server on this host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from functions.kernel.replay import RETIRED_MS
from tests.integration.costs import Priced, line
from tests.integration.keeping import replay
from tests.integration.ratelimiter.asking import OPS, hold, make_key, set_upstream, through
from tests.support.pump import Stack
from tests.support.upstream import Upstream

ANY = {"if-match": "*"}
RULE: dict[str, Any] = {
    "name": "orders",
    "endpoint": "/gw/orders/**",
    "limit": 5,
    "window": "60s",
    "identifiers": ["api_key"],
}


def gateway(stack: Stack) -> list[Priced]:
    """The bills of keys, upstreams and requests."""
    with Upstream() as upstream:
        return [*_registry(stack), *_requests(stack, upstream.url), *_views(stack)]


def ask(stack: Stack, method: str, path: str, **more: Any) -> Any:
    """A request about keys or upstreams, by who may do all."""
    sent = {"headers": ANY if method in ("DELETE", "POST") else {}, **more}
    answer = stack.request(method, f"/v1/{path}", user="olga", claims=OPS, **sent)
    assert answer.status < 300, answer.text
    return answer.json() if answer.body else None


def _priced(stack: Stack, operation: str, work: Callable[[], Any]) -> Priced:
    with stack.meter.operation(operation) as bill:
        work()
    return line(bill)


def _registry(stack: Stack) -> list[Priced]:
    key = make_key(stack, "gw:*")["id"]
    url = "https://orders.example.com"
    first = [
        _priced(stack, "create a key", lambda: make_key(stack, "gw:*")),
        _priced(stack, "own key", lambda: ask(stack, "GET", f"keys/{key}")),
        _priced(stack, "rotate a key", lambda: ask(stack, "POST", f"keys/{key}/rotate", json={})),
        _priced(stack, "set an upstream", lambda: set_upstream(stack, "orders", url)),
        _priced(
            stack,
            "change an upstream",
            lambda: set_upstream(stack, "orders", url, timeout_ms=500, sent={"headers": ANY}),
        ),
        _priced(stack, "own upstream", lambda: ask(stack, "GET", "upstreams/orders")),
    ]
    stack.drain()
    ask(stack, "DELETE", f"keys/{key}")
    for _ in range(20):
        make_key(stack, "gw:*")
    return [
        *first,
        _priced(stack, "project 20 new keys and the end of one", stack.drain),
        _priced(stack, "list of keys, cold container", lambda: ask(stack, "GET", "keys")),
        _priced(stack, "list of 20 keys", lambda: ask(stack, "GET", "keys")),
        _priced(stack, "list of upstreams, cold", lambda: ask(stack, "GET", "upstreams")),
        _priced(stack, "remove an upstream", lambda: ask(stack, "DELETE", "upstreams/orders")),
    ]


def _requests(stack: Stack, url: str) -> list[Priced]:
    set_upstream(stack, "orders", url)
    set_upstream(stack, "open", url, authentication="none")
    hold(stack, RULE, {**RULE, "name": "pair", "endpoint": "/gw/open", "identifiers": ["ip"]})
    text = make_key(stack, "gw:*")["key"]
    forged = text[:-1] + ("a" if text[-1] != "a" else "b")

    def asked(path: str, key: str | None, *statuses: int) -> Callable[[], None]:
        def work() -> None:
            assert through(stack, key, path).status in statuses

        return work

    once = asked("orders/x", text, 200)
    bills = [
        _priced(stack, "request, cold container", once),
        _priced(stack, "request", once),
        _priced(stack, "request to another upstream, no rule fits", asked("open/x", text, 200)),
        _priced(stack, "request that no rule fits", asked("open/x", text, 200)),
        _priced(stack, "request without a key", asked("open", None, 200)),
        _priced(stack, "request, wrong secret", asked("orders/x", forged, 401)),
        _priced(stack, "request, malformed key", asked("orders/x", "mr_nonsense", 401)),
        _priced(stack, "request of tricks", asked("orders/a//b", text, 400)),
    ]
    stack.cold_start()
    unknown = text.replace(text.split("_")[2], "0" * 20)
    bills += [
        _priced(stack, "request, unknown key", asked("orders/x", unknown, 401)),
        _priced(stack, "request, unknown key again", asked("orders/x", unknown, 401)),
    ]
    for _ in range(4):
        through(stack, text, "orders/x")
    denied = asked("orders/x", text, 429)
    bills.append(_priced(stack, "request, known to be denied", denied))
    stack.advance(2)
    return [*bills, _priced(stack, "request, denied again", denied)]


def _views(stack: Stack) -> list[Priced]:
    stack.drain()
    bills = [
        _priced(stack, "sweep of 26 streams, none late", lambda: stack.tick("RatelimiterSweep")),
        _priced(stack, "replay of 23 keys", lambda: replay(stack, "ratelimiter", "keys")),
    ]
    stack.advance(RETIRED_MS / 1000)
    dropped = "sweep that drops the retired rows of keys"
    return [*bills, _priced(stack, dropped, lambda: stack.tick("RatelimiterSweep"))]
