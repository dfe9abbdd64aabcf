"""The bench's verbs on the streams and the views of this capability."""

from __future__ import annotations

import pytest

from tests.integration.ratelimiter.asking import LOGIN, hold, make_key, set_upstream
from tests.integration.ratelimiter.gateway_costs import ask
from tests.integration.test_cli import Bench, bench, refused, told
from tests.support.pump import Stack

__all__ = ["bench"]


@pytest.mark.parametrize("name", ["ratelimiter/default", "ratelimiter/rules#default#default"])
def test_a_tenants_rules_are_shown(stack: Stack, bench: Bench, name: str) -> None:
    hold(stack, LOGIN)
    shown = told(bench("stream", "show", name, "--json"))
    assert shown["stream"] == "rules#default#default"
    assert [event["type"] for event in shown["events"]] == ["RulesPublished", "RulesActivated"]
    assert "no stream" in refused(bench("stream", "show", "ratelimiter/nobody"))


def test_a_keys_stream_is_shown_at_any_version_without_a_secret(stack: Stack, bench: Bench) -> None:
    made = make_key(stack, "gw:*")
    rotated = ask(stack, "POST", f"keys/{made['id']}/rotate", json={})
    name = f"ratelimiter/key#default#{made['id']}"
    shown = bench("stream", "show", name, "--json")
    assert [event["type"] for event in told(shown)["events"]] == ["KeyCreated", "KeyRotated"]
    assert told(bench("stream", "at", name, "1", "--json"))["state"]["number"] == 1
    changed = bench("stream", "diff", name, "1", "2")
    assert "number" in changed.stdout
    for key in (made["key"], rotated["key"]):
        assert key.rpartition("_")[2] not in shown.stdout + changed.stdout


def test_the_lists_lag_are_swept_and_replayed(stack: Stack, bench: Bench) -> None:
    kept, gone = make_key(stack), make_key(stack)
    set_upstream(stack, "orders", "https://orders.example.com")
    stack.drain()
    ask(stack, "DELETE", f"keys/{gone['id']}")
    stack.stream_records()
    stack.advance(3600)
    views = told(bench("lag", "ratelimiter", "--json"))["views"]
    behind = {view["view"]: (view["streams"], view["behind"]) for view in views}
    assert behind == {"keys": (2, 1), "upstreams": (1, 0)}
    assert told(bench("sweep", "ratelimiter", "--json"))["rung"] == 1
    done = told(bench("replay", "ratelimiter", "keys", "--wait", "0", "--json"))
    # All streams are looked at, of which two are keys.
    assert (done["generation"], done["verified"]) == (2, 3)
    stack.cold_start()
    assert [item["id"] for item in ask(stack, "GET", "keys")["items"]] == [kept["id"]]
    assert "no stream is in quarantine" in bench("quarantine", "list", "ratelimiter").stdout
