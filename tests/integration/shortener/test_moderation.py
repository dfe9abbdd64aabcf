"""Standings, bans and their cascade, blocklist, over the deployed template."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from functions.shortener import directory
from functions.shortener.handlers import enforce
from tests.support.cloud.errors import THROTTLES
from tests.support.deployment import Function
from tests.support.faults import Crash, Faults
from tests.support.http_api import Response
from tests.support.pump import Stack

OPS = {"custom:scopes": "ops shortener:read shortener:write"}
EVIL, GOOD = "https://evil.example/x", "https://good.example/x"
HOST_BAN = {"kind": "host", "value": "evil.example", "reason": "phishing"}
OWNER_BAN = {"kind": "owner", "value": "mallory", "reason": "spam"}


def ops(stack: Stack, method: str, path: str, **rest: Any) -> Response:
    return stack.request(method, path, user="olga", claims=OPS, **rest)


def create(stack: Stack, long_url: str = GOOD, *, user: str = "alice", **body: Any) -> str:
    sent = {"long_url": long_url, "dedupe": False, **body}
    answer = stack.request("POST", "/v1/links", user=user, json=sent)
    assert answer.status == 201, answer.text
    code: str = answer.json()["code"]
    return code


def impose(stack: Stack, ban: dict[str, str]) -> None:
    answer = ops(stack, "POST", "/v1/bans", json=ban)
    assert answer.status == 200, answer.text


def lift(stack: Stack, ban: dict[str, str]) -> None:
    assert unban(stack, ban["kind"], ban["value"]).status == 204


def unban(stack: Stack, kind: str, value: str) -> Response:
    return ops(stack, "DELETE", "/v1/bans", query={"kind": kind, "value": value})


def link(stack: Stack, code: str, *, user: str = "alice") -> dict[str, Any]:
    found: dict[str, Any] = stack.request("GET", f"/v1/links/{code}", user=user).json()
    return found


def follow(stack: Stack, code: str) -> int:
    """What a visitor gets once no container remembers the link."""
    stack.advance(5)
    return stack.request("GET", f"/{code}").status


def kind_of(answer: Response) -> str:
    problem: str = answer.json()["type"]
    return problem.rpartition(":")[2]


# ---- One link -----------------------------------------------------------------------------------


def test_a_moderator_takes_a_link_down_and_puts_it_up_again(stack: Stack) -> None:
    code = create(stack)
    path = f"/v1/links/{code}/standing"
    banned = ops(stack, "PUT", path, json={"standing": "banned", "reason": "malware"})
    assert (banned.status, banned.headers["etag"]) == (200, '"2"')
    assert (banned.json()["standing"], banned.json()["reason"]) == ("banned", "malware")
    assert follow(stack, code) == 410
    assert ops(stack, "PUT", path, json={"standing": "clear"}).json()["standing"] == "clear"
    assert follow(stack, code) == 302


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({}, True),
        ({"password": "open sesame"}, False),
        ({"not_before": "2026-11-01T01:00:00Z"}, False),
    ],
    ids=["open", "password", "early"],
)
def test_who_is_warned_is_told_no_more_than_the_link_would(
    stack: Stack, terms: dict[str, str], told: bool
) -> None:
    code = create(stack, **terms)
    ops(stack, "PUT", f"/v1/links/{code}/standing", json={"standing": "quarantined"})
    stack.advance(5)
    for method, path in (("GET", code), ("GET", f"{code}+"), ("POST", code)):
        page = stack.request(method, f"/{path}")
        assert (page.status, "Be careful with this link" in page.text) == (200, True)
        assert (GOOD in page.text) is told


def test_a_repeated_verdict_is_answered_as_the_first_was(stack: Stack) -> None:
    code = create(stack)
    path, key = f"/v1/links/{code}/standing", {"idempotency-key": "k"}
    first = ops(stack, "PUT", path, json={"standing": "quarantined"}, headers=key)
    ops(stack, "PUT", path, json={"standing": "clear"})
    again = ops(stack, "PUT", path, json={"standing": "quarantined"}, headers=key)
    assert again.json() == first.json()
    assert link(stack, code)["standing"] == "clear"


ROUTES = [
    ("PUT", "/v1/links/abc/standing", {"standing": "banned"}),
    ("POST", "/v1/bans", HOST_BAN),
    ("GET", "/v1/bans", None),
    ("DELETE", "/v1/bans?kind=host&value=evil.example", None),
    ("GET", "/v1/reports", None),
    ("PUT", "/v1/domains/go.acme.example", {"owner": "alice"}),
    ("DELETE", "/v1/domains/go.acme.example", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES, ids=lambda value: str(value)[:24])
def test_who_is_no_operator_may_not(stack: Stack, method: str, path: str, body: Any) -> None:
    sent = {} if body is None else {"json": body}
    refused = stack.request(method, path, user="mallory", **sent)
    assert (refused.status, kind_of(refused)) == (403, "missing_scope")
    assert stack.messages("ShortenerEnforcement") == []


# ---- Bans ---------------------------------------------------------------------------------------


def test_a_ban_on_a_host_takes_down_every_link_to_it_or_below_and_no_other(stack: Stack) -> None:
    under = [
        create(stack, EVIL),
        create(stack, "https://a.b.evil.example/"),
        create(stack, "https://EVIL.example:8443/"),
        create(stack, fallback_url=EVIL),
        create(stack, rules=[{"device": ["ios"], "to": [{"url": GOOD}, {"url": EVIL}]}]),
    ]
    others = [create(stack, "https://notevil.example/"), create(stack, "https://example/evil")]
    stack.drain()
    impose(stack, HOST_BAN)
    stack.drain()
    assert [follow(stack, code) for code in under] == [410] * 5
    assert [follow(stack, code) for code in others] == [302] * 2
    assert link(stack, under[0])["reason"] == "phishing"
    lift(stack, HOST_BAN)
    stack.drain()
    assert [follow(stack, code) for code in under] == [302] * 5


def test_a_ban_on_an_owner_takes_down_their_links_and_lets_them_make_no_other(
    stack: Stack,
) -> None:
    theirs, other = create(stack, user="mallory"), create(stack)
    stack.drain()
    impose(stack, OWNER_BAN)
    stack.drain()
    assert (follow(stack, theirs), follow(stack, other)) == (410, 302)
    any_version = {"if-match": "*"}
    for method, path, body in (
        ("POST", "/v1/links", {"long_url": GOOD}),
        ("PATCH", f"/v1/links/{theirs}", {"long_url": GOOD}),
        ("POST", f"/v1/links/{theirs}/transfer", {"owner": "accomplice"}),
    ):
        refused = stack.request(method, path, user="mallory", json=body, headers=any_version)
        assert (refused.status, kind_of(refused)) == (403, "owner_banned")
    lift(stack, OWNER_BAN)
    stack.drain()
    stack.advance(5)
    assert follow(stack, theirs) == 302
    create(stack, user="mallory")


def test_nobody_is_given_a_link_while_banned(stack: Stack) -> None:
    code = create(stack)
    impose(stack, OWNER_BAN)
    stack.drain()
    give: dict[str, Any] = {"json": {"owner": OWNER_BAN["value"]}, "headers": {"if-match": "*"}}
    refused = stack.request("POST", f"/v1/links/{code}/transfer", user="alice", **give)
    assert refused.status == 422
    assert refused.json()["errors"] == [{"field": "owner", "reason": "is banned"}]
    other = stack.request("POST", f"/v1/links/{code}/transfer", user="bob", **give)
    assert other.status == 404, "and who has no link is told of nobody"


@pytest.mark.parametrize("owner", ["auth0|tenant/x//y", "https://id.example/u?n=1&m=%2F#+,"])
def test_an_owner_of_any_subject_is_banned_and_free_again(stack: Stack, owner: str) -> None:
    theirs, ban = create(stack, user=owner), {**OWNER_BAN, "value": owner}
    stack.drain()
    impose(stack, ban)
    stack.drain()
    assert follow(stack, theirs) == 410
    lift(stack, ban)
    stack.drain()
    assert follow(stack, theirs) == 302


def test_a_ban_is_lifted_by_its_kind_and_value_and_a_key_is_of_one_ban(stack: Stack) -> None:
    key = {"headers": {"idempotency-key": "k"}}
    for ban in (HOST_BAN, OWNER_BAN):
        impose(stack, ban)
        named = {name: ban[name] for name in ("kind", "value")}
        assert ops(stack, "DELETE", "/v1/bans", query=named, **key).status == 204
    for query in ({}, {"kind": "host"}, {"kind": "link", "value": "x"}, {**named, "more": "1"}):
        assert ops(stack, "DELETE", "/v1/bans", query=query).status == 422


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("long_url", {"long_url": EVIL}),
        ("long_url", {"long_url": "https://sub.evil.example/"}),
        ("fallback_url", {"fallback_url": EVIL}),
        ("rules.0.to.0.url", {"rules": [{"device": ["ios"], "to": [{"url": EVIL}]}]}),
    ],
)
def test_a_banned_host_is_refused_for_new_links_and_edits(
    stack: Stack, field: str, body: dict[str, Any]
) -> None:
    code = create(stack)
    impose(stack, HOST_BAN)
    stack.drain()
    stack.advance(5)
    made = stack.request("POST", "/v1/links", user="alice", json={"long_url": GOOD, **body})
    edited = stack.request(
        "PATCH", f"/v1/links/{code}", user="alice", json=body, headers={"if-match": "*"}
    )
    for refused in (made, edited):
        assert refused.status == 422
        assert refused.json()["errors"] == [
            {"field": field, "reason": "is on a host that was banned"}
        ]


def test_a_moderators_own_ban_survives_the_end_of_another(stack: Stack) -> None:
    code = create(stack, EVIL)
    standing = {"standing": "banned", "reason": "malware"}
    ops(stack, "PUT", f"/v1/links/{code}/standing", json=standing)
    stack.drain()
    impose(stack, HOST_BAN)
    stack.drain()
    lift(stack, HOST_BAN)
    stack.drain()
    assert (link(stack, code)["standing"], link(stack, code)["reason"]) == ("banned", "malware")


def test_the_reason_that_an_owner_is_shown_is_the_one_that_was_given_last(stack: Stack) -> None:
    code, under = create(stack), create(stack, EVIL)
    path = f"/v1/links/{code}/standing"
    for reason in ("malware", "phishing"):
        standing = {"standing": "quarantined", "reason": reason}
        assert ops(stack, "PUT", path, json=standing).json()["reason"] == reason
    for reason in ("malware", "phishing"):
        impose(stack, {**HOST_BAN, "reason": reason})
        stack.drain()
        assert link(stack, under)["reason"] == reason


def test_a_quarantine_beneath_bans_comes_back_when_they_end(stack: Stack) -> None:
    code = create(stack, EVIL, user="mallory")
    standing = {"standing": "quarantined", "reason": "reported"}
    ops(stack, "PUT", f"/v1/links/{code}/standing", json=standing)
    stack.drain()
    for change in (impose, lift):
        for ban in (OWNER_BAN, HOST_BAN):
            change(stack, ban)
            stack.drain()
    found = link(stack, code, user="mallory")
    assert (found["standing"], found["reason"]) == ("quarantined", "reported")
    assert follow(stack, code) == 200, "the warning"


def test_a_link_under_two_bans_stays_down_until_both_are_lifted(stack: Stack) -> None:
    code = create(stack, EVIL, user="mallory")
    for ban in (OWNER_BAN, HOST_BAN):
        impose(stack, ban)
        stack.drain()
    assert link(stack, code, user="mallory")["reason"] == "phishing", "the smaller stream id"
    lift(stack, HOST_BAN)
    stack.drain()
    assert link(stack, code, user="mallory")["reason"] == "spam"
    lift(stack, OWNER_BAN)
    stack.drain()
    assert link(stack, code, user="mallory")["standing"] == "clear"


def test_a_link_of_a_container_that_did_not_know_the_ban_is_caught_by_the_second_pass(
    stack: Stack,
) -> None:
    create(stack)
    impose(stack, HOST_BAN)
    stack.drain(wait=False)
    late = create(stack, EVIL)
    assert follow(stack, late) == 302
    stack.drain()
    assert follow(stack, late) == 410


def test_the_first_pass_needs_no_projection_of_the_ban(stack: Stack) -> None:
    code = create(stack, EVIL)
    stack.drain()
    impose(stack, HOST_BAN)
    enforce_now(stack)
    assert link(stack, code)["standing"] == "banned"


def test_a_pass_that_knows_less_than_the_log_undoes_nothing(stack: Stack) -> None:
    code = create(stack, EVIL)
    stack.drain()
    impose(stack, HOST_BAN)
    enforce_now(stack)
    # The links' rows are projected, the ban's is not, and another ban's pass comes by.
    records = stack.stream_records()
    links = [each for each in records if each["dynamodb"]["Keys"]["pk"]["S"].startswith("link#")]
    stack.deliver("ShortenerProject", links)
    stack.invoke("ShortenerEnforce", order({"ban": "ban#owner#nobody"}))
    assert link(stack, code)["standing"] == "banned"


def test_a_ban_is_shown_until_it_is_lifted_and_repeats_change_nothing(stack: Stack) -> None:
    for ban in (HOST_BAN, OWNER_BAN, {**HOST_BAN, "value": "Bücher.example"}):
        impose(stack, ban)
        impose(stack, ban)
    stack.drain()
    first = ops(stack, "GET", "/v1/bans", query={"limit": "2"}).json()
    cursor = {"limit": "2", "cursor": first["next_cursor"]}
    second = ops(stack, "GET", "/v1/bans", query=cursor).json()
    found = [(each["kind"], each["value"]) for each in first["items"] + second["items"]]
    assert found == [
        ("owner", "mallory"),
        ("host", "xn--bcher-kva.example"),
        ("host", "evil.example"),
    ]
    assert second["next_cursor"] is None
    assert first["items"][0]["imposed_at"].endswith("Z")
    lift(stack, OWNER_BAN)
    lift(stack, OWNER_BAN)
    stack.drain()
    assert len(ops(stack, "GET", "/v1/bans").json()["items"]) == 2
    assert unban(stack, "owner", "nobody").status == 404


@pytest.mark.parametrize(
    "ban",
    [
        {"kind": "host", "value": "evil.example/path"},
        {"kind": "host", "value": "user@evil.example"},
        {"kind": "host", "value": "evil.example:8080"},
        {"kind": "host", "value": "127.0.0.1"},
        {"kind": "host", "value": "p\u0430ypal.com"},
        {"kind": "owner", "value": "a b"},
        {"kind": "owner", "value": "x" * 129},
    ],
    ids=lambda ban: ban["value"][:20].encode("ascii", "replace").decode(),
)
def test_what_cannot_be_banned_is_refused(stack: Stack, ban: dict[str, str]) -> None:
    refused = ops(stack, "POST", "/v1/bans", json={**ban, "reason": ""})
    assert refused.status == 422
    assert refused.json()["errors"][0]["field"] == "value"
    assert stack.messages("ShortenerEnforcement") == []


def test_the_directory_has_an_end(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    impose(stack, HOST_BAN)
    stack.drain()
    monkeypatch.setattr(directory, "MAX_ENTRIES", 1)
    refused = ops(stack, "POST", "/v1/bans", json=OWNER_BAN)
    assert refused.status == 422
    assert "full" in refused.json()["errors"][0]["reason"]
    claimed = ops(stack, "PUT", "/v1/domains/go.acme.example", json={"owner": "alice"})
    assert claimed.json()["errors"][0]["field"] == "host"
    impose(stack, HOST_BAN)


# ---- Failures -----------------------------------------------------------------------------------


def order(body: dict[str, Any]) -> dict[str, Any]:
    """The event of one message in the enforcement's queue."""
    record = {
        "messageId": "m",
        "receiptHandle": "r",
        "body": json.dumps(body),
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:q",
        "awsRegion": "us-east-1",
    }
    return {"Records": [record]}


