"""What stands at an endpoint: the stack, its outputs, its functions."""

from __future__ import annotations

from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.local.endpoint import LocalError, session

NAME = "millrace"


def describe(endpoint: str, name: str = NAME) -> dict[str, Any] | None:
    """The stack as CloudFormation describes it, None where there is none.

    Raises LocalError where nothing answers.
    """
    # Where nothing answers, botocore's own retries take ten seconds to say so.
    prompt = Config(retries={"mode": "standard", "total_max_attempts": 2})
    try:
        client = session(endpoint).client("cloudformation", config=prompt)
        stacks = client.describe_stacks(StackName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise
    except BotoCoreError as error:
        raise LocalError(f"nothing answers at {endpoint}: `make up` starts an emulator") from error
    live = [each for each in stacks["Stacks"] if each["StackStatus"] != "DELETE_COMPLETE"]
    return live[0] if live else None


def outputs(endpoint: str, name: str = NAME) -> dict[str, str]:
    """The deployed stack's outputs. Raises LocalError where none is deployed, or not wholly."""
    stack = describe(endpoint, name)
    if stack is None:
        raise LocalError(f"no stack {name} is deployed at {endpoint}: `make up` deploys {NAME}")
    found = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    if not found:
        raise LocalError(
            f"stack {name} at {endpoint} has no outputs, it is {stack['StackStatus']}: "
            "`make up` deploys it"
        )
    return found


def resources(endpoint: str) -> dict[str, str]:
    """Physical ids by logical id, those of nested stacks included.

    Logical ids carry their capability's name, so they do not collide.
    """
    cloudformation = session(endpoint).client("cloudformation")

    def of(stack: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for resource in cloudformation.describe_stack_resources(StackName=stack)["StackResources"]:
            physical_id = resource.get("PhysicalResourceId")
            if physical_id is None:
                # Its creation has not begun, or failed.
                continue
            if resource["ResourceType"] == "AWS::CloudFormation::Stack":
                found |= of(physical_id)
            found[resource["LogicalResourceId"]] = physical_id
        return found

    return of(NAME) if describe(endpoint) else {}


def function_environment(endpoint: str, function: str) -> dict[str, str]:
    """The deployed function's variables. Raises LocalError where it is not deployed."""
    physical_id = resources(endpoint).get(function)
    if physical_id is None:
        raise LocalError(f"no function {function} is deployed at {endpoint}")
    client = session(endpoint).client("lambda")
    configuration = client.get_function_configuration(FunctionName=physical_id)
    variables: dict[str, str] = configuration.get("Environment", {}).get("Variables", {})
    return variables
