"""The command ring: which recent commands a stream has already carried out.

Each entry is 20 bytes: 8 of the command id's digest, 8 of its payload's, 4 of the version that
the command led to. The ring rides in the commits, so that a repeat costs no call of its own; a
command that changed nothing has no commit, and its repeat is decided anew.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import blake2b

from functions.kernel.errors import CommandReused

_ENTRY = struct.Struct(">8s8sI")
LONG = 64
SHORT = 8


@dataclass(frozen=True)
class Signature:
    """What identifies a command: digests of its id and of its payload, 8 bytes each."""

    id: bytes
    payload: bytes

    @classmethod
    def of(cls, *, actor: str, key: str, payload: str) -> Signature:
        """From the caller's idempotency key; two actors' equal keys are two commands."""
        return cls(_digest(f"{actor}\n{key}"), _digest(payload))


def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=8).digest()


def capacity(snapshot_every: int) -> int:
    """How many commands are remembered. Small where every commit carries the ring anew."""
    return SHORT if snapshot_every == 1 else LONG


def find(ring: bytes, signature: Signature) -> int | None:
    """The version that this command led to, if it is remembered.

    Raises CommandReused when the id is known with another payload.
    """
    for command, payload, version in _ENTRY.iter_unpack(ring):
        if command == signature.id:
            if payload != signature.payload:
                raise CommandReused
            return int(version)
    return None


def remember(ring: bytes, signature: Signature | None, version: int, entries: int) -> bytes:
    """The ring with one more command, the oldest dropped beyond `entries`."""
    if signature is None:
        return ring
    grown = ring + _ENTRY.pack(signature.id, signature.payload, version)
    return grown[-entries * _ENTRY.size :]
