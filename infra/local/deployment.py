"""Put built templates onto an endpoint: upload, translate, create or update, wait."""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.local import artifacts, stack, templates
from infra.local.endpoint import LocalError, session

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BUCKET = "millrace-artifacts"
DEPLOY_SECONDS = 300.0
DEPLOYED = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
# What a stack in these states needs is to go: it takes no update.
BEYOND_UPDATE = ("CREATE_FAILED", "ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED")


def deploy(endpoint: str, template: Path, parameters: Mapping[str, str]) -> dict[str, str]:
    """Create or update the stack from the built `template` and what it points to.

    Returns the stack's outputs. Raises LocalError with the reasons that the endpoint gives.
    """
    cloudformation = session(endpoint).client("cloudformation")
    before = stack.describe(endpoint)
    if before and before["StackStatus"] in BEYOND_UPDATE:
        cloudformation.delete_stack(StackName=stack.NAME)
        before = _await_rest(endpoint)
    apply = cloudformation.update_stack if before else cloudformation.create_stack
    try:
        apply(
            StackName=stack.NAME,
            TemplateURL=Upload(endpoint).template(template),
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
            ],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
    except (BotoCoreError, ClientError) as error:
        raise LocalError(f"{endpoint} refuses the stack: {error}") from error
    after = _await_rest(endpoint)
    if after is None or after["StackStatus"] not in DEPLOYED:
        raise LocalError("\n".join(["the stack failed:", *_reasons(cloudformation)]))
    return stack.outputs(endpoint)


class Upload:
    """Templates and archives into the endpoint's S3, each under its own hash.

    What has not changed keeps its key, so that an update leaves its function's code alone.

    MiniStack 1.5.33 loses the attributes of every nested resource that an update does not
    touch, and then finds no table's Arn. So each update touches all: by a tag, which a nested
    stack hands on to its resources, and where a type takes none, by its description.

    The seed of a bucket's generated name it hands on to every resource that a nested stack
    creates after the bucket, and forgets with them, so that the first update makes them anew,
    empty. So each bucket comes with a name, for good.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._standing = stack.resources(endpoint)
        self._s3 = session(endpoint).client("s3")
        self._s3.create_bucket(Bucket=BUCKET)
        self._known: set[str] = set()
        self._now = str(time.time_ns())

    def template(self, path: Path) -> str:
        """Upload all that the template at `path` points to, then itself; its URL."""
        template = templates.load(path)
        for _, properties in templates.resources(template, templates.FUNCTION):
            properties["CodeUri"] = self._folder(path.parent / properties["CodeUri"])
        for _, properties in templates.resources(template, templates.LAYER):
            properties["ContentUri"] = self._folder(path.parent / properties["ContentUri"])
        for _, properties in templates.resources(template, templates.NESTED):
            properties["Location"] = self.template(path.parent / properties["Location"])
            properties["Tags"] = {"deployed": self._now}
        translated = templates.translate(template)
        for _, properties in templates.resources(translated, "AWS::Events::Rule"):
            properties["Description"] = self._now
        for name, properties in templates.resources(translated, "AWS::S3::Bucket"):
            made = f"{stack.NAME}-{name}-{self._now}".lower()
            properties["BucketName"] = self._standing.get(name, made)
        key = self._put(json.dumps(translated).encode())
        return f"{self._endpoint}/{BUCKET}/{key}"

    def _folder(self, folder: Path) -> str:
        return f"s3://{BUCKET}/{self._put(artifacts.archive(folder))}"

    def _put(self, body: bytes) -> str:
        key = hashlib.sha256(body).hexdigest()
        if key not in self._known:
            self._s3.put_object(Bucket=BUCKET, Key=key, Body=body)
            self._known.add(key)
        return key


def _await_rest(endpoint: str) -> dict[str, Any] | None:
    """The stack once nothing changes it any more, None if it is gone."""
    deadline = time.monotonic() + DEPLOY_SECONDS
    while time.monotonic() < deadline:
        found = stack.describe(endpoint)
        if found is None or not found["StackStatus"].endswith("_IN_PROGRESS"):
            return found
        time.sleep(0.1)
    raise LocalError(f"the stack is still busy after {DEPLOY_SECONDS:.0f} s")


def _reasons(cloudformation: Any) -> list[str]:
    """One line per resource that failed, the newest first."""
    events = cloudformation.describe_stack_events(StackName=stack.NAME)["StackEvents"]
    return [
        f"  {event['LogicalResourceId']} ({event['ResourceType']}): "
        f"{event.get('ResourceStatusReason', 'no reason given')}"
        for event in events
        if event["ResourceStatus"].endswith("_FAILED")
    ]
