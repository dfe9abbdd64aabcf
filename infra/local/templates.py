"""SAM templates: read, point at what was uploaded, translate to plain CloudFormation."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import boto3
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from infra.local.endpoint import LocalError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Template = dict[str, Any]

FUNCTION = "AWS::Serverless::Function"
LAYER = "AWS::Serverless::LayerVersion"
NESTED = "AWS::Serverless::Application"


def load(path: Path) -> Template:
    parsed: Template = yaml_parse(path.read_text())
    return parsed


def resources(template: Template, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(logical id, properties) of each resource of the type `kind`."""
    for name, resource in template["Resources"].items():
        if resource["Type"] == kind:
            yield name, resource["Properties"]


def pretend_uploaded(template: Template) -> None:
    """Let `template` point into S3, as the translator wants, without anything being there."""
    nowhere = "s3://nowhere/nothing"
    template.get("Globals", {}).get("Function", {}).pop("CodeUri", None)
    for _, properties in resources(template, FUNCTION):
        properties["CodeUri"] = nowhere
    for _, properties in resources(template, LAYER):
        properties["ContentUri"] = nowhere
    for _, properties in resources(template, NESTED):
        properties["Location"] = "https://nowhere.s3.amazonaws.com/nothing"


def translate(template: Template) -> Template:
    """What CloudFormation's SAM transform would make of `template`.

    Everything it points at must be in S3. Raises LocalError where SAM finds it wrong.

    Emulators run the transform on the root template at most, so it is done for them.
    """
    translator = Translator(
        managed_policy_map={},
        sam_parser=Parser(),
        # For the partition alone; no call is made.
        boto_session=boto3.Session(region_name="us-east-1"),
    )
    # The translator writes into what it is given.
    document = copy.deepcopy(template)
    try:
        translated: Template = translator.translate(document, parameter_values={})
    except InvalidDocumentException as error:
        causes = "\n".join(f"  {cause.message}" for cause in error.causes)
        raise LocalError(f"SAM refuses the template:\n{causes}") from error
    translated.pop("Transform", None)
    # Its usage metrics go nowhere, which it would remark on at exit.
    translator.metrics.publish()
    return translated


def save(template: Template, path: Path) -> Path:
    """Write `template` as JSON, which is YAML too."""
    path.write_text(json.dumps(template, indent=1))
    return path
