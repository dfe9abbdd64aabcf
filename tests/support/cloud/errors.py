"""How the cloud in memory says no."""

from __future__ import annotations

from typing import Any


class NotEmulated(BaseException):
    """A request of a shape that is not emulated. Not an Exception: it must fail the run."""


class Refused(Exception):
    """An error answer of AWS's: its code, the HTTP status, and what else the body holds."""

    def __init__(self, code: str, message: str = "", status: int = 400, **body: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.body = body


def invalid(message: str) -> Refused:
    """DynamoDB's answer to what breaks its rules."""
    return Refused("ValidationException", message)


def only(params: dict[str, Any], *known: str) -> None:
    """Raises NotEmulated if a request has a parameter that is not emulated."""
    if unknown := params.keys() - set(known):
        raise NotEmulated(f"parameters {sorted(unknown)}")
