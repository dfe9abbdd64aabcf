"""A stack found in CloudFormation, whose answers are canned: pages, and a stack inside another."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from millrace.capability import find
from millrace.deployment import CloudStack, log_line
from millrace.errors import BenchError

WHEN = datetime(2026, 11, 1, tzinfo=UTC)
INNER = "arn:aws:cloudformation:us-east-1:123456789012:stack/shop-Nested/1"


def page(
    resources: dict[str, tuple[str, str]],
    following: str | None = None,
    status: str = "CREATE_COMPLETE",
) -> dict[str, Any]:
    """An answer of ListStackResources: type and physical id by logical id."""
    summaries = [
        {
            "LogicalResourceId": logical,
            "ResourceType": kind,
            "LastUpdatedTimestamp": WHEN,
            "ResourceStatus": status,
            **({"PhysicalResourceId": physical} if physical else {}),
        }
        for logical, (kind, physical) in resources.items()
    ]
    return {"StackResourceSummaries": summaries} | ({"NextToken": following} if following else {})


@pytest.fixture
def answers() -> Stubber:
    return Stubber(botocore.session.get_session().create_client("cloudformation"))


@pytest.fixture
def stack(answers: Stubber) -> CloudStack:
    answers.activate()
    return CloudStack(SimpleNamespace(client=lambda service, **_: answers.client), "shop")


def shop(answers: Stubber) -> None:
    """Stack "shop": a table in a stack inside it, and a queue on its second page."""
    nested = {"Nested": ("AWS::CloudFormation::Stack", INNER)}
    table = {"Inner": ("AWS::DynamoDB::Table", "shop-Inner-1")}
    queue = {"Outer": ("AWS::SQS::Queue", "https://sqs/shop-Outer-1")}
    answers.add_response("list_stack_resources", page(nested, "2"), {"StackName": "shop"})
    answers.add_response("list_stack_resources", page(table), {"StackName": INNER})
    answers.add_response(
        "list_stack_resources", page(queue), {"StackName": "shop", "NextToken": "2"}
    )


def test_resources_are_found_by_logical_id_on_every_page_of_every_stack(
    answers: Stubber, stack: CloudStack
) -> None:
    shop(answers)
    assert stack.physical("Outer") == "https://sqs/shop-Outer-1"
    assert stack.physical("Inner") == "shop-Inner-1"


def test_queues_are_told_from_what_else_begins_so(answers: Stubber, stack: CloudStack) -> None:
    shop(answers)
    assert stack.queues("") == {"Outer": "https://sqs/shop-Outer-1"}
    assert stack.queues("Inner") == {}


def test_a_resource_that_is_not_there_is_named(answers: Stubber, stack: CloudStack) -> None:
    shop(answers)
    with pytest.raises(BenchError, match="no Nothing in stack shop in this AWS account"):
        stack.physical("Nothing")
    with pytest.raises(BenchError, match="no ShortenerProject in stack shop"):
        _ = find("shortener", stack).store


def test_what_is_not_made_yet_is_told_by_its_status(answers: Stubber, stack: CloudStack) -> None:
    queue = {"Retry": ("AWS::SQS::Queue", "")}
    answers.add_response("list_stack_resources", page(queue, status="CREATE_FAILED"))
    with pytest.raises(BenchError, match=r"Retry of stack shop in .* it is CREATE_FAILED"):
        stack.physical("Retry")
    with pytest.raises(BenchError, match="CREATE_FAILED"):
        stack.queues("Retry")


def test_a_stack_that_is_not_there_is_named(answers: Stubber, stack: CloudStack) -> None:
    answers.add_client_error("list_stack_resources", "ValidationError")
    with pytest.raises(BenchError, match="no stack shop in this AWS account"):
        stack.physical("Outer")


class FailingLambda:
    """Answers as Lambda does for a handler that raised."""

    def client(self, service: str, **_: Any) -> Any:
        return self

    def invoke(self, **_: Any) -> dict[str, Any]:
        payload = type("Body", (), {"read": lambda self: b'{"errorMessage": "no"}'})()
        return {"FunctionError": "Unhandled", "Payload": payload}


def test_a_function_that_failed_is_not_taken_for_a_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CloudStack, "physical", lambda self, logical: logical)
    with pytest.raises(BenchError, match=r"Sweep failed: .*errorMessage"):
        CloudStack(FailingLambda(), "shop").invoke("Sweep", {})


def test_the_log_line_is_found_among_lambdas_own() -> None:
    tail = 'START RequestId: 1\n{"outcome":"ok","checked":3}\nEND RequestId: 1\nREPORT {}\n'
    assert log_line(tail) == {"outcome": "ok", "checked": 3}
    assert log_line("START\nEND\n") == {}
