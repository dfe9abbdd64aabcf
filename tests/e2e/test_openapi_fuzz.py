"""Schemathesis runs the published document against the deployed template.

No 5xx, no undocumented status, media type, header or field; what breaks the schema is refused, and
so is who has no token. One request at a time: the emulator starts a process per concurrent call.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from schemathesis import APIOperation, Case, GenerationMode, HookContext, Response
from schemathesis.core.result import Err
from schemathesis.openapi import from_dict

from functions.shortener.targets import MAX_URL
from infra.local.emulator import ROOT
from infra.local.users import DEFAULT
from tests.e2e.conftest import Stack

MODES = list(GenerationMode)
FEW_AND_MANY = [5, pytest.param(500, marks=pytest.mark.slow)]
PATIENCE_SECONDS = 60
"""A bulk request of five hundred links takes the emulator some seconds."""
NOTHING_TO_SPOIL = {
    "GET /v1/commands/{id}",
    "GET /v1/domains",
    "GET /v1/sites/{site}/exports/{export}",
    "GET /static/{file}",
}
LIVED = {
    "POST /v1/links 201",
    "GET /v1/links/{code} 200",
    "GET /v1/links/{code}/history 200",
    "PATCH /v1/links/{code} 200",
    "DELETE /v1/links/{code} 204",
    "GET /{code} 302",
}
"""What must have come about among other things, or the fuzzing was at the door only."""
OPERATED = ("/v1/rules", "/v1/keys", "/v1/upstreams")
"""Paths on which an operator harms nobody else's fuzzing."""
ROUNDS = 10
"""Of lives, until what must come about has: which link a life gets hold of is chance."""
Operation = APIOperation[Any, Any, Any, Any]
Call = Callable[[Case[Any]], None]


def accepted(operation: str, *also: str, **checks: bool) -> dict[str, Any]:
    """What an operation may answer to a request that fits its schema, besides a success and 404."""
    statuses = ["2xx", "3xx", "404", *also]
    return {
        "include-operation-id": operation,
        "checks": {
            "positive_data_acceptance": {"expected-statuses": statuses},
            **{name: {"enabled": enabled} for name, enabled in checks.items()},
        },
    }


CONFIG = schemathesis.Config.from_dict(
    {
        "generation": {
            "deterministic": True,
            "database": "none",
            # A token that is none is tried by the check ignored_auth.
            "with-security-parameters": False,
        },
        "phases": {
            # The gateway answers 404, without Allow, where a path has no such method.
            "coverage": {"unexpected-methods": []},
            # The document says what can follow what.
            "stateful": {"inference": {"algorithms": []}},
        },
        "checks": {
            "missing_required_header": {"expected-statuses": ["428"]},
            # Whichever the document says: what is too large is refused before it is looked at.
            "negative_data_rejection": {"expected-statuses": ["4xx"]},
        },
        "operations": [
            # A URL that we do not lead to, a time that is past: rules that no schema can tell.
            # A key that another request has used, a version that is not the one named.
            accepted("createLink", "409", "422"),
            accepted("editLink", "410", "412", "422"),
            accepted("deleteLink", "410", "412", "422"),
            # A cursor is signed, and a link as it was stays readable when it is deleted.
            accepted("listLinks", "400"),
            accepted("getHistory", "400", use_after_free=False),
            accepted("getLink", "410", "422", use_after_free=False),
            accepted("followLink", "410"),
            accepted("peekLink", "410"),
            # Light and dark are two colours.
            accepted("drawLink", "410", "422"),
            accepted("exportLinks", "400"),
            accepted("transferLink", "410", "412", "422"),
            # A report is of a URL or of a code.
            accepted("reportLink", "422"),
            # A time zone, an origin, a rollup that there is; a time that is one; a cursor.
            accepted("createSite", "409", "422"),
            accepted("editSite", "410", "412", "422"),
            accepted("deleteSite", "410", "412", "422"),
            accepted("setGoal", "410", "412", "422"),
            accepted("removeGoal", "410", "412", "422"),
            accepted("setFunnel", "410", "412", "422"),
            accepted("removeFunnel", "410", "412", "422"),
            accepted("listSites", "400"),
            accepted("getSite", "410", "422", use_after_free=False),
            accepted("getSiteHistory", "400", use_after_free=False),
            accepted("getStats", "410", "422"),
            accepted("getLinkStats", "422"),
            accepted("getGoals", "410", "422"),
            accepted("getFunnel", "410", "422"),
            accepted("createExport", "409", "410", "422"),
            # Each event has an outcome of its own; of which site it is, is looked at first.
            accepted("track", "403", "422", negative_data_rejection=False),
            accepted("submitEvents", "410", "422", negative_data_rejection=False),
            # Rules that make no sense together; a limit that is used up; an address that is one.
            accepted("publishRules", "409", "422"),
            accepted("activateRules", "409", "422"),
            accepted("check", "422", "429"),
            # A cost or a slot, and with a cost a key; one that another adjustment has used.
            accepted("adjust", "409", "422", "428"),
            # A day that there is, a cursor, a base that leads out of our network.
            accepted("listDenials", "400", "422"),
            accepted("createKey", "409", "422"),
            accepted("listKeys", "400"),
            accepted("getKey", "410"),
            accepted("rotateKey", "409", "410", "412", "422"),
            accepted("revokeKey", "409", "410", "412", "422"),
            accepted("setUpstream", "409", "412", "422", "428"),
            accepted("listUpstreams", "400"),
            accepted("getUpstream", "410"),
            accepted("removeUpstream", "409", "410", "412", "422"),
            # Each item has an outcome of its own, and a form that is none has no password: which a
            # link that another's fuzzing made may have.
            accepted("createLinks", "422", negative_data_rejection=False),
            accepted("unlockLink", "403", "410", "413", negative_data_rejection=False),
        ],
    }
)
SCHEMA = from_dict(json.loads((ROOT / "docs" / "openapi.json").read_text()), config=CONFIG)


