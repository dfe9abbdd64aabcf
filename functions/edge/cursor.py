"""Opaque list cursors: signed, and good only for the list and the caller they were made for."""

from __future__ import annotations

from typing import Any

from itsdangerous import BadData, URLSafeSerializer

from functions.edge.problem import Problem
from functions.edge.secrets import Secrets
from functions.kernel.codec import to_json


class Cursors:
    """Makes and reads cursors; each carries the id of the key that signed it."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def make(self, position: Any, *scope: str) -> str:
        """A cursor for a JSON sort position, bound to `scope` (the list's name, its reader)."""
        key_id = self._secrets.current
        return f"{key_id}.{self._signer(key_id, scope).dumps(position)}"

    def read(self, cursor: str, *scope: str) -> Any:
        """The position in a cursor. Raises a 400 Problem for one that we did not make for this."""
        key_id, _, signed = cursor.partition(".")
        try:
            return self._signer(key_id, scope).loads(signed)
        except (BadData, KeyError) as error:
            raise Problem(400, "bad_cursor", "The cursor is not one of this list's.") from error

    def _signer(self, key_id: str, scope: tuple[str, ...]) -> URLSafeSerializer:
        key = self._secrets.key("cursor", key_id)
        return URLSafeSerializer(key, salt=to_json(scope))