def enforce_now(stack: Stack) -> None:
    """Hands the queue's messages to the enforcement while nothing is projected."""
    for body in stack.messages("ShortenerEnforcement"):
        answer = stack.invoke("ShortenerEnforce", order(json.loads(body)))
        assert answer == {"batchItemFailures": []}


@pytest.mark.parametrize(("error", "status"), [("ServiceUnavailable", 503), THROTTLES["sqs"]])
def test_a_ban_whose_orders_cannot_be_sent_is_answered_503_and_a_repeat_sends_them(
    stack: Stack, error: str, status: int
) -> None:
    code = create(stack, EVIL)
    stack.drain()
    stack.faults.fail("sqs", "*", error, status=status, times=3)
    assert ops(stack, "POST", "/v1/bans", json=HOST_BAN).status == 503
    stack.drain()
    assert link(stack, code)["standing"] == "clear"
    stack.advance(1)
    impose(stack, HOST_BAN)
    stack.drain()
    assert link(stack, code)["standing"] == "banned"


def test_bans_fail_open_while_the_directory_cannot_be_read_and_the_enforcement_heals(
    stack: Stack,
) -> None:
    impose(stack, HOST_BAN)
    stack.drain()
    stack.cold_start()
    broken = stack.faults.throttle("dynamodb", "Query", times=100, function="ShortenerCreate")
    code = create(stack, EVIL)
    assert broken.fired
    assert stack.logs[-1]["directory_failures"] == 1
    stack.faults.clear()
    stack.drain()
    stack.tick("ShortenerEnforce")
    stack.drain()
    assert link(stack, code)["standing"] == "banned"


