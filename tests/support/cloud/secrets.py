"""Secrets Manager in memory: secrets that never change."""

from __future__ import annotations

from typing import Any

from tests.support.cloud.errors import NotEmulated, Refused, only


class SecretsManager:
    """The service; `secrets` maps a secret's id to its string."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}

    def call(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        """Carries out one operation. Raises Refused, and NotEmulated for what it does not know."""
        if operation != "GetSecretValue":
            raise NotEmulated(f"secretsmanager {operation}")
        only(params, "SecretId")
        if params["SecretId"] not in self.secrets:
            raise Refused("ResourceNotFoundException", "Secrets Manager can't find the secret.")
        return {"ARN": params["SecretId"], "SecretString": self.secrets[params["SecretId"]]}
