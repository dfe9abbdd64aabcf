"""How the cloud in memory says no."""

from __future__ import annotations

from typing import Any


class NotEmulated(BaseException):
    """A request of a shape that is not emulated. Not an Exception: it must fail the run."""


THROTTLES = {
    "dynamodb": ("ProvisionedThroughputExceededException", 400),
    "s3": ("SlowDown", 503),
    "sns": ("Throttling", 400),
    "sqs": ("RequestThrottled", 403),
}
"""What a service says when it is asked too much, and with which HTTP status."""


class Refused(Exception):
    """An error answer of AWS's: its code, the HTTP status, and what else the body holds."""

    def __init__(self, code: str, message: str = "", status: int = 400, **body: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.body = body


def throttled(service: str) -> Refused:
    """A service's answer to more than it takes."""
    code, status = THROTTLES.get(service, ("ThrottlingException", 400))
    return Refused(code, status=status)


def invalid(message: str) -> Refused:
    """DynamoDB's answer to what breaks its rules."""
    return Refused("ValidationException", message)


def only(params: dict[str, Any], *known: str) -> None:
    """Raises NotEmulated if a request has a parameter that is not emulated."""
    if unknown := params.keys() - set(known):
        raise NotEmulated(f"parameters {sorted(unknown)}")
