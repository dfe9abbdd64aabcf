"""What is deployed, here or on AWS: resources by logical id, clients, functions."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple, Protocol

from functions.edge.runtime import Runtime
from millrace.errors import BenchError

INVOKE_SECONDS = 910
"""Longer than any function may run; a repeated invocation would be a second run."""


class Deployment(Protocol):
    """A deployed stack as the bench needs it. All but `client` raise BenchError for a logical id
    that is not there, or not made yet."""

    @property
    def poll_seconds(self) -> int:
        """How long to wait for messages before a queue is taken to be empty."""

    def physical(self, logical: str) -> str:
        """A table's name, a queue's URL, a function's name."""

    def queues(self, beginning: str) -> Mapping[str, str]:
        """URLs of the queues whose logical id begins so, by logical id."""

    def client(self, service: str) -> Any:
        """An AWS client."""

    def runtime(self, function: str) -> Runtime:
        """The world as that function sees it: its environment and clients."""

    def timeout(self, function: str) -> int:
        """Seconds that the function may run."""

    def invoke(self, function: str, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """Runs the function once, to its end; its log line. Raises BenchError if it failed."""


class _Resource(NamedTuple):
    kind: str
    physical: str
    status: str


@dataclass(frozen=True)
class CloudStack:
    """A stack in CloudFormation. `session` is boto3's, or one like it for an `endpoint`."""

    session: Any
    stack: str
    endpoint: str | None = None
    poll_seconds: int = 2

    def physical(self, logical: str) -> str:
        """See Deployment."""
        found = self._resources.get(logical)
        if found is None:
            raise BenchError(f"no {logical} in stack {self.stack}{self._place}")
        if not found.physical:
            raise BenchError(
                f"{logical} of stack {self.stack}{self._place} is not there, it is {found.status}: "
                "deploy it wholly first"
            )
        return found.physical

    def queues(self, beginning: str) -> Mapping[str, str]:
        """See Deployment."""
        return {
            logical: self.physical(logical)
            for logical, resource in sorted(self._resources.items())
            if resource.kind == "AWS::SQS::Queue" and logical.startswith(beginning)
        }

    def client(self, service: str) -> Any:
        """See Deployment."""
        return self._client(service)

    def runtime(self, function: str) -> Runtime:
        """See Deployment."""
        return Runtime(
            env=self._configuration(function).get("Environment", {}).get("Variables", {}),
            client=self._client,
            now=lambda: time.time_ns() // 1_000_000,
            entropy=os.urandom,
            sleep=time.sleep,
            write=lambda line: None,
        )

    def timeout(self, function: str) -> int:
        """See Deployment."""
        return int(self._configuration(function)["Timeout"])

    def invoke(self, function: str, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """See Deployment."""
        from botocore.config import Config

        patient = Config(read_timeout=INVOKE_SECONDS, retries={"total_max_attempts": 1})
        answer = self.session.client("lambda", config=patient).invoke(
            FunctionName=self.physical(function),
            LogType="Tail",
            Payload=json.dumps(event).encode(),
        )
        said = answer["Payload"].read().decode()
        if "FunctionError" in answer:
            raise BenchError(f"{function} failed: {said}")
        return log_line(base64.b64decode(answer.get("LogResult", "")).decode())

    @cached_property
    def _resources(self) -> dict[str, _Resource]:
        return self._resources_of(self.stack)

    def _resources_of(self, stack: str) -> dict[str, _Resource]:
        from botocore.config import Config
        from botocore.exceptions import ClientError, EndpointConnectionError

        # Where nothing answers, botocore's own retries take ten seconds to say so.
        prompt = Config(retries={"mode": "standard", "total_max_attempts": 2})
        client = self.session.client("cloudformation", config=prompt)
        # Unlike DescribeStackResources, this one has pages and no limit of a hundred.
        pages = client.get_paginator("list_stack_resources")
        found: dict[str, _Resource] = {}
        try:
            for page in pages.paginate(StackName=stack):
                for resource in page["StackResourceSummaries"]:
                    kind = resource["ResourceType"]
                    physical = resource.get("PhysicalResourceId", "")
                    if kind == "AWS::CloudFormation::Stack" and physical:
                        found |= self._resources_of(physical)
                    found[resource["LogicalResourceId"]] = _Resource(
                        kind, physical, resource["ResourceStatus"]
                    )
        except EndpointConnectionError as error:
            raise BenchError(
                f"nothing answers{self._place}: `make up` starts an emulator"
            ) from error
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
            raise BenchError(f"no stack {stack}{self._place}: `make up` deploys one") from error
        return found

    @property
    def _place(self) -> str:
        return f" at {self.endpoint}" if self.endpoint else " in this AWS account and region"

    @cached_property
    def _client(self) -> Any:
        return cache(self.session.client)

    @cached_property
    def _configuration(self) -> Any:
        return cache(self._configuration_of)

    def _configuration_of(self, function: str) -> Any:
        name = self.physical(function)
        return self.client("lambda").get_function_configuration(FunctionName=name)


def log_line(tail: str) -> Mapping[str, Any]:
    """The line that an invocation wrote (see functions/edge/log.py), from its log's tail."""
    for line in reversed(tail.splitlines()):
        # AWS puts its own START, END and REPORT lines around it.
        if line.startswith("{") and '"outcome"' in line:
            found: dict[str, Any] = json.loads(line)
            return found
    return {}


def on_endpoint(endpoint: str, stack: str) -> CloudStack:
    """A stack on an emulator."""
    from infra.local.endpoint import session

    # A profile of the caller's that botocore looked for in vain would stop it.
    os.environ.pop("AWS_PROFILE", None)
    return CloudStack(session(endpoint), stack, endpoint)


def on_aws(stack: str) -> CloudStack:
    """A stack in the AWS account and region of the caller's credentials."""
    import boto3

    return CloudStack(boto3.Session(), stack)
