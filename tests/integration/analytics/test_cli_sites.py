"""The bench's verbs on the streams and the view of this capability."""

from __future__ import annotations

import pytest

from functions.kernel.replay import RETIRED_MS
from tests.integration.analytics.sites import ask, change, make
from tests.integration.test_cli import Bench, bench, refused, told
from tests.support.pump import Stack

__all__ = ["bench"]


@pytest.fixture
def site(stack: Stack) -> str:
    """A site of two versions, listed."""
    made = make(stack)
    change(stack, made, json={"name": "Store"})
    stack.drain()
    return made


@pytest.mark.parametrize("prefix", ["analytics/", "analytics/site#", "site#"])
def test_a_sites_stream_is_shown(site: str, bench: Bench, prefix: str) -> None:
    shown = told(bench("stream", "show", f"{prefix}{site}", "--json"))
    assert shown["stream"] == f"site#{site}"
    assert [event["type"] for event in shown["events"]] == ["SiteCreated", "SiteRenamed"]
    then = told(bench("stream", "at", f"{prefix}{site}", "1", "--json"))
    assert then["state"]["name"] == "Shop"


def test_a_site_that_is_none_is_one_line(stack: Stack, bench: Bench) -> None:
    assert "no stream analytics/nosuch" in refused(bench("stream", "show", "analytics/nosuch"))
    assert "no stream site#nosuch" in refused(bench("stream", "show", "site#nosuch"))


def test_the_list_of_sites_lags_is_swept_and_replayed(
    stack: Stack, site: str, bench: Bench
) -> None:
    change(stack, site, json={"name": "Third"})
    stack.stream_records()
    stack.advance(3600)
    [view] = told(bench("lag", "analytics", "--json"))["views"]
    assert (view["view"], view["streams"], view["behind"]) == ("sites", 1, 1)
    assert told(bench("sweep", "analytics", "--json"))["rung"] == 1
    [view] = told(bench("lag", "analytics", "--json"))["views"]
    assert view["behind"] == 0
    done = told(bench("replay", "analytics", "sites", "--wait", "0", "--json"))
    assert (done["generation"], done["verified"]) == (2, 1)
    stack.cold_start()
    assert [item["name"] for item in ask(stack, "GET").json()["items"]] == ["Third"]
    stack.advance(RETIRED_MS / 1000)
    assert told(bench("sweep", "analytics", "--json"))["dropped_rows"] == 1
    assert "no stream is in quarantine" in bench("quarantine", "list", "analytics").stdout
