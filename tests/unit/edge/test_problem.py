from __future__ import annotations

import inspect
import json

import pytest

from functions.edge.problem import TITLES, Problem, of_kernel
from functions.kernel import errors
from functions.kernel.store import Commit, Metadata

SECRET = "millrace-shortener-events link#default#hidden"
FIRST = Commit(SECRET, 0, 1, "id", "[]", Metadata(0))
ANSWERS = [
    (errors.Rejected("lies in the past", "expires_at"), 422, "invalid"),
    (errors.NotFound(SECRET), 404, "not_found"),
    (errors.Gone(SECRET), 410, "gone"),
    (errors.AlreadyExists(FIRST), 409, "exists"),
    (errors.CommandReused(SECRET), 422, "idempotency_key_reused"),
    (errors.VersionMismatch(7), 412, "version_mismatch"),
    (errors.Conflict(SECRET), 409, "conflict"),
    (errors.CommitTooLarge(SECRET), 413, "too_large"),
    (errors.Unreadable(SECRET), 503, "unavailable"),
    (errors.KernelError(SECRET), 503, "unavailable"),
]


def name_of(value: object) -> str | None:
    return type(value).__name__ if isinstance(value, Exception) else None


@pytest.mark.parametrize(("error", "status", "kind"), ANSWERS, ids=name_of)
def test_each_kernel_error_has_its_answer(
    error: errors.KernelError, status: int, kind: str
) -> None:
    problem = of_kernel(error)
    assert (problem.status, problem.kind) == (status, kind)
    document = json.loads(problem.body("request-1"))
    assert document["type"] == f"urn:millrace:problem:{kind}"
    assert document["title"] == TITLES[status]
    assert document["request_id"] == "request-1"


@pytest.mark.parametrize(("error", "status", "kind"), ANSWERS, ids=name_of)
def test_no_message_of_an_error_gets_out(error: errors.KernelError, status: int, kind: str) -> None:
    body = of_kernel(error).body("request-1")
    assert not [word for word in SECRET.split() if word in body]


def test_no_kernel_error_is_forgotten() -> None:
    named = {cls for _, cls in inspect.getmembers(errors, inspect.isclass)}
    kernel = {cls for cls in named if issubclass(cls, errors.KernelError)}
    assert kernel == {type(error) for error, _, _ in ANSWERS}


def test_a_rejection_names_the_field_and_its_reason() -> None:
    problem = of_kernel(errors.Rejected("lies in the past", "expires_at"))
    document = json.loads(problem.body("request-1"))
    assert document["errors"] == [{"field": "expires_at", "reason": "lies in the past"}]


def test_a_version_mismatch_tells_the_current_version() -> None:
    assert "7" in of_kernel(errors.VersionMismatch(7)).detail


@pytest.mark.parametrize(
    "error", [errors.Conflict(), errors.Unreadable()], ids=["conflict", "unavailable"]
)
def test_what_may_be_tried_again_says_when(error: errors.KernelError) -> None:
    assert int(of_kernel(error).headers["Retry-After"]) >= 1


def test_a_problem_without_faults_has_no_errors_member() -> None:
    assert "errors" not in json.loads(Problem(404, "not_found", "").body("request-1"))
