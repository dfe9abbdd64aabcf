"""Telling everything again, for a consumer that came later."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from functions.kernel.store import kind_of
from millrace.capability import Capability
from millrace.errors import BenchError

SLICE = 1000
"""Commits per scan page."""


@dataclass(frozen=True)
class Republished:
    """How many streams were told again, and those that could not be, with the error's type."""

    streams: int
    failed: dict[str, str]


def republish(capability: Capability, told: Callable[[int], None]) -> Republished:
    """Publishes the newest public state of every stream once more, and what was never published
    before it; `told` hears of each page. Raises BenchError where nothing is public.

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
                failed[stream] = type(error.__cause__ or error).__name__
        told(len(streams))
    return Republished(done, failed)


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
