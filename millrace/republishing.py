"""Telling everything again, for a consumer that came later."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)

from functions.kernel.store import kind_of
from millrace.capability import Capability
from millrace.errors import BenchError

SLICE = 1000
"""Commits per scan page."""
REFUSED = {
    *("ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "InvalidSignatureException"),
    *("MissingAuthenticationToken", "SignatureDoesNotMatch", "UnrecognizedClientException"),
}
"""What AWS calls credentials that are wrong, or not good any more (Common errors)."""
NO_CREDENTIALS = (
    *(CredentialRetrievalError, NoCredentialsError, PartialCredentialsError),
    *(SSOError, TokenRetrievalError),
)


@dataclass(frozen=True)
class Republished:
    """How many streams were told again, and those that could not be, with the error."""

    streams: int
    failed: dict[str, str]


def republish(capability: Capability, told: Callable[[int], None]) -> Republished:
    """Publishes the newest public state of every stream once more, and what was never published
    before it; `told` hears of each page. Raises BenchError where nothing is public, and the error
    itself where credentials are refused: no other stream would fare better.

    Safe while writes go on, and to run again: the published rows only ever move on.
    """
    public = capability.public
    if not public:
        raise BenchError(f"{capability.name} publishes nothing")
    done, failed = 0, {}
    for page in _pages(capability):
        streams = [stream for stream in page if kind_of(stream) in public]
        for stream in streams:
            try:
                done += capability.publisher.again(stream)
            except Exception as error:
                cause = error.__cause__ or error
                if of_credentials(cause):
                    raise cause from error
                failed[stream] = f"{type(cause).__name__}: {cause}"
        told(len(streams))
    return Republished(done, failed)


def of_credentials(error: BaseException) -> bool:
    """Whether AWS, or the client before it, refuses whoever asks."""
    if isinstance(error, ClientError):
        return error.response["Error"]["Code"] in REFUSED
    return isinstance(error, NO_CREDENTIALS)


def _pages(capability: Capability) -> Iterator[list[str]]:
    """Every stream, once: one that goes on over pages is in the first of them."""
    position: Mapping[str, Any] | None = None
    previous: Mapping[str, int] = {}
    while True:
        heads, position = capability.store.heads(position, SLICE, consistent=True)
        yield sorted(heads.keys() - previous.keys())
        if position is None:
            return
        previous = heads
