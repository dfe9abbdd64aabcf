from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.pump import Stack
from tests.support.template import Template, TemplateError

SAMPLE = Path(__file__).parent / "sample"
NEEDED = dict.fromkeys(("ApiId", "AuthorizerId", "SecretArn", "PublicUrl"), "x")


def _notes(**parameters: str) -> Template:
    return Template(SAMPLE / "notes.yaml", {**NEEDED, **parameters})


def test_globals_substitutions_and_absent_values_reach_a_function(stack: Stack) -> None:
    env = dict(stack.functions["NoteWrite"].env)
    secret = env.pop("SECRET_ARN")
    assert env == {
        "AWS_REGION": "us-east-1",
        "AWS_LAMBDA_FUNCTION_NAME": "millrace-NoteWrite",
        "EVENTS_TABLE": "millrace-NoteEvents",
        "BASE": "https://c0ffee00.execute-api.us-east-1.amazonaws.com/${literal}/"
        "arn:aws:dynamodb:us-east-1:123456789012:table/millrace-NoteEvents",
    }
    answer = stack.client("secretsmanager").get_secret_value(SecretId=secret)
    assert answer["SecretString"].startswith('{"root": "')


def test_a_condition_decides_what_there_is() -> None:
    assert "RedTable" not in _notes().names("AWS::DynamoDB::Table")
    red = _notes(Colour="red")
    assert "RedTable" in red.names("AWS::DynamoDB::Table")
    assert red.properties("NoteWrite")["Environment"]["Variables"]["COLOUR"] == "red"


def test_outputs_of_a_nested_application_resolve() -> None:
    root = Template(SAMPLE / "root.yaml", {"PublicUrl": "https://go.test"})
    assert root.resolve({"Fn::GetAtt": ["Notes", "Outputs.Table"]}) == "millrace-NoteEvents"
    [_, notes] = root.family()
    assert notes.resolve({"Ref": "PublicUrl"}) == "https://go.test"


@pytest.mark.parametrize(
    ("value", "resolved"),
    [
        ({"Fn::Join": ["-", ["a", {"Ref": "AWS::Region"}]]}, "a-us-east-1"),
        ({"Fn::Select": [1, {"Fn::Split": [",", "a,b"]}]}, "b"),
        ({"Fn::Sub": ["${X}${AWS::AccountId}", {"X": "n"}]}, "n123456789012"),
        ({"Fn::And": [{"Condition": "IsRed"}, {"Fn::Equals": ["1", 1]}]}, False),
        ({"Fn::Or": [{"Fn::Not": [{"Condition": "IsRed"}]}]}, True),
        ([{"Ref": "AWS::NoValue"}, "kept"], ["kept"]),
        ({"Action": "a", "Condition": {"Bool": {}}}, {"Action": "a", "Condition": {"Bool": {}}}),
    ],
)
def test_intrinsic_functions(value: object, resolved: object) -> None:
    assert _notes().resolve(value) == resolved


@pytest.mark.parametrize(
    "value",
    [
        {"Ref": "Nothing"},
        {"Fn::GetAtt": ["NoteEvents", "Nonsense"]},
        {"Fn::Cidr": ["10.0.0.0/8"]},
        {"Fn::Sub": "${Nothing.Arn}"},
    ],
)
def test_what_is_not_there_is_an_error(value: object) -> None:
    with pytest.raises(TemplateError):
        _notes().resolve(value)


def test_a_parameter_without_a_value_is_an_error() -> None:
    template = Template(SAMPLE / "notes.yaml", {})
    with pytest.raises(TemplateError, match="SecretArn"):
        template.properties("NoteWrite")
