"""Every sample in events/ fed to its handler, so that none can rot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.handlers import ROOT, handler_modules
from tests.support.pump import Stack

SAMPLES = sorted((ROOT / "events").glob("*/*.json"))


class Case(NamedTuple):
    """What a sample is answered with, once the samples `after` have run, in a stack with these
    `parameters`."""

    expected: Any
    after: tuple[str, ...] = ()
    parameters: Mapping[str, str] = {}


CREATED = ("create.alias",)
MADE = ("sites.create",)
QUIET = None
"""What a stream handler and a schedule return."""

CASES = {
    "shortener": {
        "create.alias": Case(201),
        "create.dedupe": Case(201),
        "create.invalid": Case(422),
        "bulk.create": Case(200),
        "redirect.unknown": Case(404),
        "redirect.found": Case(302, CREATED),
        "redirect.head": Case(302, CREATED),
        "edit.patch": Case(200, CREATED),
        "edit.delete": Case(204, CREATED),
        "edit.transfer": Case(200, CREATED),
        "read.one": Case(200, CREATED),
        "read.at": Case(200, (*CREATED, "edit.patch")),
        "read.history": Case(200, (*CREATED, "edit.patch")),
        "read.list": Case(200),
        "read.filtered": Case(200),
        "read.export": Case(200),
        "qr.svg": Case(200, CREATED),
        "qr.png": Case(200, CREATED),
        "project.stream": Case(QUIET),
        "project.duplicate": Case(QUIET),
        "project.retry": Case({"batchItemFailures": []}, CREATED),
        "publish.stream": Case(QUIET),
        "publish.duplicate": Case(QUIET),
        "publish.retry": Case({"batchItemFailures": []}, CREATED),
        "sweep.scheduled": Case(QUIET, CREATED),
        "ops.standing": Case(200, CREATED),
        "ops.ban": Case(200),
        "ops.lift": Case(204, ("ops.ban",)),
        "ops.domain": Case(200),
        "report.code": Case(202, CREATED),
        "enforce.order": Case({"batchItemFailures": []}, (*CREATED, "ops.ban")),
        "enforce.daily": Case(QUIET),
        "fill.scheduled": Case(QUIET, parameters={"CodeStrategy": "pool"}),
        "redirect.unlock": Case(303, CREATED),
        "pending.forged": Case(404),
        "execute.deferred": Case({"batchItemFailures": []}),
        "timers.scheduled": Case(QUIET),
        "purge.due": Case({"batchItemFailures": []}, CREATED),
    },
    "analytics": {
        # Sites
        "sites.create": Case(201),
        "sites.invalid": Case(422),
        "sites.edit": Case(200, MADE),
        "sites.goal": Case(200, MADE),
        "sites.ungoal": Case(200, (*MADE, "sites.goal")),
        "sites.funnel": Case(200, MADE),
        "sites.unfunnel": Case(200, (*MADE, "sites.funnel")),
        "sites.delete": Case(204, MADE),
        "sites.one": Case(200, MADE),
        "sites.at": Case(200, (*MADE, "sites.edit")),
        "sites.history": Case(200, (*MADE, "sites.edit")),
        "sites.list": Case(200),
        "project.stream": Case(QUIET),
        "project.duplicate": Case(QUIET),
        "project.retry": Case({"batchItemFailures": []}, MADE),
        "sweep.scheduled": Case(QUIET, MADE),
        "audience.told": Case({"batchItemFailures": []}),
        "tend.marks": Case(QUIET),
        "tend.facts": Case(QUIET),
        # Events in
        "track.events": Case(202, MADE),
        "track.foreign": Case(403, MADE),
        "track.optout": Case(202),
        "track.preflight": Case(204),
        "submit.events": Case(202, MADE),
        "ingest.tracked": Case({"batchItemFailures": []}, MADE),
        "clicks.clicked": Case({"batchItemFailures": []}),
        # The bulk ledger
        "gather.batch": Case({"batchItemFailures": []}, MADE),
        "compact.hour": Case({"batchItemFailures": []}, (*MADE, "gather.batch")),
        "compact.folder": Case({"batchItemFailures": []}),
        "compact.hourly": Case(QUIET),
        "compact.daily": Case(QUIET),
        # Rollups and queries
        "fold.stream": Case(QUIET),
        "fold.retry": Case({"batchItemFailures": []}),
        "roll.hour": Case({"batchItemFailures": []}),
        "stats.hours": Case(200, MADE),
        "stats.live": Case(200, MADE),
        "stats.link": Case(404),
        # Goals, funnels, exports
        "conversions.goals": Case(200, MADE),
        "conversions.funnel": Case(200, (*MADE, "sites.funnel")),
        "exports.ask": Case(202, MADE),
        "exports.unknown": Case(404, MADE),
        "export.run": Case({"batchItemFailures": []}),
        # Dashboard
        "page.snippet": Case(200),
    },
    "ratelimiter": {
        "rules.publish": Case(200),
        "rules.lists": Case(200),
        "rules.activate": Case(200, ("rules.publish",)),
        "rules.read": Case(200),
        "rules.invalid": Case(422),
        "check.login": Case(200, ("rules.publish", "rules.activate")),
        "check.nobody": Case(422),
        "check.listed": Case(403, ("rules.lists", "rules.activate")),
        "check.adjust": Case(200, ("rules.publish", "rules.activate", "check.login")),
        "check.release": Case(200, ("rules.publish", "rules.activate")),
        "check.both": Case(422),
        "tally.sampled": Case({"batchItemFailures": []}),
        "denied.list": Case(200, ("tally.sampled",)),
        "denied.invalid": Case(422),
        # Keys and upstreams
        "keys.create": Case(201),
        "keys.invalid": Case(422),
        "keys.rotate": Case(200, ("keys.create",)),
        "keys.revoke": Case(204, ("keys.create",)),
        "keys.one": Case(200, ("keys.create",)),
        "keys.list": Case(200),
        "upstreams.set": Case(200),
        "upstreams.metadata": Case(422),
        "upstreams.remove": Case(204, ("upstreams.set",)),
        "upstreams.one": Case(200, ("upstreams.set",)),
        "upstreams.list": Case(200),
        "project.stream": Case(QUIET),
        "project.duplicate": Case(QUIET),
        "project.retry": Case({"batchItemFailures": []}, ("keys.create",)),
        "sweep.scheduled": Case(QUIET, ("keys.create",)),
        # The gateway
        "gateway.keyless": Case(401, ("upstreams.set",)),
        "gateway.forged": Case(401, ("upstreams.set", "keys.create")),
        "gateway.tricky": Case(400),
    },
}


class Sampled(NamedTuple):
    """The row of a capability's sampled resource, a function that knows its table, and the version
    that the sampled records lead to."""

    function: str
    key: str
    last: int


ROWS = {
    "shortener": Sampled("ShortenerProject", "links@1#link#default#demo123", 3),
    "analytics": Sampled("AnalyticsProject", "sites@1#site#ybyjd228c7vn", 3),
    "ratelimiter": Sampled("RatelimiterProject", "keys@1#key#default#7145ff35b7bf4ccb5e9f", 2),
}
PROJECTED = {"project.stream", "project.duplicate", "project.retry", "sweep.scheduled"}
"""Samples that keep a view, the latter two from a first commit alone."""


def _module(sample: Path) -> str:
    return f"functions.{sample.parent.name}.handlers.{sample.name.partition('.')[0]}"


def _invoke(stack: Stack, sample: Path) -> Any:
    [function] = [f.name for f in stack.functions.values() if f.module == _module(sample)]
    return stack.invoke(function, json.loads(sample.read_text()))


def _version_of_the_row(stack: Stack, capability: str) -> int:
    function, key, _ = ROWS[capability]
    table = stack.functions[function].env["VIEWS_TABLE"]
    [row] = [
        item
        for item in stack.client("dynamodb").scan(TableName=table)["Items"]
        if item["pk"]["S"] == key
    ]
    return int(row["v"]["N"])


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_sample_is_answered(sample: Path) -> None:
    expected, after, parameters = CASES[sample.parent.name][sample.stem]
    with Stack([ROOT / "template.yaml"], parameters) as stack:
        for name in after:
            _invoke(stack, sample.parent / f"{name}.json")

        answer = _invoke(stack, sample)

        assert (answer["statusCode"] if isinstance(expected, int) else answer) == expected
        if sample.stem in PROJECTED:
            version = _version_of_the_row(stack, sample.parent.name)
            of_records = sample.stem in ("project.stream", "project.duplicate")
            assert version == (ROWS[sample.parent.name].last if of_records else 1)


def test_a_deduped_sample_repeats_as_the_link_it_made(stack: Stack) -> None:
    sample = ROOT / "events/shortener/create.dedupe.json"
    first, again = _invoke(stack, sample), _invoke(stack, sample)
    assert again["statusCode"] == 200
    assert again["body"] == first["body"]


@pytest.mark.parametrize(
    ("capability", "names"),
    [
        ("shortener", ("create.alias", "edit.patch")),
        ("analytics", ("sites.create", "sites.edit")),
        ("ratelimiter", ("keys.create", "keys.rotate")),
    ],
)
def test_the_sampled_records_are_the_commits_that_the_samples_make(
    stack: Stack, capability: str, names: tuple[str, ...]
) -> None:
    """But for the times and the commit ids, which are each run's own."""
    folder = ROOT / "events" / capability
    for name in names:
        _invoke(stack, folder / f"{name}.json")
    sampled = json.loads((folder / "project.stream.json").read_text())["Records"]

    def lasting(records: list[Any]) -> list[dict[str, Any]]:
        images = [record["dynamodb"]["NewImage"] for record in records]
        return [{key: image.get(key) for key in ("pk", "sk", "n", "r")} for image in images]

    assert lasting(sampled) == lasting(stack.stream_records())


def test_every_handler_has_a_sample_and_every_sample_a_handler() -> None:
    assert {_module(sample) for sample in SAMPLES} == set(handler_modules())


def test_every_sample_is_named_after_its_case() -> None:
    found = {(sample.parent.name, sample.stem) for sample in SAMPLES}
    assert found == {(folder, name) for folder, cases in CASES.items() for name in cases}
