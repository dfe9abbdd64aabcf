"""Rules on trial: what the verb says of a recording, and what it refuses to read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from functions.edge.limits.rules import Asked, Rule, Rulebook
from millrace.cli import app
from millrace.recordings import rules_in
from millrace.trial import Recorded, run
from tests.support.handlers import ROOT
from tests.support.recording import NOON, PAGE, lines

EXAMPLE = ROOT / "examples" / "ratelimiter" / "rules.yaml"
RULE = {"name": "all", "limit": 2, "window": "10s", "algorithm": "sliding_log"}
Try = Callable[..., Result]


@pytest.fixture
def attempt(tmp_path: Path) -> Try:
    """Runs `rules test` on rules and a recording, each a text."""

    def run(rules: str, traffic: str, *options: str, suffix: str = "ndjson") -> Result:
        (tmp_path / "rules.yaml").write_text(rules)
        recording = tmp_path / f"traffic.{suffix}"
        recording.write_bytes(traffic.encode(errors="surrogateescape"))
        verb = ["rules", "test", str(tmp_path / "rules.yaml"), "--traffic", str(recording)]
        return CliRunner().invoke(app, [*verb, *options])

    return run


def told(result: Result, exit_code: int = 0) -> Any:
    assert result.exit_code == exit_code, (result.output, result.exception)
    return json.loads(result.stdout)


def recorded(*seconds: float, **asked: Any) -> str:
    """Requests of one user at so many seconds."""
    whole = {"endpoint": "/a", "user": "ada", **asked}
    return "".join(json.dumps({"at": round(NOON + s * 1000), **whole}) + "\n" for s in seconds)


def as_json(*rules: dict[str, Any]) -> str:
    return json.dumps({"rules": list(rules)}, indent=2)


def test_the_recording_is_what_its_script_makes() -> None:
    assert PAGE.read_text() == lines()


def test_the_example_says_whom_its_rules_deny() -> None:
    verb = ["rules", "test", str(EXAMPLE), "--traffic", str(PAGE), "--json"]
    outcome = told(CliRunner().invoke(app, verb))
    rules = {each["rule"]: each for each in outcome["rules"]}
    assert list(rules) == [rule.name for rule in rules_in(EXAMPLE).rules]
    # A guess every two seconds, five in any minute: of 40, those in the first ten seconds of two.
    guesses = [2 * n for n in range(40)]
    kept: list[int] = []
    for at in guesses:
        if sum(at - each < 60 for each in kept) < 5:
            kept.append(at)
    assert (rules["login"]["fit"], rules["login"]["allowed"]) == (len(guesses), len(kept))
    assert rules["login"]["most_denied"] == [
        {"identity": "ip 198.51.100.23", "denied": len(guesses) - len(kept)}
    ]
    assert (rules["upload"]["allowed"], rules["upload"]["denied"]) == (10, 2)
    assert rules["search-premium"]["denied"] == 0
    denied = {name for name, each in rules.items() if each["denied"]}
    assert denied == {"login", "upload", "user", "key-second"}
    assert outcome["allowed"] + outcome["denied"] == outcome["requests"] == lines().count("\n")


def test_the_readme_shows_what_the_verb_prints() -> None:
    verb = ["rules", "test", str(EXAMPLE), "--traffic", str(PAGE)]
    printed = [line.rstrip() for line in CliRunner().invoke(app, verb).stdout.splitlines()]
    readme = (ROOT / "functions" / "ratelimiter" / "README.md").read_text()
    assert "\n".join(printed) in readme


def test_a_baseline_tells_what_would_change(attempt: Try, tmp_path: Path) -> None:
    baseline = tmp_path / "now.yaml"
    baseline.write_text(as_json({**RULE, "limit": 3}, {**RULE, "name": "old", "endpoint": "/b"}))
    traffic = recorded(0, 1, 2, 3) + recorded(4, 5, 6, endpoint="/b", user="bob")
    outcome = told(attempt(as_json({**RULE, "endpoint": "/a"}), traffic, "--baseline",
                           str(baseline), "--json"))  # fmt: skip
    assert (outcome["denied"], outcome["newly_denied"], outcome["newly_allowed"]) == (2, 1, 1)
    assert outcome["rules"][0]["newly_denied"] == 1


@pytest.mark.parametrize(("percent", "code"), [("0", 1), ("49.9", 1), ("50", 0), ("100", 0)])
def test_more_denied_than_agreed_is_exit_1(attempt: Try, percent: str, code: int) -> None:
    result = attempt(as_json(RULE), recorded(0, 1, 2, 3), "--fail-above", percent, "--json")
    assert told(result, code)["share"] == 0.5


def test_so_many_requests_and_no_more(attempt: Try) -> None:
    outcome = told(attempt(as_json(RULE), recorded(0, 1, 2, 3), "--limit-to", "3", "--json"))
    assert (outcome["requests"], outcome["denied"]) == (3, 1)


def test_a_shadow_denies_nobody_and_says_whom_it_would(attempt: Try) -> None:
    outcome = told(attempt(as_json({**RULE, "shadow": True}), recorded(0, 1, 2), "--json"))
    assert outcome["denied"] == 0
    assert (outcome["rules"][0]["shadow"], outcome["rules"][0]["denied"]) == (True, 1)


def test_what_is_in_flight_is_not_on_trial(attempt: Try) -> None:
    slots = {**RULE, "name": "slots", "limit": 1, "algorithm": "concurrency"}
    outcome = told(attempt(as_json(RULE, slots), recorded(0, 1, 2), "--json"))
    assert ([each["rule"] for each in outcome["rules"]], outcome["denied"]) == (["all"], 1)


def test_a_limit_of_shards_is_tried_the_same_way_twice(attempt: Try) -> None:
    sharded = {**RULE, "limit": 20, "algorithm": "token_bucket", "shards": 4}
    traffic = recorded(*(n / 10 for n in range(60)))
    first, again = (told(attempt(as_json(sharded), traffic, "--json")) for _ in range(2))
    assert first == again
    # Twenty at once and two a second: whoever meets an empty shard tries another.
    assert 20 <= first["allowed"] <= 20 + 2 * 6


def test_lists_decide_before_rules_do(attempt: Try) -> None:
    lists = {"allow": [{"user": "ada"}], "deny": [{"ip": "203.0.113.0/24"}]}
    traffic = recorded(0, 1, 2) + recorded(3, user="bob", ip="203.0.113.9")
    outcome = told(attempt(json.dumps({"rules": [RULE], **lists}), traffic, "--json"))
    assert (outcome["denied"], outcome["denied_by_list"]) == (1, 1)
    assert outcome["rules"][0]["fit"] == 0


def test_lines_out_of_order_are_counted_and_said(attempt: Try) -> None:
    traffic = recorded(5, 0, 6)
    assert told(attempt(as_json(RULE), traffic, "--json"))["out_of_order"] == 1
    assert "1 lines are older than one before" in attempt(as_json(RULE), traffic).stdout


def test_a_csv_is_read_as_the_same_requests(attempt: Try) -> None:
    header = "at,endpoint,method,user,ip,api_key,tenant,tier,cost,headers\n"
    row = '2026-11-21T12:00:0{}Z,/a,POST,,203.0.113.7,,,premium,2,"{{""x-team"": ""red""}}"\n'
    rules = as_json(
        {**RULE, "limit": 3, "identifiers": ["ip"], "tier": "premium", "methods": ["POST"]},
        {**RULE, "name": "team", "identifiers": ["header:x-team"]},
    )
    outcome = told(attempt(rules, header + row.format(0) + row.format(1), "--json", suffix="csv"))
    most = [each["most_denied"] for each in outcome["rules"]]
    assert (outcome["denied"], most) == (
        1,
        [
            [{"identity": "ip 203.0.113.7", "denied": 1}],
            [{"identity": "header:x-team red", "denied": 1}],
        ],
    )


HEAD = "at,endpoint,user\n"


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("rules:\n- name: a\n  limit: 0\n  window: 60s\n", "rules.yaml:3: rules.0.limit: "),
        ("rules:\n- name: a\n  window: 60s\n", "rules.yaml:2: rules.0.limit: Field required"),
        ("rules:\n- {name: a, limit: 1,\n   window: 2w}", "rules.yaml:3: rules.0.window: not a"),
        ("rules:\n- name: a\n  limt: 5\n", "rules.yaml:3: rules.0.limt: Extra inputs"),
        ("rules:\n- name: a\n  limit: 1\n  window: 1m\n  cost: 2\n", "rules.yaml:2: rules.0: "),
        (as_json(RULE, RULE), "rules.yaml:1: names are given twice: all"),
        ("rules: [\n", "rules.yaml:2: "),
        ("- name: a\n", "rules.yaml:1: Input should be an object"),
        ("", "rules.yaml:1: Input should be an object"),
        ("[" * 5000, "rules.yaml: is neither YAML nor JSON"),
    ],
)
def test_rules_that_are_none_are_named_by_file_line_and_field(
    attempt: Try, rules: str, said: str
) -> None:
    assert said in refused(attempt(rules, recorded(0)))


def test_every_fault_of_the_rules_is_named(attempt: Try) -> None:
    faults = refused(attempt("rules:\n- name: A\n  limit: 0\n  window: 0s\n", recorded(0)))
    assert re.findall(r"rules\.yaml:(\d+)", faults) == ["2", "3", "4"]


@pytest.mark.parametrize(
    ("traffic", "suffix", "said"),
    [
        (recorded(0) + "{\n", "ndjson", "traffic.ndjson:2: is not a JSON document"),
        ("\n" + recorded(0) + "[" * 100_000, "ndjson", "traffic.ndjson:3: is not a JSON document"),
        (recorded(0) + "5\n", "ndjson", "traffic.ndjson:2: is not an object"),
        (recorded(0, ip="1.2.3"), "ndjson", "traffic.ndjson:1: ip: is not an IP address"),
        (recorded(0, cost=0), "ndjson", "traffic.ndjson:1: cost: is not a whole number"),
        (recorded(0, colour="red"), "ndjson", "traffic.ndjson:1: colour: is not known"),
        ('{"endpoint": "/a", "user": "a"}', "ndjson", "traffic.ndjson:1: at: is not an RFC 3339"),
        ('{"at": true, "endpoint": "/a", "user": "a"}', "ndjson", "traffic.ndjson:1: at: is not"),
        ('{"at": -1, "endpoint": "/a", "user": "a"}', "ndjson", "traffic.ndjson:1: at: is not"),
        (recorded(0, at="9" * 5000), "ndjson", "traffic.ndjson:1: at: is not an RFC 3339"),
        ('{"at": 1, "endpoint": "/a"}', "ndjson", "traffic.ndjson:1: nobody is named"),
        ("\udcff", "ndjson", "traffic.ndjson: is not UTF-8 text"),
        (HEAD + "1,/a,ada\n1,a,ada\n", "csv", "traffic.csv:3: endpoint: is not a path"),
        (HEAD + "1,/a,ada,more\n", "csv", "traffic.csv:2: has more cells than the header"),
        (HEAD + f"1,/{'a' * 200_000},ada\n", "csv", "traffic.csv:2: field larger than"),
        ("a" * 200_000, "csv", "traffic.csv:1: field larger than"),
        ("at,endpoint,who\n", "csv", "traffic.csv:1: who: is none of at, api_key"),
        ("at,endpoint,user,cost\n1,/a,ada,two\n", "csv", "traffic.csv:2: cost: is not a whole"),
        (recorded(0), "log", "traffic.log: is neither .ndjson, .jsonl nor .csv"),
    ],
)
def test_traffic_that_is_none_is_named_by_file_line_and_field(
    attempt: Try, traffic: str, suffix: str, said: str
) -> None:
    assert said in refused(attempt(as_json(RULE), traffic, suffix=suffix))


def test_a_baseline_that_is_not_there_is_said(attempt: Try) -> None:
    result = attempt(as_json(RULE), recorded(0), "--baseline", "tomorrow")
    assert "tomorrow: is neither active nor a file" in refused(result)


def refused(result: Result) -> str:
    """The one line of an error."""
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("millrace: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_nothing_is_denied_of_nothing(attempt: Try) -> None:
    outcome = told(attempt(as_json(RULE), "", "--fail-above", "0", "--json"))
    assert (outcome["requests"], outcome["share"]) == (0, 0)
    assert outcome["rules"][0]["least_remaining"] is None


@given(
    waits=st.lists(st.integers(0, 4000), max_size=60),
    users=st.randoms(use_true_random=False),
    limit=st.integers(1, 5),
)
def test_a_log_on_trial_admits_what_counting_everything_anew_admits(
    waits: list[int], users: Any, limit: int
) -> None:
    rule = Rule("all", "/**", limit, 10, algorithm="sliding_log")
    at, traffic = NOON, []
    for wait in waits:
        at += wait
        traffic.append(Recorded(at, Asked("/a", "GET", {"user": users.choice("ab")})))
    taken: list[tuple[int, str]] = []
    for moment, asked in traffic:
        user = asked.identities["user"]
        if sum(u == user and moment - t < 10_000 for t, u in taken) < limit:
            taken.append((moment, user))
    assert run(Rulebook((rule,)), Rulebook(), traffic).denied == len(traffic) - len(taken)
