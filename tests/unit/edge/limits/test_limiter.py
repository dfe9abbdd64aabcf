from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from functions.edge.limits.breaker import FAILURES, PAUSE_MS
from functions.edge.limits.buckets import Buckets
from functions.edge.limits.limiter import Limiter
from functions.edge.limits.rules import Asked, Rule
from tests.support.cloud.errors import Refused
from tests.unit.edge.limits.table import NAME, Table

NOW = 1_795_000_000_000
RULE = Rule("log", "/**", 100, 60, algorithm="sliding_log")
ASKED = Asked("/", "GET", {"user": "ada"})


@pytest.mark.parametrize("closed", [True, False])
def test_a_crowd_on_one_bucket_gets_nobody_through_uncounted(closed: bool) -> None:
    table, rules = Table(), [RULE._replace(closed=closed)]
    limiter, others = Limiter(table.container()), Limiter(table.container())
    table.rival = lambda: others.check("default", rules, ASKED, NOW)
    [decision] = limiter.check("default", rules, ASKED, NOW)
    assert not decision.allows
    assert decision.verdict is not None
    assert decision.verdict.wait > 0


def test_a_table_that_does_not_answer_is_left_alone_and_tried_again() -> None:
    table = Table()
    limiter = Limiter(table.container())
    table.failure = ReadTimeoutError(endpoint_url="https://table")
    for _ in range(FAILURES):
        assert uncounted(limiter, NOW)
    asked = table.calls
    assert uncounted(limiter, NOW + PAUSE_MS - 1)
    assert table.calls == asked
    assert uncounted(limiter, NOW + PAUSE_MS)
    assert uncounted(limiter, NOW + PAUSE_MS + 1)
    assert table.calls == asked + 1
    table.failure = None
    assert not uncounted(limiter, NOW + 2 * PAUSE_MS)
    assert not uncounted(limiter, NOW + 2 * PAUSE_MS)


def test_of_a_table_that_is_left_alone_no_slot_is_taken() -> None:
    table, rule = Table(), RULE._replace(algorithm="concurrency")
    limiter = Limiter(table.container())
    table.failure = ReadTimeoutError(endpoint_url="https://table")
    asked = ASKED._replace(slot=b"12345678")
    found = [limiter.check("default", [rule], asked, NOW) for _ in range(FAILURES + 1)]
    # Whose answer was lost may have taken.
    assert [each.slot for [each] in found] == [asked.slot] * FAILURES + [None]


@pytest.mark.parametrize(
    ("kinds", "closed", "deadline"),
    [
        (("user", "user"), (True, False), 900),
        (("user", "tenant"), (True, False), 900),
        (("user", "tenant"), (False, True), 20),
        (("user", "user"), (True, True), 900),
        (("user", "user"), (False, False), 20),
    ],
)
def test_what_refuses_without_an_answer_waits_for_it_as_long_as_it_says(
    kinds: tuple[str, str], closed: tuple[bool, bool], deadline: int
) -> None:
    table, asked = Table(), ASKED._replace(identities={"user": "ada", "tenant": "t"})
    seen: list[int] = []

    def client(deadline_ms: int) -> Any:
        seen.append(deadline_ms)
        return table.client

    rules = [
        RULE._replace(name=name, identifiers=(kind,), closed=refuses, deadline=wait)
        for name, kind, refuses, wait in zip("ab", kinds, closed, (900, 20), strict=True)
    ]
    decisions = Limiter(Buckets(client, NAME)).check("default", rules, asked, NOW)
    assert all(each.verdict is not None for each in decisions)
    assert set(seen) == {deadline}


def test_a_key_that_is_asked_too_often_closes_no_other_one() -> None:
    table = Table()
    limiter = Limiter(table.container())
    table.failure = Refused("ProvisionedThroughputExceededException", "too often")
    for _ in range(FAILURES):
        assert uncounted(limiter, NOW)
    table.failure = None
    assert not uncounted(limiter, NOW)


def uncounted(limiter: Limiter, now: int) -> bool:
    [decision] = limiter.check("default", [RULE], ASKED, now)
    return decision.verdict is None


def test_who_takes_of_a_short_limit_lets_no_long_one_of_the_same_item_be_forgotten() -> None:
    table = Table()
    uploads = Rule("upload", "/upload", 10, 86_400, algorithm="fixed_window")
    rules = [uploads, Rule("search", "/search", 10, 1)]
    for endpoint in ("/upload", "/search"):
        # One write each: what is known of the item is when it may go, though it was never seen.
        before = table.calls
        asked = ASKED._replace(endpoint=endpoint)
        assert Limiter(table.container()).check("default", rules, asked, NOW)[0].allows
        assert table.calls == before + 1
    [item] = table.items()
    assert int(item["gone_at"]["N"]) >= NOW // 1000 + uploads.remembers


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("code", ["ThrottlingError", "ProvisionedThroughputExceeded"])
def test_a_transaction_that_is_throttled_could_not_be_counted(closed: bool, code: str) -> None:
    table, both = Table(), ASKED._replace(identities={"user": "ada", "tenant": "t"})
    rules = [RULE._replace(identifiers=(kind,), closed=closed) for kind in both.identities]
    reasons = [{"Code": code, "Message": "too often"}, {"Code": "None"}]
    table.failure = Refused("TransactionCanceledException", CancellationReasons=reasons)
    found = Limiter(table.container()).check("default", rules, both, NOW)
    assert [(each.verdict, each.allows) for each in found] == 2 * [(None, not closed)]
    assert table.calls == 1


LOG, WINDOW = RULE._replace(limit=10), Rule("r", "/**", 10, 60, algorithm="fixed_window")
BUCKET = Rule("r", "/**", 10, 86_400)
QUEUE = BUCKET._replace(algorithm="leaky_bucket")


@pytest.mark.parametrize(
    ("before", "after", "left"),
    [
        (LOG, LOG._replace(limit=15), 5),
        (WINDOW, WINDOW._replace(limit=1000), 990),
        (BUCKET, BUCKET._replace(limit=1000), 1000),
        (BUCKET._replace(burst=10), BUCKET._replace(burst=10, limit=1000), 10),
        (BUCKET._replace(burst=1000), BUCKET._replace(burst=10), 10),
        (QUEUE, QUEUE._replace(limit=12), 12),
    ],
)
def test_an_edited_limit_goes_on_with_what_was_taken_and_a_bucket_begins_anew(
    before: Rule, after: Rule, left: int
) -> None:
    table = Table()
    for rule, most in ((before, before.at_once), (after, left)):
        all_of_it = ASKED._replace(cost=most)
        assert Limiter(table.container()).check("default", [rule], all_of_it, NOW)[0].allows
        assert not Limiter(table.container()).check("default", [rule], ASKED, NOW)[0].allows