def operations() -> Iterator[Operation]:
    for found in SCHEMA.get_all_operations():
        if isinstance(found, Err):
            raise found.err()
        # The emulator answers OPTIONS itself unless a browser asks.
        if (operation := found.ok()).method != "options":
            yield operation


OPERATIONS = list(operations())


@SCHEMA.hook
def map_body(context: HookContext, body: Any) -> Any:
    """Makes most bodies such as the rules beyond the schema take: a host that there may be, a time
    that is to come."""
    if not isinstance(body, dict):
        return body
    plausible = dict(body)
    if isinstance(url := body.get("long_url"), str) and len(url) <= MAX_URL:
        plausible["long_url"] = re.sub(r"(?i)^https?://[^/?#]*", "https://example.com", url)
    if isinstance(time := body.get("expires_at"), str) and len(time) % 4:
        plausible["expires_at"] = re.sub(r"^\d{4}-", f"{datetime.now(UTC).year + 1}-", time)
    return plausible


@pytest.fixture(scope="module")
def answered() -> Iterator[Counter[str]]:
    """How often which status came; printed at the end (`pytest -s`)."""
    statuses: Counter[str] = Counter()
    yield statuses
    print(f"\n{statuses.total()} requests:", *sorted(statuses.items()))


def options(stack: Stack, user: str, *scopes: str) -> dict[str, Any]:
    """How to call: as this user, and never on to where a link leads."""
    more = {"scopes": " ".join((*DEFAULT.scopes.split(), *scopes))}
    headers = {"Authorization": f"Bearer {stack.token(user, **more)}"}
    rest = {"allow_redirects": False, "timeout": PATIENCE_SECONDS}
    return {"base_url": stack.url, "headers": headers, **rest}


@pytest.fixture(scope="module")
def call(stack: Stack, answered: Counter[str]) -> Call:
    """Makes a request and checks its answer."""
    as_fuzzer, as_operator = options(stack, "fuzzer"), options(stack, "operator", "ops")

    def made(case: Case[Any]) -> None:
        operates = case.operation.path.startswith(OPERATED)
        response = case.call_and_validate(**(as_operator if operates else as_fuzzer))
        answered[f"{case.operation.label} {response.status_code}"] += 1

    return made


def thorough(examples: int, **rest: Any) -> settings:
    """The same examples in every run, however long they take to make and to answer."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        **rest,
    )


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_every_boundary_of_the_schema_is_kept(operation: Operation, call: Call) -> None:
    config = SCHEMA.config.generation_for(operation=operation)
    for case in SCHEMA.iter_coverage_cases(
        operation, generation_modes=MODES, generation_config=config
    ):
        call(case)


@pytest.mark.parametrize("examples", FEW_AND_MANY)
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_any_request_is_answered_as_documented(
    operation: Operation, mode: GenerationMode, examples: int, call: Call
) -> None:
    if mode.is_negative and operation.label in NOTHING_TO_SPOIL:
        pytest.skip("it takes nothing that could be wrong")
    thorough(examples)(given(operation.as_strategy(generation_mode=mode))(call))()


@pytest.mark.parametrize("examples", FEW_AND_MANY)
def test_a_links_whole_life_is_as_documented(
    stack: Stack, examples: int, answered: Counter[str]
) -> None:
    came: Counter[str] = Counter()
    machine: Any = SCHEMA.as_state_machine()
    lives = count()

    class Life(machine):  # type: ignore[misc]
        """Whatever the document's links lead to. Each life has a user and aliases of its own:
        hypothesis tries some twice, and must find the same."""

        def setup(self) -> None:
            self.name = f"life-{examples}-{next(lives)}"
            self.options = options(stack, self.name)

        def before_call(self, case: Case[Any]) -> None:
            body = case.body
            if isinstance(body, dict) and isinstance(alias := body.get("alias"), str):
                body["alias"] = alias + self.name

        def get_call_kwargs(self, case: Case[Any]) -> dict[str, Any]:
            return self.options

        def after_call(self, response: Response, case: Case[Any]) -> None:
            came[f"{case.operation.label} {response.status_code}"] += 1
            super().after_call(response, case)

    for turn in range(ROUNDS):
        if came.keys() >= LIVED:
            break
        seed(turn)(Life).run(settings=thorough(examples, stateful_step_count=8))
    answered.update(came)
    assert came.keys() >= LIVED
