"""Days built anew say what the facts say by what is declared now, whatever happens meanwhile."""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest

from functions.analytics.decider import Definition
from functions.analytics.facts import Fact, day_of
from functions.analytics.rebuilding import Rebuild
from functions.analytics.rows import Rows
from millrace.errors import BenchError
from millrace.rebuilding import Rebuilding, Rebuilt, Watcher
from tests.integration.analytics.bulk import compact, gather, make_bulk
from tests.integration.analytics.counting import (
    define,
    expected_rows,
    expected_tops,
    hours,
    items,
    keep,
    message,
    records,
    rows,
    site,
    tops,
    traffic,
)
from tests.integration.analytics.sites import ANY, ask, change, make
from tests.integration.test_cli import Bench, PumpedStack, bench, refused, told
from tests.support.faults import Crash
from tests.support.interleave import Actor, seeded
from tests.support.pump import Stack

__all__ = ["bench"]

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
BENCH = "AnalyticsFold"
"""As which function the bench calls."""
SILENT = Watcher(lambda left: None, lambda steps: None, lambda: None)


def counted(stack: Stack, number: int = 40) -> tuple[Definition, list[Fact], str]:
    """A site of which so many facts of today's first two hours are counted; and today."""
    defined, start = site(stack), stack.clock.now() // DAY * DAY
    stack.advance((start + 2 * HOUR - stack.clock.now()) / 1000 + 1)
    facts = keep(stack, traffic(random.Random(number), number, start, 2 * HOUR), defined)
    stack.drain()
    return defined, facts, day_of(start // HOUR)


def redeclare(stack: Stack, made: Definition) -> Definition:
    """Another pair, a wider goal, a narrower one, and one that nothing reaches any more."""
    change(stack, made.id, json={"pairs": [["os", "country"], ["page", "country"]]})
    goals = {"new": ("page", "*"), "docs": ("page", "/docs/a"), "signup": ("event", "nothing")}
    for name, (what, pattern) in goals.items():
        goal = {"what": what, "pattern": pattern}
        change(stack, made.id, f"/goals/{name}", "PUT", json=goal)
    return define(stack, made.id)


def rebuild(stack: Stack, made: Definition, day: str, wait: float | None = None) -> Rebuilt:
    return Rebuilding(PumpedStack(stack), made.id).run(day, day, wait, SILENT)


def check(stack: Stack, facts: list[Fact], made: Definition) -> None:
    """All that is declared says what the facts say; the rest is as nobody asks for it any more."""
    assert declared(rows(stack), made) == expected_rows(facts, made)
    assert declared(tops(stack), made) == expected_tops(facts, made)
    assert items(stack, "dirty#") == []


def declared(said: Mapping[tuple[str, str, str], Any], made: Definition) -> dict[Any, Any]:
    return {key: each for key, each in said.items() if key[0] in made.rollups}


def resend(stack: Stack) -> None:
    stack.advance(600)
    stack.invoke("AnalyticsTend", {"for": "marks"})
    stack.drain()


def test_what_is_declared_after_the_fact_is_counted(stack: Stack) -> None:
    before, facts, day = counted(stack)
    made = redeclare(stack, before)
    was = declared(rows(stack), made)
    assert ("goal", "signup", day) in was
    done = rebuild(stack, made, day)
    assert (done.days, done.hours) == ([day], 3)
    check(stack, facts, made)
    assert ("goal", "signup", day) not in rows(stack)
    assert was["all", "", day] == rows(stack)["all", "", day]


def test_what_counts_no_more_is_not_listed(stack: Stack) -> None:
    before, _, day = counted(stack)
    made = redeclare(stack, before)
    rebuild(stack, made, day)
    found = Rows(stack.client("dynamodb"), stack.functions["AnalyticsRoll"].env["ROLLUPS_TABLE"])
    assert set(found.tops(made.id, "goal", day, day)[day]) == {"new", "docs"}


def test_twice_is_once(stack: Stack) -> None:
    made, facts, day = counted(stack)
    for _ in range(2):
        rebuild(stack, made, day)
        check(stack, facts, made)


def test_it_waits_until_nobody_goes_by_what_was_declared_before(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, facts, day = counted(stack)
    # Its container remembers the site for a minute from now.
    [late] = keep(stack, [facts[0]._replace(id="late")], before)
    stack.drain()
    made, begin = redeclare(stack, before), Rebuild.begin

    def begin_and_be_overtaken(*given: Any) -> int:
        epoch = begin(*given)
        for hour in hours(facts, made):
            stack.invoke("AnalyticsRoll", message(made, hour))
        return epoch

    monkeypatch.setattr(Rebuild, "begin", begin_and_be_overtaken)
    rebuild(stack, made, day)
    check(stack, [*facts, late], made)


@pytest.mark.parametrize("skip", range(1, 45, 11))
@pytest.mark.parametrize("operation", ["UpdateItem", "PutItem", "*Item*"])
def test_a_rebuild_that_dies_harms_nothing_and_is_done_again(
    stack: Stack, operation: str, skip: int
) -> None:
    before, facts, day = counted(stack, 12)
    made = redeclare(stack, before)
    wanted = "*" if operation == "*Item*" else operation
    # Reading sixty empty buckets an hour is passed over by strides.
    skipped = skip * 8 if wanted == "*" else skip
    stack.faults.crash_before("dynamodb", wanted, function=BENCH, skip=skipped)
    with suppress(Crash):
        rebuild(stack, made, day)
    stack.faults.clear()
    more = [fact._replace(id=f"more{fact.id}") for fact in facts[:4]]
    facts += keep(stack, more, made)
    stack.drain()
    rebuild(stack, made, day)
    check(stack, facts, made)


@pytest.mark.parametrize("skip", [0, 1, 5, 20, 60])
def test_once_begun_it_is_done_even_if_the_bench_dies(stack: Stack, skip: int) -> None:
    before, facts, day = counted(stack, 12)
    made = redeclare(stack, before)
    stack.faults.crash_after("dynamodb", "TransactWriteItems", function=BENCH)
    with pytest.raises(Crash):
        rebuild(stack, made, day)
    stack.faults.crash_before("*", "*", function="AnalyticsRoll", skip=skip)
    resend(stack)
    check(stack, facts, made)


@pytest.mark.parametrize("seed", range(4))
def test_events_that_come_meanwhile_are_counted(stack: Stack, seed: int) -> None:
    before, facts, day = counted(stack, 12)
    made = redeclare(stack, before)
    stack.advance(120)
    chance = random.Random(seed)
    start = stack.clock.now() // DAY * DAY
    more = [fact._replace(id=f"m{fact.id}") for fact in traffic(chance, 8, start, HOUR)]

    def come(batch: list[Fact]) -> Any:
        return stack.invoke("AnalyticsFold", records(keep(stack, batch, made), made))

    def roll() -> Any:
        return [stack.invoke("AnalyticsRoll", message(made, hour)) for hour in hours(facts, made)]

    def scenario() -> Mapping[str, Actor]:
        return {
            "rebuilds": lambda: rebuild(stack, made, day, wait=0),
            "rebuilds too": lambda: rebuild(stack, made, day, wait=0),
            "come": lambda: [come([fact]) for fact in more[:4]],
            "come too": lambda: come(more[4:]),
            "roll": lambda: [roll() for _ in range(3)],
        }

    seeded(scenario, seed).results()
    stack.drain()
    check(stack, [*facts, *(fact._replace(site=made.id) for fact in more)], made)


def forget(stack: Stack, table: str) -> None:
    """What a table's TTL deletes."""
    client, name = stack.client("dynamodb"), stack.functions["AnalyticsFold"].env[table]
    for item in client.scan(TableName=name)["Items"]:
        if "gone_at" in item and int(item["gone_at"]["N"]) * 1000 <= stack.clock.now():
            client.delete_item(TableName=name, Key={key: item[key] for key in ("pk", "sk")})


def test_a_day_whose_segments_are_gone_is_built_and_counts_on_when_its_own_are(
    stack: Stack,
) -> None:
    before, facts, day = counted(stack)
    made = redeclare(stack, before)
    stack.advance(10 * 86_400)
    forget(stack, "ROLLUPS_TABLE")
    assert items(stack, "minute#") == []
    assert rebuild(stack, made, day).hours == 24
    check(stack, facts, made)
    stack.advance(200 * 86_400)
    forget(stack, "ROLLUPS_TABLE")
    assert rows(stack) != {}
    facts += keep(stack, [fact._replace(id=f"late{fact.id}") for fact in facts[:3]], made)
    stack.drain()
    check(stack, facts, made)


def test_rows_stay_where_the_ledger_has_lost_their_facts(stack: Stack) -> None:
    made, facts, day = counted(stack)
    change(stack, made.id, json={"retention_days": 1})
    stack.advance(2 * 86_400)
    change(stack, made.id, json={"retention_days": 30})
    forget(stack, "ROLLUPS_TABLE")
    table = stack.functions["AnalyticsFold"].env["FACTS_TABLE"]
    client = stack.client("dynamodb")
    for item in client.scan(TableName=table)["Items"][:3]:
        client.delete_item(TableName=table, Key={key: item[key] for key in ("pk", "sk")})
    stack.advance(2 * 86_400)
    forget(stack, "ROLLUPS_TABLE")
    before = rows(stack)
    with pytest.raises(BenchError, match=r"the ledger has \d+ of the \d+ facts"):
        rebuild(stack, define(stack, made.id), day)
    assert rows(stack) == before == expected_rows(facts, made)


def test_the_verb_builds_days(stack: Stack, bench: Bench) -> None:
    before, facts, day = counted(stack, 12)
    made = redeclare(stack, before)
    verb = ("replay", "analytics", "rollups", "--site", made.id, "--day", day)
    done = told(bench(*verb, "--until", day, "--json"))
    assert (done["site"], done["days"], done["hours"]) == (made.id, [day], 3)
    assert done["rows"] >= len(expected_rows(facts, made))
    check(stack, facts, made)
    assert f"{made.id}: 1 day built anew, 3 hours" in bench(*verb).stdout.replace("\n", " ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "say --site and --day"),
        (["--site", "000000000000", "--day", "2026-11-01"], "there is no site 000000000000"),
        (["--site", "link:default/nosuch", "--day", "2026-11-01"], "there is no short link"),
        (["--site", "SITE", "--day", "2026-10-01"], "are gone: "),
        (["--site", "SITE", "--day", "2026-12-01"], "2026-12-01 has not begun"),
        (["--site", "SITE", "--day", "yesterday"], "yesterday is no day"),
        (["--site", "SITE", "--day", "2026-11-01", "--until", "2026-10-31"], "is before --day"),
        (["--site", "GONE", "--day", "2026-11-01"], "was deleted"),
    ],
)
def test_what_cannot_be_built_is_one_line(
    stack: Stack, bench: Bench, words: list[str], said: str
) -> None:
    made, gone = make(stack, retention_days=2), make(stack)
    ask(stack, "DELETE", f"/{gone}", 204, headers=ANY)
    ids = {"SITE": made, "GONE": gone}
    given = [ids.get(word, word) for word in words]
    assert said in refused(bench("replay", "analytics", "rollups", *given))


def test_a_view_is_built_whole(stack: Stack, bench: Bench) -> None:
    assert "is built whole" in refused(bench("replay", "analytics", "sites", "--day", "2026-11-01"))


def test_of_the_bulk_ledger_hours_are_compacted_again(stack: Stack) -> None:
    made = make_bulk(stack)
    gather(stack, made, requests=2, events=10)
    day = day_of(stack.clock.now() // HOUR)
    compact(stack)
    stack.advance(5 * 86_400)
    forget(stack, "ROLLUPS_TABLE")
    assert items(stack, "minute#") == []
    change(stack, made, "/goals/first", "PUT", json={"what": "page", "pattern": "/0"})
    rebuild(stack, define(stack, made), day)
    found = rows(stack)
    [(cells, _)] = [row for key, row in found.items() if key[:2] == ("goal", "first")]
    assert cells == found["page", "/0", day][0]
    assert sum(cell[0] for cell in found["all", "", day][0].values()) == 20
    rebuild(stack, define(stack, made), day)
    assert rows(stack) == found
