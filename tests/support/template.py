"""CloudFormation and SAM templates, read and resolved against names of our own.

A root template brings its nested applications along. Values resolve lazily, since what a resource
is called may be known only once it has been made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

REGION = "us-east-1"
ACCOUNT = "123456789012"
STACK = "millrace"

PSEUDO_PARAMETERS = {
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::StackName": STACK,
    "AWS::URLSuffix": "amazonaws.com",
}
ARNS = {
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{{name}}",
    "AWS::SQS::Queue": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{{name}}",
    "AWS::S3::Bucket": "arn:aws:s3:::{name}",
    "AWS::SNS::Topic": f"arn:aws:sns:{REGION}:{ACCOUNT}:{{name}}",
    "AWS::Serverless::Function": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{{name}}",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{{name}}:*",
}
REFS = {
    "AWS::SQS::Queue": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{{name}}",
    "AWS::SNS::Topic": ARNS["AWS::SNS::Topic"],
}
"""What Ref gives where that is not the name."""
ATTRIBUTES = {
    "StreamArn": ARNS["AWS::DynamoDB::Table"] + "/stream/2026-11-01T00:00:00.000",
    "QueueName": "{name}",
    "QueueUrl": REFS["AWS::SQS::Queue"],
    "ApiEndpoint": f"https://c0ffee00.execute-api.{REGION}.amazonaws.com",
}

_NO_VALUE = object()
_SUBSTITUTE = re.compile(r"\$\{([^}]+)\}")


class TemplateError(Exception):
    """The template names something that is not there, or uses what this module cannot read."""


class Template:
    """One template. `arguments` are its parameters' values, as the `parent` writes them.

    `made` may override what a resource resolves to: {("Secret", "Ref"): "arn:..."}.
    """

    def __init__(
        self, path: Path, arguments: Mapping[str, Any], parent: Template | None = None
    ) -> None:
        self.path = path
        self.body = _parsed(path)
        self.made: dict[tuple[str, str], str] = {}
        self._arguments = arguments
        self._parent = parent
        self._resources: dict[str, Any] = self.body.get("Resources", {})
        self._children = {
            name: Template(
                path.parent / resource["Properties"]["Location"],
                resource["Properties"].get("Parameters", {}),
                self,
            )
            for name, resource in self._resources.items()
            if resource["Type"] == "AWS::Serverless::Application"
        }

    def family(self) -> Iterator[Template]:
        """This template and all that it nests."""
        yield self
        for child in self._children.values():
            yield from child.family()

    def names(self, kind: str) -> list[str]:
        """Logical names of this template's own resources of a type, conditions applied."""
        return [
            name
            for name, resource in self._resources.items()
            if resource["Type"] == kind and self._wanted(resource)
        ]

    def properties(self, name: str) -> dict[str, Any]:
        """A resource's properties, resolved; a function's with the template's Globals."""
        resource = self._resources[name]
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function":
            shared = self.body.get("Globals", {}).get("Function", {})
            properties = _merged(shared, properties)
        resolved: dict[str, Any] = self.resolve(properties)
        return resolved

    def physical(self, name: str) -> str:
        """The name that a resource bears outside the template."""
        return f"{STACK}-{name}"

    def resolve(self, value: Any) -> Any:
        """A value with every intrinsic function carried out. Raises TemplateError."""
        if isinstance(value, list):
            elements = [self.resolve(element) for element in value]
            return [element for element in elements if element is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(function, operand)] = value.items()
            # A policy statement has a Condition too, which holds a map.
            named = function in ("Ref", "Condition") and isinstance(operand, str)
            if named or function.startswith("Fn::"):
                return self._call(function, operand)
        resolved = {name: self.resolve(element) for name, element in value.items()}
        return {name: element for name, element in resolved.items() if element is not _NO_VALUE}

    def _call(self, function: str, operand: Any) -> Any:
        match function.removeprefix("Fn::"), operand:
            case "Ref", name:
                return self._ref(name)
            case "GetAtt", [name, *attribute]:
                return self._attribute(name, ".".join(attribute))
            case "Sub", str(text):
                return self._substitute(text, {})
            case "Sub", [text, variables]:
                return self._substitute(text, variables)
            case "If", [condition, then, otherwise]:
                return self.resolve(then if self._condition(condition) else otherwise)
            case "Join", [separator, parts]:
                return separator.join(map(str, self.resolve(parts)))
            case "Select", [index, choices]:
                return self.resolve(choices)[int(index)]
            case "Split", [separator, text]:
                return self.resolve(text).split(separator)
            case "FindInMap", [table, *keys]:
                found = self.body["Mappings"][table]
                for key in keys:
                    found = found[self.resolve(key)]
                return found
            case "Equals", [left, right]:
                return str(self.resolve(left)) == str(self.resolve(right))
            case "Not", [condition]:
                return not self.resolve(condition)
            case "And", conditions:
                return all(self.resolve(conditions))
            case "Or", conditions:
                return any(self.resolve(conditions))
            case "Condition", name:
                return self._condition(name)
        raise TemplateError(f"{self.path.name}: cannot read {function} {operand!r}")

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _NO_VALUE
        if name in PSEUDO_PARAMETERS:
            return PSEUDO_PARAMETERS[name]
        if name in self.body.get("Parameters", {}):
            return self._parameter(name)
        kind = self._kind(name)
        return self.made.get((name, "Ref")) or REFS.get(kind, "{name}").format(
            name=self.physical(name)
        )

    def _parameter(self, name: str) -> str:
        if name in self._arguments:
            value = self._arguments[name]
            return str(self._parent.resolve(value) if self._parent else value)
        parameter = self.body["Parameters"][name]
        if "Default" not in parameter:
            raise TemplateError(f"{self.path.name}: parameter {name} has neither value nor default")
        return str(parameter["Default"])

    def _attribute(self, name: str, attribute: str) -> Any:
        if name in self._children:
            child = self._children[name]
            output = child.body["Outputs"][attribute.removeprefix("Outputs.")]
            return child.resolve(output["Value"])
        kind = self._kind(name)
        shapes = {**ATTRIBUTES, "Arn": ARNS.get(kind)}
        shape = self.made.get((name, attribute)) or shapes.get(attribute)
        if shape is None:
            raise TemplateError(f"{self.path.name}: no {attribute} known of {name} ({kind})")
        return shape.format(name=self.physical(name))

    def _kind(self, name: str) -> str:
        if name not in self._resources:
            raise TemplateError(f"{self.path.name}: no resource or parameter {name}")
        return str(self._resources[name]["Type"])

    def _substitute(self, text: str, variables: Mapping[str, Any]) -> str:
        def replace(match: re.Match[str]) -> str:
            name = match[1].strip()
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in variables:
                return str(self.resolve(variables[name]))
            if "." in name:
                return str(self._attribute(*name.split(".", 1)))
            return str(self._ref(name))

        return _SUBSTITUTE.sub(replace, text)

    def _condition(self, name: str) -> bool:
        return bool(self.resolve(self.body["Conditions"][name]))

    def _wanted(self, resource: Mapping[str, Any]) -> bool:
        return "Condition" not in resource or self._condition(resource["Condition"])


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags."""


@cache
def _parsed(path: Path) -> Mapping[str, Any]:
    # Once per process: parsing takes longer than making everything in the template.
    body: Mapping[str, Any] = yaml.load(path.read_text(), Loader=_Loader)
    return body


def _intrinsic(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        raise TemplateError(f"!{tag} of nothing")
    if tag == "GetAtt" and isinstance(value, str):
        value = value.split(".")
    return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _intrinsic)


def _merged(shared: Any, own: Any) -> Any:
    """SAM's rule for Globals: maps merge, lists add up, anything else is replaced."""
    if isinstance(shared, dict) and isinstance(own, dict) and not _is_call(shared, own):
        return {
            **shared,
            **{name: _merged(shared.get(name), value) for name, value in own.items()},
        }
    if isinstance(shared, list) and isinstance(own, list):
        return shared + own
    return own


def _is_call(*values: Mapping[str, Any]) -> bool:
    return any(
        len(value) == 1 and next(iter(value)).startswith(("Ref", "Fn::")) for value in values
    )
