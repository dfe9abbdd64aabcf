"""Codes: aliases that callers choose, and seven characters or more that nobody can predict.

62^7 is 3.5e12 codes; at six billion links a fresh one is taken already with probability 0.17 %.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable

from functions.kernel.codec import to_json
from functions.kernel.errors import Rejected

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
LENGTH = 7
"""What codes start with; they grow where too many are taken."""

_CODE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_RESERVED = frozenset(
    {"v1", "v2", "gw", "api", "docs", "health", "status", "admin", "login", "static", "assets"}
    | {"bulk", "export"}
    | {"robots.txt", "favicon.ico", "sitemap.xml", "openapi.json", "index.html"}
)


def derived(key: bytes, *parts: str | int, length: int = LENGTH) -> str:
    """The code that a keyed hash (HMAC-SHA256) gives to `parts`; equal parts, equal code."""
    message = to_json(parts).encode()
    return _spell(hmac.digest(key, message, hashlib.sha256), length)


def random(entropy: Callable[[int], bytes], length: int = LENGTH) -> str:
    """A code from fresh entropy."""
    return _spell(entropy(16), length)


def encode(number: int, length: int = 1) -> str:
    """A number in base 62, the most significant letter first, padded with 0 to `length`."""
    letters: list[str] = []
    while number or len(letters) < length:
        number, digit = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[digit])
    return "".join(reversed(letters))


def decode(text: str) -> int:
    """The number that `encode` spelt. Raises ValueError for a letter of no alphabet of ours."""
    number = 0
    for letter in text:
        number = number * len(ALPHABET) + ALPHABET.index(letter)
    return number


def alias(name: str) -> str:
    """A name that may become a code. Case counts: `Sale` and `sale` are two codes.

    Raises Rejected on `alias` with the reason.
    """
    if not is_code(name):
        raise Rejected(
            "takes 1 to 64 of A-Z a-z 0-9 . _ - and starts and ends with a letter or digit",
            "alias",
        )
    if name.lower() in _RESERVED:
        raise Rejected("is reserved", "alias")
    return name


def is_code(text: str) -> bool:
    """Whether this can be a code at all; what cannot needs no look-up."""
    return _CODE.fullmatch(text) is not None


def _spell(material: bytes, length: int) -> str:
    # 128 bits or more against 48 for eight characters: the modulo's bias is below 2^-80.
    number = int.from_bytes(material) % len(ALPHABET) ** length
    # The least significant letter first, for ever: repeats have to find the codes of old.
    return encode(number, length)[::-1]
