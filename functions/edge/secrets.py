"""Keys derived per purpose from the stack's one secret, read once per container."""

from __future__ import annotations

import hashlib
import hmac
import json

from functions.edge.runtime import Runtime

ROOT = "root"
"""The key that never rotates; link codes derive from it."""
CURRENT = "current"
"""The entry that names the key that signs now; absent, it is the root. Every container must have
read a key before any signs with it: it is added first, and named once they are renewed."""


class Secrets:
    """The secret: a JSON object of key id to material. Ids other than `root` may be added to
    rotate what signs; CURRENT names one of them."""

    def __init__(self, runtime: Runtime, arn: str) -> None:
        self._runtime = runtime
        self._arn = arn
        self._material: dict[str, str] = {}

    def key(self, purpose: str, key_id: str = ROOT) -> bytes:
        """32 bytes for one purpose, by HKDF-SHA256 (RFC 5869, empty salt, one block).

        Raises KeyError for an unknown key id.
        """
        if key_id == CURRENT:
            # Its material is a key id, which every cursor shows.
            raise KeyError(key_id)
        extracted = hmac.digest(bytes(32), self._load()[key_id].encode(), hashlib.sha256)
        return hmac.digest(extracted, purpose.encode() + b"\x01", hashlib.sha256)

    @property
    def current(self) -> str:
        """The id of the key that signs now."""
        return self._load().get(CURRENT, ROOT)

    def _load(self) -> dict[str, str]:
        if not self._material:
            client = self._runtime.client("secretsmanager")
            answer = client.get_secret_value(SecretId=self._arn)
            self._material = json.loads(answer["SecretString"])
        return self._material
