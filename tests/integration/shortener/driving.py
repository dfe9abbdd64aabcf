"""A run through everything that the shortener's functions do, faults included."""

from __future__ import annotations

from functions.shortener.decider import GRACE_MS, TOMBSTONE_MS
from tests.integration.shortener.costs import OWNER, shortener, url
from tests.support.pump import Stack


def drive(stack: Stack) -> None:
    """Drives every function of the shortener."""
    shortener(stack)
    fail_and_heal(stack)
    defer(stack)
    visit(stack)
    pass_time(stack)


def fail_and_heal(stack: Stack) -> None:
    """A projection that fails into the retry queue, and a sweep of a late row that does; one that
    fails into quarantine."""
    for function in ("ShortenerProject", "ShortenerPublish", "ShortenerSweep"):
        code = stack.request("POST", "/v1/links", user=OWNER, json={"long_url": url(60)}).json()[
            "code"
        ]
        headers = {"if-match": "*"}
        stack.request("DELETE", f"/v1/links/{code}", user=OWNER, headers=headers)
        # A sweep writes for both readers, and fails for both.
        stack.faults.fail(
            "dynamodb", "PutItem", "InternalServerError", status=500, times=6, function=function
        )
        if function == "ShortenerSweep":
            stack.stream_records()
            stack.tick(function)
        stack.drain()
    stack.request("POST", "/v1/links", user=OWNER, json={"long_url": url(70)})
    failing = stack.faults.fail(
        "dynamodb",
        "PutItem",
        "InternalServerError",
        status=500,
        times=-1,
        resource="ShortenerViews",
    )
    stack.drain()
    assert failing.fired


def defer(stack: Stack) -> None:
    """A create while the store is down, carried out later and asked for; codes that are taken."""
    stack.faults.throttle("dynamodb", "*", times=-1)
    asked = stack.request("POST", "/v1/links", user=OWNER, json={"long_url": url(80)})
    stack.faults.clear()
    stack.request("POST", "/v1/links", user=OWNER, json={"long_url": url(80)})
    stack.drain()
    place = asked.json()["status_url"].partition("/v1/")[2]
    assert stack.request("GET", f"/v1/{place}", user=OWNER).json()["status"] == "created"


def visit(stack: Stack) -> None:
    """A link with a cap and a password, looked at and followed."""
    terms = {"long_url": url(90), "alias": "guarded", "max_clicks": 1, "password": "open sesame"}
    stack.request("POST", "/v1/links", user=OWNER, json=terms)
    person = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0"}
    assert stack.request("GET", "/guarded", headers=person).status == 200
    form = {**person, "content-type": "application/x-www-form-urlencoded"}
    answer = stack.request("POST", "/guarded", headers=form, body="password=open+sesame")
    assert answer.status == 303


def pass_time(stack: Stack) -> None:
    """A link from its deletion to its end."""
    gone = stack.request("DELETE", "/v1/links/guarded", user=OWNER, headers={"if-match": "*"})
    assert gone.status == 204, gone.text
    stack.drain()
    for wait in (GRACE_MS, TOMBSTONE_MS):
        stack.advance(wait / 1000)
        stack.tick("ShortenerTimers")
        stack.drain()
    assert stack.request("GET", "/guarded").status == 404
