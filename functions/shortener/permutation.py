"""A keyed permutation of the numbers below some size: unique in, unique out, in no visible order.

A balanced Feistel network over the next even number of bits, walked along its cycle until it is
back below `size` (J. Black and P. Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA 2002);
ten rounds, as NIST SP 800-38G takes for FF1; BLAKE2b with a key as the round function, a third of
HMAC-SHA256's time. A key has 64 bytes at most.
"""

from __future__ import annotations

from hashlib import blake2b

ROUNDS = 10


def permuted(key: bytes, number: int, size: int) -> int:
    """Where a key's permutation of [0, size) puts `number`, which is below `size`."""
    half = ((size - 1).bit_length() + 1) // 2
    while True:
        number = _shuffled(key, number, half)
        # Fewer than four steps on average: the bits hold less than four times as many numbers.
        if number < size:
            return number


def _shuffled(key: bytes, number: int, half: int) -> int:
    mask = (1 << half) - 1
    left, right = number >> half, number & mask
    for turn in range(ROUNDS):
        # The width is part of the message: each length of code has a permutation of its own.
        message = b"%d %d %d" % (half, turn, right)
        scrambled = int.from_bytes(blake2b(message, key=key, digest_size=32).digest())
        left, right = right, left ^ (scrambled & mask)
    return left << half | right
