"""Passwords of links, as argon2id hashes. The library is loaded by who has one to hash or check.

Cost: 19 MiB, 2 passes, 1 lane, the least that OWASP's Password Storage Cheat Sheet allows; about
60 ms of a full processor, and little enough for a 512 MB function.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

SALT_BYTES = 16
"""As RFC 9106, 3.1, recommends for passwords."""

if TYPE_CHECKING:
    from argon2 import PasswordHasher


def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def hashed(password: str, salt: bytes) -> str:
    """The hash to keep, with its salt (SALT_BYTES of entropy) and cost in it."""
    return _hasher().hash(password, salt=salt)


def sealed(asked: Mapping[str, Any], actor: str, key: str | None) -> dict[str, Any]:
    """What a command asks for, as it is digested to tell its repeats: with its password as a hash,
    the same each time under one idempotency key. Whoever has the events must not find a password
    faster by its command's digest than by the hash that is kept."""
    if key is None or not asked.get("password"):
        return dict(asked)
    salt = blake2b(f"{actor}\n{key}".encode(), digest_size=SALT_BYTES).digest()
    return {**asked, "password": hashed(asked["password"], salt)}


def matches(password: str, kept: str) -> bool:
    """Whether this is the password that was hashed."""
    from argon2.exceptions import VerifyMismatchError

    try:
        return _hasher().verify(kept, password)
    except VerifyMismatchError:
        return False