def test_a_container_goes_on_with_the_directory_it_has(stack: Stack) -> None:
    impose(stack, HOST_BAN)
    stack.drain()
    create(stack)
    stack.faults.throttle("dynamodb", "Query", times=100, function="ShortenerCreate")
    stack.advance(60)
    body = {"long_url": EVIL}
    assert stack.request("POST", "/v1/links", user="alice", json=body).status == 422


def test_the_daily_pass_clears_what_both_passes_of_the_last_ban_missed(stack: Stack) -> None:
    missed = create(stack, EVIL)
    stack.drain()
    impose(stack, HOST_BAN)
    stack.drain()
    lift(stack, HOST_BAN)
    [orders] = [url for url, name in stack._names.items() if name == "ShortenerEnforcement"]
    stack.client("sqs").purge_queue(QueueUrl=orders)
    stack.drain()
    assert link(stack, missed)["standing"] == "banned"
    stack.tick("ShortenerEnforce")
    stack.drain()
    assert (link(stack, missed)["standing"], follow(stack, missed)) == ("clear", 302)


def test_the_daily_pass_changes_nothing_where_nobody_is_banned(stack: Stack) -> None:
    code = create(stack)
    stack.drain()
    stack.tick("ShortenerEnforce")
    stack.drain()
    assert link(stack, code)["version"] == 1


