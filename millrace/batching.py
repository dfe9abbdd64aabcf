"""As many things at a time as a request takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def batches(
    things: Iterable[T], size: Callable[[T], int], most: int, most_bytes: int
) -> Iterator[list[T]]:
    """The things in their order, so many of them and of their bytes together at most. What is
    larger than that by itself goes alone."""
    batch: list[T] = []
    taken = 0
    for each in things:
        own = size(each)
        if batch and (len(batch) == most or taken + own > most_bytes):
            yield batch
            batch, taken = [], 0
        batch.append(each)
        taken += own
    if batch:
        yield batch
