"""A Secrets Manager that holds one secret and counts how often it is asked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from functions.edge.secrets import Secrets
from tests.unit.edge.conftest import World

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:millrace"


@dataclass
class Vault:
    material: dict[str, str] = field(default_factory=lambda: {"root": "correct horse"})
    asked: list[str] = field(default_factory=list)

    def get_secret_value(self, SecretId: str) -> dict[str, str]:
        self.asked.append(SecretId)
        return {"SecretString": json.dumps(self.material)}

    def secrets(self) -> Secrets:
        """What a fresh container reads from it."""
        return Secrets(World(clients={"secretsmanager": self}).runtime, ARN)
