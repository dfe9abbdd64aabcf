"""Whatever API Gateway sends to the routes of keys, upstreams and the gateway, nothing of ours
breaks or leaks. What is sent is as in tests/integration/test_malformed_envelopes.py."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.ratelimiter.asking import NEAR, OPS, set_upstream
from tests.integration.test_malformed_envelopes import (
    HOLES,
    JSON,
    REAL,
    SECRET,
    Json,
    as_sent,
    assert_presentable,
    often,
)
from tests.support.handlers import ROOT
from tests.support.pump import Stack
from tests.support.upstream import Upstream

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

FOLDER = ROOT / "events" / "ratelimiter"
FUNCTIONS = {
    "keys": "RatelimiterKeys",
    "upstreams": "RatelimiterUpstreams",
    "gateway": "RatelimiterGateway",
}
SAMPLES = [path.stem for kind in FUNCTIONS for path in sorted(FOLDER.glob(f"{kind}.*.json"))]
some = settings(often, max_examples=10)
"""There are many routes, and one piece of code that answers them."""


@pytest.fixture(scope="module")
def shared() -> Iterator[Stack]:
    """One stack, in which an open upstream is, and the sampled ones."""
    with Upstream() as upstream, Stack([ROOT / "template.yaml"], NEAR) as stack:
        assert set_upstream(stack, "open", upstream.url, authentication="none").status == 200
        for name in ("keys.create", "upstreams.set"):
            answer(stack, name, sample(name))
        yield stack


def sample(name: str) -> Json:
    """An event as API Gateway sends it."""
    event: Json = json.loads((FOLDER / f"{name}.json").read_text())
    return event


def answer(stack: Stack, name: str, event: Any) -> Any:
    """A function's answer, or the exception that API Gateway makes a 500 of its own of."""
    stack.logs.clear()
    try:
        return stack.invoke(FUNCTIONS[name.partition(".")[0]], event)
    except Exception as error:
        return error


BODIES = JSON.filter(lambda body: "dynamodb" not in json.dumps(body))
"""The names of unknown fields are quoted, and this is what a leak is told by."""
PLACES = st.dictionaries(
    st.sampled_from(["id", "name"]),
    st.one_of(st.text(min_size=1, max_size=30), st.sampled_from([SECRET, "x" * 1900, "a#b", "~"])),
)


def sendable(varied: Json) -> Json:
    """Without what is not of these routes, and without a correlation id, which is to be logged."""
    kept = {key: value for key, value in varied.items() if key != "code"}
    headers = kept.get("headers", {})
    return {**kept, "headers": {n: v for n, v in headers.items() if n != "x-correlation-id"}}


@pytest.mark.parametrize("name", SAMPLES)
@some
@given(varied=REAL, places=PLACES, body=BODIES)
def test_nothing_that_is_sent_is_a_fault_of_ours(
    shared: Stack, name: str, varied: Json, places: Json, body: Any
) -> None:
    event = sample(name)
    named = event.get("pathParameters", {})
    event = as_sent(event, sendable(varied))
    if named:
        event["pathParameters"] = {**named, **{k: places[k] for k in named.keys() & places.keys()}}
    if "authorizer" in event["requestContext"] and "body" not in varied:
        event["requestContext"]["authorizer"]["jwt"]["claims"].update(OPS)
        event |= {"body": json.dumps(body)} if "body" in event else {}
    result = answer(shared, name, event)
    assert not isinstance(result, Exception)
    assert result["statusCode"] < 500, shared.logs
    assert_presentable(shared, result)


TRAILS = st.lists(
    st.sampled_from(["/", "a", "..", "%", "\\", "é", "?", "\u0000", "~", " ", "gw", "open"])
).map("".join)
LABELS = st.sampled_from(["open", "default~open", "~open", "x~open"])


@often
@given(varied=REAL, trail=TRAILS, label=LABELS)
def test_nothing_that_is_sent_through_is_a_fault_of_ours(
    shared: Stack, varied: Json, trail: str, label: str
) -> None:
    event = as_sent(sample("gateway.keyless"), sendable(varied))
    event |= {"rawPath": f"/gw/{label}/{trail}", "rawQueryString": trail}
    event["pathParameters"] = {"name": label, "proxy": trail}
    result = answer(shared, "gateway", event)
    assert not isinstance(result, Exception)
    assert result["statusCode"] in (200, 400, 401), shared.logs
    assert_presentable(shared, result)


GATEWAY_HOLES = [
    *HOLES,
    ("rawPath",),
    ("cookies",),
    ("requestContext", "http"),
    ("requestContext", "http", "method"),
    ("requestContext", "http", "sourceIp"),
]


@pytest.mark.parametrize("name", SAMPLES)
@some
@given(
    path=st.sampled_from(GATEWAY_HOLES),
    value=st.sampled_from([..., None, 5, "text", [], {}, ["text"]]),
)
def test_an_event_that_is_never_sent_gives_no_trace_away(
    shared: Stack, name: str, path: tuple[str, ...], value: Any
) -> None:
    event = {**sample(name), "rawQueryString": SECRET, "body": json.dumps({"name": SECRET})}
    if name.startswith("gateway"):
        event |= {"pathParameters": {"name": "open", "proxy": "x"}, "rawPath": "/gw/open/x"}
    part: Any = copy.deepcopy(event)
    event = part
    for step in path[:-1]:
        part = part.get(step, {})
    if value is ...:
        part.pop(path[-1], None)
    else:
        part[path[-1]] = value
    assert_presentable(shared, answer(shared, name, event))
