"""A circuit breaker: what keeps a table that does not answer from being waited for each time."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

FAILURES = 5
"""So many in a row, and the table is left alone."""
PAUSE_MS = 1_000
"""Milliseconds until it is tried again, by one call: if that fails, it is left alone again."""


class Breaker:
    """Whether a table is worth asking, as far as one container has seen (M. Nygard, Release It!,
    "Circuit Breaker"). Times are epoch ms."""

    def __init__(self) -> None:
        self._failures = 0
        self._failed_at = 0

    def open(self, now: int) -> bool:
        """Whether the table is to be left alone."""
        return self._failures >= FAILURES and 0 <= now - self._failed_at < PAUSE_MS

    def answered(self) -> None:
        """The table has answered, were it with a refusal."""
        self._failures = 0

    def failed(self, error: BotoCoreError | ClientError, now: int) -> None:
        """A call has failed. A refusal, such as of a key that is asked too often, is an answer."""
        if isinstance(error, ClientError) and _status(error) < 500:
            self.answered()
            return
        self._failures += 1
        self._failed_at = now


def _status(error: ClientError) -> int:
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
