"""The text of an API key, `mr_<tenant>_<id>_<secret>`: who holds it can be looked up by one read.

A secret is derived from the deployment's own, the key's stream and the secret's number, so that
who makes a key may repeat the request: all that is kept is a digest. It has 200 bits, so that the
digest needs neither salt nor stretching (NIST SP 800-63B, 5.1.2.2, draws the line for look-up
secrets at 112). All parts are of a-z, 2-7 and 0-9, so a double click marks the whole.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import TYPE_CHECKING, NamedTuple

from functions.kernel.codec import to_json
from functions.ratelimiter.keys import Key

if TYPE_CHECKING:
    # Who reads keys has no secret.
    from functions.edge.secrets import Secrets

PREFIX = "mr_"
SECRET_BYTES = 25
KEY_ID = "^[0-9a-f]{20}$"
_TEXT = re.compile(r"mr_([a-z2-7]{2,1600})_([0-9a-f]{20})_([a-z2-7]{40})", re.ASCII)


class Credential(NamedTuple):
    """What somebody showed: the key that it names, and the digest of the secret."""

    tenant: str
    id: str
    digest: str


def secret_of(secrets: Secrets, stream: str, number: int) -> str:
    """The `number`th secret of a key's stream."""
    derived = secrets.key(to_json(["api key", stream, number]))
    return _base32(derived[:SECRET_BYTES])


def digest_of(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def written(tenant: str, key: str, secret: str) -> str:
    """The key's text."""
    return f"{PREFIX}{_base32(tenant.encode())}_{key}_{secret}"


def read(text: str) -> Credential | None:
    """What a key's text says, None if it is none."""
    found = _TEXT.fullmatch(text)
    if found is None:
        return None
    tenant, key, secret = found.groups()
    try:
        named = base64.b32decode(tenant.upper() + "=" * (-len(tenant) % 8)).decode()
    except ValueError:
        return None
    # One key has one spelling.
    if written(named, key, secret) != text:
        return None
    return Credential(named, key, digest_of(secret))


def accepted(credential: Credential, key: Key, now: int) -> bool:
    """Whether the secret is one of a key's that are good; takes as long whichever it is."""
    same = [hmac.compare_digest(each, credential.digest) for each in key.digests(now)]
    return key.live(now) and any(same)


def _base32(content: bytes) -> str:
    return base64.b32encode(content).decode().rstrip("=").lower()
