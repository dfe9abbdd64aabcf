"""API keys: what may happen to one. Of its secrets there are digests alone. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import assert_never

from functions.kernel.codec import EventCodec
from functions.kernel.decider import Decider
from functions.kernel.errors import Gone, Rejected

KIND = "key"
DAY_MS = 86_400_000
MAX_GRACE_MS = 30 * DAY_MS
MAX_OLDER = 8
"""Older secrets that may be good at the same time as the newest."""

Older = tuple[str, int]
"""A secret's digest, and when it ends, epoch ms."""


@dataclass(frozen=True)
class KeyCreated:
    """There is a key; this is the digest of its first secret."""

    id: str
    name: str
    scopes: tuple[str, ...]
    tier: str
    digest: str
    created_at: int
    expires_at: int | None = None


@dataclass(frozen=True)
class KeyRotated:
    """The key has another secret, the `number`th; none of the older is good beyond `until`."""

    number: int
    digest: str
    rotated_at: int
    until: int


@dataclass(frozen=True)
class KeyRevoked:
    """The key is good for nothing any more."""

    revoked_at: int


Event = KeyCreated | KeyRotated | KeyRevoked
CODEC = EventCodec(*Event.__args__)


@dataclass(frozen=True)
class CreateKey:
    """Make a key. Times are epoch ms."""

    id: str
    name: str
    scopes: tuple[str, ...]
    tier: str
    digest: str
    now: int
    expires_at: int | None = None


@dataclass(frozen=True)
class RotateKey:
    """Give it the next secret, whose digest `digest_of` tells by its number, and let the older
    ones end `grace_ms` from now at the latest."""

    digest_of: Callable[[int], str]
    grace_ms: int
    now: int


@dataclass(frozen=True)
class RevokeKey:
    """End it at once."""

    now: int


Command = CreateKey | RotateKey | RevokeKey


@dataclass(frozen=True)
class Key:
    """The state. `number` counts the secrets that it has had, the newest included."""

    id: str
    name: str
    scopes: tuple[str, ...]
    tier: str
    digest: str
    created_at: int
    expires_at: int | None = None
    number: int = 1
    rotated_at: int | None = None
    older: tuple[Older, ...] = ()
    revoked_at: int | None = None

    def live(self, now: int) -> bool:
        """Whether any secret of it is good."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def digests(self, now: int) -> list[str]:
        """Of the secrets that are good, if it is live."""
        return [self.digest, *(digest for digest, until in self.older if now < until)]


def stream_id(tenant: str, key: str) -> str:
    """The stream of a key."""
    return f"{KIND}#{tenant}#{key}"


def decide(command: Command, key: Key | None) -> list[Event]:
    """The events that a command leads to. Raises Rejected, and Gone for a revoked key."""
    if isinstance(command, CreateKey):
        if command.expires_at is not None and command.expires_at <= command.now:
            raise Rejected("is in the past", "expires_at")
        return [
            KeyCreated(
                command.id,
                command.name,
                command.scopes,
                command.tier,
                command.digest,
                created_at=command.now,
                expires_at=command.expires_at,
            )
        ]
    if key is None or key.revoked_at is not None:
        raise Gone
    match command:
        case RotateKey():
            return _rotate(command, key)
        case RevokeKey(now):
            return [KeyRevoked(now)]
        case _:
            assert_never(command)


def _rotate(command: RotateKey, key: Key) -> list[Event]:
    if not 0 <= command.grace_ms <= MAX_GRACE_MS:
        raise Rejected(f"is not from 0 to {MAX_GRACE_MS // 1000}", "grace_seconds")
    if not key.live(command.now):
        raise Rejected("the key has ended, and no secret of it would be good")
    number = key.number + 1
    rotated = KeyRotated(
        number, command.digest_of(number), command.now, command.now + command.grace_ms
    )
    if len(_ending(key, rotated)) > MAX_OLDER:
        reason = f"leaves more than {MAX_OLDER} older secrets good; 0 ends them all"
        raise Rejected(reason, "grace_seconds")
    return [rotated]


def evolve(key: Key | None, event: Event) -> Key:
    """The state after one event."""
    if isinstance(event, KeyCreated):
        return Key(**vars(event))
    assert key is not None, "a key's first event is KeyCreated"
    match event:
        case KeyRotated(number, digest, rotated_at):
            older = _ending(key, event)
            return replace(key, number=number, digest=digest, rotated_at=rotated_at, older=older)
        case KeyRevoked(revoked_at):
            return replace(key, revoked_at=revoked_at, older=())
        case _:
            assert_never(event)


def _ending(key: Key, rotated: KeyRotated) -> tuple[Older, ...]:
    """The secrets that are older than the new one, each until when it is good."""
    older = [*key.older, (key.digest, rotated.until)]
    ending = [(digest, min(until, rotated.until)) for digest, until in older]
    return tuple(each for each in ending if each[1] > rotated.rotated_at)


KEYS: Decider[Command, Key | None, Event] = Decider(
    state=Key, initial=None, decide=decide, evolve=evolve, events=CODEC, snapshot_every=1
)
