from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from itertools import pairwise
from math import factorial, prod

import pytest

from tests.conftest import pytest_runtest_makereport
from tests.support import interleave
from tests.support.interleave import Actor, every_interleaving, pause, replay, seeded
from tests.support.pump import Stack

TABLE = "millrace-NoteEvents"


def _pausing(calls: Mapping[str, int], trace: list[str]) -> Mapping[str, Actor]:
    def actor(name: str, count: int) -> Actor:
        def act() -> str:
            for call in range(count):
                pause()
                trace.append(f"{name}{call}")
            return name

        return act

    return {name: actor(name, count) for name, count in calls.items()}


@pytest.mark.parametrize(
    "calls", [{"a": 1}, {"a": 2, "b": 2}, {"a": 3, "b": 2, "c": 1}, {"a": 0, "b": 2}]
)
def test_every_schedule_comes_once(calls: Mapping[str, int]) -> None:
    runs = list(every_interleaving(lambda: _pausing(calls, [])))
    expected = factorial(sum(calls.values())) // prod(map(factorial, calls.values()))
    assert len(runs) == len({run.schedule for run in runs}) == expected
    assert all(run.results() == {name: name for name in calls} for run in runs)


def test_a_turn_is_one_call() -> None:
    trace: list[str] = []

    def scenario() -> Mapping[str, Actor]:
        trace.clear()
        return _pausing({"a": 2, "b": 2}, trace)

    for run in every_interleaving(scenario):
        assert [step[0] for step in trace] == list(run.schedule)


def test_a_seed_and_a_schedule_repeat_a_run() -> None:
    def scenario() -> Mapping[str, Actor]:
        return _pausing({"a": 5, "b": 5}, [])

    runs = [seeded(scenario, seed) for seed in range(20)]
    assert [seeded(scenario, seed).schedule for seed in range(20)] == [r.schedule for r in runs]
    assert any(one.schedule != other.schedule for one, other in pairwise(runs))
    assert replay(scenario, runs[3].schedule).schedule == runs[3].schedule


def test_an_actors_failure_is_its_outcome() -> None:
    def failing() -> None:
        pause()
        raise KeyError("mine")

    run = seeded(lambda: {"good": pause, "bad": failing}, 0)
    assert isinstance(run.outcomes["bad"], KeyError)
    with pytest.raises(KeyError, match="mine"):
        run.results()


def test_an_actor_without_end_hits_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless() -> None:
        while True:
            pause()

    monkeypatch.setattr(interleave, "MAX_TURNS", 10)
    with pytest.raises(RuntimeError, match="endless"):
        seeded(lambda: {"endless": endless}, 0)


def test_outside_an_actor_nothing_pauses() -> None:
    pause()


def test_a_race_between_a_read_and_a_write_is_found(stack: Stack) -> None:
    """Two read-then-write increments: 4! / (2! 2!) schedules, the update lost in all but two."""

    def scenario() -> Mapping[str, Actor]:
        stack.reset()
        return {"a": increment, "b": increment}

    def increment() -> None:
        dynamodb = stack.runtime("NoteWrite").client("dynamodb")
        key = {"pk": {"S": "counter"}, "sk": {"N": "0"}}
        found = dynamodb.get_item(TableName=TABLE, Key=key).get("Item", {"v": {"N": "0"}})
        value = {"v": {"N": str(int(found["v"]["N"]) + 1)}}
        dynamodb.put_item(TableName=TABLE, Item={**key, **value})

    totals = []
    for run in every_interleaving(scenario):
        run.results()
        [item] = stack.client("dynamodb").scan(TableName=TABLE)["Items"]
        totals.append(int(item["v"]["N"]))
        assert [call.order for call in stack.meter.calls] == list(range(4))
    assert sorted(totals) == [1, 1, 1, 1, 2, 2]


def test_of_racing_creators_one_wins_in_every_schedule(stack: Stack) -> None:
    def scenario() -> Mapping[str, Actor]:
        stack.reset()
        return dict.fromkeys("abc", create)

    def create() -> int:
        body = {"id": "same", "text": "x"}
        return stack.request("POST", "/v1/notes", user="alice", json=body).status

    runs = list(every_interleaving(scenario))
    assert len(runs) == 6
    assert all(sorted(run.results().values()) == [201, 409, 409] for run in runs)  # type: ignore[type-var]


def test_requests_at_the_same_time_run_in_containers_of_their_own(stack: Stack) -> None:
    def create() -> str:
        body = {"id": "same", "text": "x"}
        return stack.request("POST", "/v1/notes", user="alice", json=body).headers["container"]

    run = seeded(lambda: dict.fromkeys("abc", create), 0)
    assert len(set(run.results().values())) == 3


def test_the_sdks_repeat_is_a_turn_of_its_own(stack: Stack) -> None:
    def scenario() -> Mapping[str, Actor]:
        stack.reset()
        stack.faults.throttle("dynamodb", "PutItem")
        return {"a": lambda: stack.request("POST", "/v1/notes", user="a", json=note).status}

    note = {"id": "a", "text": "x"}
    assert seeded(scenario, 0).schedule == ("a", "a")


def test_a_failing_tests_report_has_its_schedule(request: pytest.FixtureRequest) -> None:
    run = seeded(lambda: {"a": pause, "b": pause}, 1)
    report = pytest.TestReport("id", ("", 0, ""), {}, "failed", None, "call")
    hook = pytest_runtest_makereport(request.node)
    next(hook)
    with suppress(StopIteration):
        hook.send(report)
    [(_, text)] = report.sections
    assert text == f"replay(scenario, {list(run.schedule)})"
