"""What the person at the keyboard is told instead of a traceback."""

from __future__ import annotations


class BenchError(Exception):
    """Something does not exist or cannot be done; the message says what to do about it."""
