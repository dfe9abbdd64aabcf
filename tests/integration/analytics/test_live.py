"""Live numbers are those of one pass over the facts, however often a container is asked."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

import pytest

from functions.analytics import live, segments
from functions.analytics.facts import Fact, hour_of, minute_of
from functions.analytics.hours import Hours, gone_at
from functions.analytics.live import Live
from functions.analytics.segments import fold
from tests.support.pump import Stack
from tests.unit.analytics.reference import SITE, traffic, visitors

MINUTE = 60_000


class Site:
    """A site in two lanes that comes to life, and a container that looks at it."""

    def __init__(self, stack: Stack) -> None:
        self._now = stack.clock.now
        client = stack.client("dynamodb")
        table = stack.functions["AnalyticsFold"].env["ROLLUPS_TABLE"]
        self._hours = Hours(client, table, None, "")
        self._facts: list[Fact] = []
        self.live = Live(self._hours)

    def sees(self, facts: list[Fact]) -> None:
        """Folds the minutes of these, with whatever came before."""
        self._facts += facts
        buckets: defaultdict[tuple[int, int], list[Fact]] = defaultdict(list)
        for fact in self._facts:
            buckets[minute_of(fact.at), int(fact.id[-1]) % 2].append(fact)
        for bucket, found in buckets.items():
            hour = hour_of(bucket[0], SITE.phase)
            until = gone_at(hour, SITE.phase, self._now())
            self._hours.put(SITE.id, hour, bucket, fold(found), until, self._now())

    def check(self) -> None:
        """The document is what one pass over the facts says."""
        last = minute_of(self._now())
        mine = [
            fact
            for fact in self._facts
            if last - 30 < minute_of(fact.at) <= last and not fact.machine
        ]
        document = self.live.answer(SITE, self._now())
        expected = [
            numbers(fact for fact in mine if minute_of(fact.at) == minute)
            for minute in range(last - 29, last + 1)
        ]
        found = [(each["events"], each["visitors"]) for each in document["minutes"]]
        assert found == expected
        sliding = numbers(fact for fact in mine if minute_of(fact.at) > last - 5)
        assert tuple(document["sliding"].values()) == sliding
        assert document["visitors"] == sliding[1]
        assert [tuple(each.values()) for each in document["pages"]] == pages(mine)


def numbers(facts: Any) -> tuple[int, int]:
    """Events and visitors."""
    mine = list(facts)
    return len(mine), len(visitors(mine))


def pages(facts: list[Fact]) -> list[tuple[str, int, int]]:
    """The ten pages with the most visitors, each with its events and visitors."""
    names = {fact.page for fact in facts if fact.page}
    rows = [(name, *numbers(fact for fact in facts if fact.page == name)) for name in names]
    return sorted(rows, key=lambda row: (-row[2], -row[1], row[0]))[:10]


@pytest.mark.parametrize("remembered", [live.REMEMBERED, 5, 0])
def test_a_container_that_is_asked_again_says_what_has_come_since(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, remembered: int
) -> None:
    monkeypatch.setattr(live, "REMEMBERED", remembered)
    chance, site = random.Random(remembered), Site(stack)
    site.check()
    for round in range(4):
        now = stack.clock.now()
        some = traffic(chance, 60, now - 45 * MINUTE, 46 * MINUTE)
        site.sees([fact._replace(id=f"{round}-{fact.id}") for fact in some])
        site.check()
        site.check()
        stack.advance(7 * 60)


def test_what_was_counted_is_not_counted_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[bytes] = []

    def decode(content: bytes) -> Any:
        decoded.append(content)
        return segments.decode(content)

    monkeypatch.setattr(live, "decode", decode)
    site, now = Site(stack), stack.clock.now()
    site.sees(
        [Fact(f"a{n}", SITE.id, now - n * MINUTE, "pageview", page=f"/{n}") for n in range(20)]
    )
    site.check()
    assert len(decoded) == 20
    site.check()
    assert len(decoded) == 20
    site.sees([Fact("b0", SITE.id, now, "pageview")])
    site.check()
    assert len(decoded) == 21


def test_what_a_container_keeps_in_mind_is_bounded_though_nobody_has_a_name(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "REMEMBERED", 50)
    site = Site(stack)
    for number in range(40):
        page = f"/{number}"
        site.sees([Fact(f"a{number}", SITE.id, stack.clock.now(), "pageview", page=page)])
        site.check()
    assert site.live.remembered <= 50
