"""What every function and queue in the templates must have."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from functions.kernel.errors import Rejected
from functions.shortener.codes import alias
from tests.support.handlers import ROOT, handler_modules
from tests.support.template import Template

CHILDREN = sorted((ROOT / "infra").glob("*.yaml"))
PASCAL = {path.stem: path.stem.capitalize() for path in CHILDREN}
ROUTE = "AWS::ApiGatewayV2::Route"
PUBLIC = {"/{code}", "/{code}/qr", "/static/{file}", "/v1/track"} | {
    "/gw/{name}",
    "/gw/{name}/{proxy+}",
}
"""Paths that need no token, whatever the method."""


def of_kind(path: Path, kind: str) -> list[str]:
    """Logical names of a type, whatever their condition."""
    return [
        name for name, each in Template(path, {}).body["Resources"].items() if each["Type"] == kind
    ]


def resource(path: Path, name: str) -> dict[str, Any]:
    body: dict[str, Any] = Template(path, {}).body["Resources"][name]
    return body


KIND = "AWS::Serverless::Function"
FUNCTIONS = [
    (path, name) for path in CHILDREN for name in of_kind(path, "AWS::Serverless::Function")
]
QUEUES = [(path, name) for path in CHILDREN for name in of_kind(path, "AWS::SQS::Queue")]


def with_globals(path: Path, name: str) -> dict[str, Any]:
    shared = Template(path, {}).body["Globals"]["Function"]
    return {**shared, **resource(path, name)["Properties"]}


@pytest.mark.parametrize("path", CHILDREN, ids=lambda path: path.stem)
def test_a_capabilitys_name_starts_its_logical_ids(path: Path) -> None:
    body = Template(path, {}).body["Resources"]
    assert [name for name in body if not name.startswith(PASCAL[path.stem])] == []


@pytest.mark.parametrize(("path", "name"), FUNCTIONS, ids=[name for _, name in FUNCTIONS])
def test_a_functions_name_tells_its_module(path: Path, name: str) -> None:
    handler = with_globals(path, name)["Handler"]
    stem = name.removeprefix(PASCAL[path.stem]).lower()
    assert handler == f"functions.{path.stem}.handlers.{stem}.handler"
    assert find_spec(handler.rpartition(".")[0]) is not None


def test_every_handler_module_is_some_functions() -> None:
    deployed = {with_globals(*pair)["Handler"].rpartition(".")[0] for pair in FUNCTIONS}
    assert deployed == set(handler_modules())


@pytest.mark.parametrize(("path", "name"), FUNCTIONS, ids=[name for _, name in FUNCTIONS])
def test_a_function_has_its_limits_its_log_and_a_sample(path: Path, name: str) -> None:
    function = with_globals(path, name)
    logs = resource(path, function["LoggingConfig"]["LogGroup"]["Ref"])["Properties"]
    stem = name.removeprefix(PASCAL[path.stem]).lower()
    assert function["Timeout"] > 0
    assert function["MemorySize"] > 0
    assert logs["RetentionInDays"]
    assert list((ROOT / "events" / path.stem).glob(f"{stem}.*.json"))


@pytest.mark.parametrize(("path", "name"), FUNCTIONS, ids=[name for _, name in FUNCTIONS])
def test_what_feeds_a_function_asynchronously_has_somewhere_to_go_when_it_fails(
    path: Path, name: str
) -> None:
    function = resource(path, name)["Properties"]
    for event in function.get("Events", {}).values():
        properties = event["Properties"]
        match event["Type"]:
            case "DynamoDB":
                assert properties["MaximumRetryAttempts"] > 0
                assert properties["MaximumRecordAgeInSeconds"] > 0
                assert alarmed(path, properties["DestinationConfig"]["OnFailure"]["Destination"])
                assert "FunctionResponseTypes" not in properties
            case "SQS":
                queue = resource(*queue_of(path, properties["Queue"]))["Properties"]
                assert properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
                assert queue["VisibilityTimeout"] >= 6 * with_globals(path, name)["Timeout"]
            case "Schedule":
                asynchronous = function["EventInvokeConfig"]["DestinationConfig"]
                assert alarmed(path, asynchronous["OnFailure"]["Destination"])
            case other:
                pytest.fail(f"no rule for {other} yet")


def queue_of(path: Path, arn: dict[str, Any]) -> tuple[Path, str]:
    """Where a queue is declared: here, or in the template whose output the root hands us."""
    if "Ref" not in arn:
        return path, arn["Fn::GetAtt"][0]
    parameters = resource(ROOT / "template.yaml", PASCAL[path.stem])["Properties"]["Parameters"]
    owner, _, output = parameters[arn["Ref"]]["Fn::GetAtt"]
    [theirs] = [each for each in CHILDREN if PASCAL[each.stem] == owner]
    return theirs, Template(theirs, {}).body["Outputs"][output]["Value"]["Fn::GetAtt"][0]


@pytest.mark.parametrize(("path", "name"), QUEUES, ids=[name for _, name in QUEUES])
def test_a_queue_is_redriven_or_alarmed(path: Path, name: str) -> None:
    redrive = resource(path, name)["Properties"].get("RedrivePolicy")
    if redrive is None:
        assert alarmed(path, {"Fn::GetAtt": [name, "Arn"]})
    else:
        assert redrive["maxReceiveCount"] >= 5
        assert alarmed(path, redrive["deadLetterTargetArn"])


def alarmed(path: Path, arn: dict[str, Any]) -> bool:
    """Whether an alarm watches this queue for messages, and tells somebody."""
    queue = arn["Fn::GetAtt"][0]
    wanted = [{"Name": "QueueName", "Value": {"Fn::GetAtt": [queue, "QueueName"]}}]
    alarms = [
        resource(path, name)["Properties"] for name in of_kind(path, "AWS::CloudWatch::Alarm")
    ]
    return any(
        alarm.get("Dimensions") == wanted
        and alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
        and alarm["AlarmActions"]
        for alarm in alarms
    )


@pytest.mark.parametrize(
    ("path", "name"),
    [(path, name) for path in CHILDREN for name in of_kind(path, ROUTE)],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_route_is_explicit_and_its_authorization_is_stated(path: Path, name: str) -> None:
    route = resource(path, name)["Properties"]
    assert route["AuthorizationType"] in ("JWT", "NONE")
    assert "+}" not in route["RouteKey"].replace("/gw/{name}/{proxy+}", "")
    assert route["RouteKey"] != "$default"
    public = route["AuthorizationType"] == "NONE"
    key = route["RouteKey"]
    assert public == (key.partition(" ")[2] in PUBLIC or key == "POST /v1/reports")


def test_no_link_has_a_code_that_a_route_has_as_a_word_of_its_own() -> None:
    """Nobody could follow it, or its owner not read it."""
    words = set()
    for path in CHILDREN:
        for name in of_kind(path, ROUTE):
            _, first, *rest = resource(path, name)["Properties"]["RouteKey"].split("/")
            words |= {first} | set(rest[1:2] if [first, *rest[:1]] == ["v1", "links"] else ())
    fixed = {word for word in words if not word.startswith("{")}
    assert {"v1", "export", "bulk"} <= fixed
    for word in fixed:
        with pytest.raises(Rejected, match="is reserved"):
            alias(word)
