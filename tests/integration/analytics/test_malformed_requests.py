"""Whatever the gateway sends to the sites' routes, nothing of ours breaks or leaks.

The damage is what tests/integration/test_malformed_envelopes.py does to the shortener's events; the
projector and the sweep are the same code there and here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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

FOLDER = ROOT / "events" / "analytics"
SAMPLES = sorted(path.stem for path in FOLDER.glob("sites.*.json"))
some = settings(often, max_examples=10)
"""There are many routes, and one piece of code that answers them."""
SCOPES = {"custom:scopes": "analytics:read analytics:write"}


@pytest.fixture(scope="module")
def shared() -> Iterator[Stack]:
    """One stack, in which the sampled site is."""
    with Stack([ROOT / "template.yaml"]) as stack:
        stack.invoke("AnalyticsSites", sample("sites.create"))
        yield stack


def sample(name: str) -> Json:
    """An event as API Gateway sends it."""
    event: Json = json.loads((FOLDER / f"{name}.json").read_text())
    return event


def answer(stack: Stack, event: Any) -> Any:
    """The function's answer, or the exception that the gateway makes a 500 of its own of."""
    stack.logs.clear()
    try:
        return stack.invoke("AnalyticsSites", event)
    except Exception as error:
        return error


PLACES = st.dictionaries(
    st.sampled_from(["site", "name"]),
    st.one_of(st.text(min_size=1, max_size=30), st.sampled_from([SECRET, "x" * 1900, "a#b"])),
)


@pytest.mark.parametrize("name", SAMPLES)
@some
@given(varied=REAL, places=PLACES, body=JSON)
def test_nothing_that_the_gateway_sends_is_a_fault_of_ours(
    shared: Stack, name: str, varied: Json, places: Json, body: Any
) -> None:
    event = sample(name)
    named = event.get("pathParameters", {})
    event = as_sent(event, {key: value for key, value in varied.items() if key != "code"})
    if named:
        event["pathParameters"] = {**named, **{k: places[k] for k in named.keys() & places.keys()}}
    if "authorizer" in event["requestContext"] and "body" not in varied:
        event["requestContext"]["authorizer"]["jwt"]["claims"].update(SCOPES)
        event |= {"body": json.dumps(body)} if "body" in event else {}
    result = answer(shared, event)
    assert not isinstance(result, Exception)
    assert result["statusCode"] < 500, shared.logs
    assert_presentable(shared, result)


@pytest.mark.parametrize("name", SAMPLES)
@some
@given(path=st.sampled_from(HOLES), value=st.sampled_from([..., None, 5, "text", [], {}, ["text"]]))
def test_an_event_that_no_gateway_sends_gives_no_trace_away(
    shared: Stack, name: str, path: tuple[str, ...], value: Any
) -> None:
    event = {**sample(name), "rawQueryString": SECRET, "body": json.dumps({"name": SECRET})}
    part = event
    for step in path[:-1]:
        part = part.get(step, {})
    if value is ...:
        part.pop(path[-1], None)
    else:
        part[path[-1]] = value
    assert_presentable(shared, answer(shared, event))