def test_a_pass_goes_on_in_slices_and_each_changed_link_costs_a_read_and_a_write(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = [create(stack, EVIL) for _ in range(5)]
    create(stack)
    stack.drain()
    impose(stack, HOST_BAN)
    # A limit that is over from the start: each slice is of one row.
    monkeypatch.setattr(enforce, "RESERVE_MS", 10**9)
    with stack.meter.operation("enforce") as bill:
        stack.drain(wait=False)
    assert [link(stack, code)["standing"] for code in codes] == ["banned"] * 5
    own = [each for each in bill.calls if each.function == "ShortenerEnforce"]
    assert sum(each.name == "dynamodb:PutItem" for each in own) == 5
    assert sum(each.name == "sqs:SendMessageBatch" for each in own) == 6


def test_a_pass_begins_anew_when_the_list_was_replayed_under_it(stack: Stack) -> None:
    codes = [create(stack, EVIL) for _ in range(3)]
    stack.drain()
    impose(stack, HOST_BAN)
    stack.drain(wait=False)
    lift(stack, HOST_BAN)
    last = f"link#default#{codes[-1]}"
    body = {"ban": "ban#host#evil.example", "place": [7, last]}
    stack.invoke("ShortenerEnforce", order(body))
    assert [link(stack, code)["standing"] for code in codes] == ["clear"] * 3


def test_a_link_that_fails_holds_up_no_other_and_is_tried_again(stack: Stack) -> None:
    codes = [create(stack, EVIL) for _ in range(3)]
    stack.drain()
    impose(stack, HOST_BAN)
    stack.faults.fail(
        "dynamodb", "PutItem", "ValidationException", times=1, function="ShortenerEnforce"
    )
    stack.drain(wait=False)
    assert [link(stack, code)["standing"] for code in codes] == ["banned"] * 3


CRASHES: list[tuple[Callable[..., Any], int]] = [
    (Faults.crash_before, 0),
    # To die after one call is to die before the next.
    *((Faults.crash_after, skip) for skip in range(12)),
]


@pytest.mark.parametrize(("crash", "skip"), CRASHES)
def test_a_pass_that_crashes_at_any_call_ends_as_one_that_does_not(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, crash: Callable[..., Any], skip: int
) -> None:
    codes = [create(stack, EVIL) for _ in range(3)] + [create(stack)]
    stack.drain()
    monkeypatch.setattr(enforce, "RESERVE_MS", 10**9)
    impose(stack, HOST_BAN)
    fault = crash(stack.faults, "*", "*", skip=skip, function="ShortenerEnforce")
    stack.drain()
    assert fault.fired == 1
    assert any(isinstance(failure, Crash) for _, failure in stack.failures)
    assert [link(stack, code)["standing"] for code in codes] == ["banned"] * 3 + ["clear"]
    versions = [link(stack, code)["version"] for code in codes]
    assert versions == [2, 2, 2, 1], "nothing was done twice"


# ---- The blocklist hook -------------------------------------------------------------------------


def blocklist(url: str) -> str | None:
    """A hook: refuses one host, breaks on another."""
    if "broken" in url:
        raise OSError("the list is down")
    return "is on a list" if "listed" in url else None


def hooked(stack: Stack, hook: str) -> None:
    for name in ("ShortenerCreate", "ShortenerEdit"):
        declared = stack.functions[name]
        env = {**declared.env, "BLOCKLIST_HOOK": hook}
        stack.functions[name] = Function(**{**vars(declared), "env": env})


@pytest.mark.parametrize(
    ("hook", "url", "status", "failures"),
    [
        (
            f"{__name__}:blocklist",
            "https://listed.example/",
            422,
            None,
        ),
        (
            f"{__name__}:blocklist",
            "https://fine.example/",
            201,
            None,
        ),
        (
            f"{__name__}:blocklist",
            "https://broken.example/",
            201,
            1,
        ),
        (f"{__name__}:nothing", "https://fine.example/", 201, 1),
        ("tests.nothing:here", "https://fine.example/", 201, 1),
    ],
)
def test_a_blocklist_refuses_what_it_lists_and_fails_open(
    stack: Stack, hook: str, url: str, status: int, failures: int | None
) -> None:
    hooked(stack, hook)
    answer = stack.request("POST", "/v1/links", user="alice", json={"long_url": url})
    assert answer.status == status
    if status == 422:
        assert answer.json()["errors"] == [{"field": "long_url", "reason": "is on a list"}]
    assert stack.logs[-1].get("blocklist_failures") == failures
    assert "the list is down" not in json.dumps(stack.logs)
