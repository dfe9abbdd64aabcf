"""The consuming side of contracts/shortener: what is published there is understood here."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from functions.analytics.audience import TYPES, Audience, find
from functions.analytics.handlers.audience import build
from tests.support.handlers import ROOT
from tests.unit.edge.conftest import World
from tests.unit.edge.test_consumer import message
from tests.unit.kernel.cloud import VIEWS, Cloud

FOLDER = ROOT / "contracts" / "shortener"


def sample(kind: str, **changes: Any) -> dict[str, Any]:
    told = json.loads((FOLDER / f"{kind}.v1.sample.json").read_text())
    return {
        **told,
        **{name: changes.pop(name) for name in ("version", "time") if name in changes},
    } | {"data": {**told["data"], **changes}}


def hear(*told: dict[str, Any]) -> Cloud:
    cloud, world = Cloud(), World(env={"VIEWS_TABLE": VIEWS})
    world.clients["dynamodb"] = cloud.client
    records = [message(number, json.dumps(each)) for number, each in enumerate(told)]
    answer = build(world.runtime)({"Records": records}, SimpleNamespace(aws_request_id="r"))
    assert answer == {"batchItemFailures": []}
    return cloud


@pytest.mark.parametrize("kind", TYPES)
def test_each_type_tells_whose_the_link_is(kind: str) -> None:
    told = sample(kind)
    data = told["data"]
    found = find(hear(told).views, "default", "spring")
    assert found == Audience(
        tenant=told["tenant"],
        domain="default",
        code="spring",
        created_at=data["created_at"],
        deleted=kind == "LinkDeleted",
        owner=data["owner"],
    )


def test_the_types_are_those_that_there_are_contracts_of() -> None:
    contracts = {path.name.partition(".")[0] for path in FOLDER.glob("*.v1.json")}
    assert set(TYPES) == contracts - {"LinkClicked"}


def test_whatever_comes_first_the_newest_owner_stays() -> None:
    told = [sample(kind) for kind in ("LinkTransferred", "LinkCreated", "LinkChanged")]
    found = find(hear(*told).views, "default", "spring")
    assert found is not None
    assert found.owner == "bob"


def test_a_purged_link_is_nobodys() -> None:
    purged = sample("LinkDeleted", version=6, time=1_900_000_000_000, state="purged")
    del purged["data"]["owner"], purged["data"]["long_url"]
    found = find(hear(sample("LinkDeleted"), purged).views, "default", "spring")
    assert found is not None
    assert (found.owner, found.deleted) == (None, True)


def test_a_link_nothing_was_told_of_has_no_audience() -> None:
    assert find(Cloud().views, "default", "spring") is None
